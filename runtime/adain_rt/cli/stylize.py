"""``adain-rt stylize``: paint pictures."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import click
import numpy as np

from adain_models.errors import AdainError
from adain_rt import outputs
from adain_rt.cli import options
from adain_rt.contents import STDIN, expand
from adain_rt.framing import frame
from adain_rt.looks import Look, Painter, StyleSource, load_style, named_styles, split_weight
from adain_rt.pictures import Picture, encode_picture, read_mask, read_picture, write_picture
from adain_rt.stylizer import Pixels, Stylizer

__all__ = ["command"]


@click.command("stylize")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@click.option(
    "--style",
    "styles",
    multiple=True,
    required=True,
    metavar="S[:W]",
    help="A picture, a directory of pictures, a saved style, or @name, a preset. Several are mixed, by weights W.",
)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="M",
    help="White where the style of the same place in the order applies, as large as the content; one for each style.",
)
@options.alpha
@options.color
@options.size(default=0)
@options.style_size
@options.crop
@options.model
@options.backend
@click.option("-o", "--output", metavar="OUT", help="A file, or a directory; - is stdout.  [default: this directory]")
@options.overwrite
@click.option("--json", "as_json", is_flag=True, help="Say what was done as JSON on stdout.")
def command(
    contents: Sequence[str],
    styles: Sequence[str],
    masks: Sequence[Path],
    alpha: float,
    color: str,
    size: int,
    style_size: int,
    crop: bool,
    model: str,
    backend: str,
    output: str | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Paint photos in the style of pictures.

    CONTENT is a file, a directory, a glob, or - for stdin. A directory of styles paints every content in every style.
    Exit status: 0 if all were painted, 1 if some were, 2 if none was.

    \b
    Examples:
      adain-rt stylize photo.jpg --style painting.jpg
      adain-rt stylize photo.jpg --style @starry-night --alpha 0.7 -o starry.png
      adain-rt stylize photos/ --style paintings/ -o out/
      adain-rt stylize photo.jpg --style a.jpg:3 --style b.jpg:1
      adain-rt stylize photo.jpg --style a.jpg --style b.jpg --mask sky.png --mask ground.png
      cat photo.jpg | adain-rt stylize - --style @great-wave > wave.png
    """
    paths = expand(contents)
    painter = Painter(Stylizer(model, backend), alpha, color)
    report = _Report(painter.stylizer)
    framed = partial(frame, size=size, crop=crop)
    looks = _looks(styles, masks, partial(load_style, stylizer=painter.stylizer, size=style_size, crop=crop), report)
    targets = outputs.output_paths(paths, [look.label for look in looks], output)
    outputs.check_free(targets.values(), [*paths, *_style_files(styles), *masks], overwrite)
    if outputs.STDOUT in targets.values() and (as_json or sys.stdout.isatty()):
        raise AdainError("stdout is not for a picture here (a terminal, or --json); name a file with -o")

    with click.progressbar(
        length=len(targets), label="Painting", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as progress:
        for path in paths:
            try:
                picture = _read(path, report)
                regions = _read_masks(masks, path, picture, framed)
            except AdainError as error:
                report.fail(path, error)
                progress.update(len(looks))
                continue
            picture = replace(picture, pixels=framed(picture.pixels), alpha=_maybe(framed, picture.alpha))
            for look in looks:
                try:
                    started = time.perf_counter()
                    painted = picture.with_pixels(painter.paint(picture.pixels, look, regions))
                    _write(targets[path, look.label], painted)
                    report.done(path, look, targets[path, look.label], painted, time.perf_counter() - started)
                except AdainError as error:
                    report.fail(path, error)
                progress.update(1)
    report.show(as_json)
    sys.exit(report.status)


def _looks(
    styles: Sequence[str], masks: Sequence[Path], load: Callable[[str], StyleSource], report: _Report
) -> list[Look]:
    """Return what each content is painted with: one look, or one for every style of a directory.

    Of a directory, a style that cannot be read is reported and left out.
    """
    parts = [split_weight(style) for style in styles]
    if masks and len(masks) != len(styles):
        raise AdainError(f"{len(styles)} --style and {len(masks)} --mask do not fit: give each style one mask")
    if masks and any(weight is not None for _, weight in parts):
        raise AdainError("--style S:W mixes styles and --mask gives each its region: leave out the weights")
    names = [named_styles(style) for style, _ in parts]
    if len(parts) == 1 and names[0] != [parts[0][0]]:
        looks = []
        for name in names[0]:
            try:
                looks.append(Look((load(name),), (1.0,)))
            except AdainError as error:
                report.fail(name, error)
        return looks
    for (style, _), found in zip(parts, names, strict=True):
        if found != [style]:
            raise AdainError(f"--style {style}: a directory of styles cannot be mixed with others; give it alone")
    weights = tuple(1.0 if weight is None else weight for _, weight in parts)
    if not any(weights):
        raise AdainError(f"--style {', '.join(styles)}: the weights are all 0; give one that is more")
    return [Look(tuple(load(style) for style, _ in parts), weights)]


def _style_files(styles: Sequence[str]) -> list[Path]:
    names = [name for style in styles for name in named_styles(split_weight(style)[0])]
    return [Path(name) for name in names if not name.startswith("@")]


def _read(path: Path, report: _Report) -> Picture:
    picture = read_picture(sys.stdin.buffer, "stdin") if path == STDIN else read_picture(path)
    if picture.frames > 1:
        report.remark(f"{path}: is animated; its first frame of {picture.frames} is painted")
    return picture


def _read_masks(
    masks: Sequence[Path], path: Path, picture: Picture, framed: Callable[[Pixels], Pixels]
) -> Pixels | None:
    """Return the masks for a content, uint8 (R, H, W), which are as large as it is, framed as it will be."""
    if not masks:
        return None
    regions = [read_mask(mask) for mask in masks]
    for mask, region in zip(masks, regions, strict=True):
        if region.shape != picture.pixels.shape[:2]:
            raise AdainError(
                f"--mask {mask}: is {region.shape[1]}x{region.shape[0]} pixels and {path} is "
                f"{picture.width}x{picture.height}; make the mask as large as the content"
            )
    return np.stack([framed(region) for region in regions])


def _write(path: Path, picture: Picture) -> None:
    if path == outputs.STDOUT:
        sys.stdout.buffer.write(encode_picture(picture, "PNG"))
    else:
        write_picture(path, picture)


@dataclass
class _Report:
    """What was done, for a person on a terminal or as JSON; what failed, on stderr."""

    stylizer: Stylizer
    outputs: list[dict[str, str | int | float]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def done(self, content: Path, look: Look, output: Path, picture: Picture, seconds: float) -> None:
        self.outputs.append({
            "content": str(content), "style": look.label, "output": str(output),
            "width": picture.width, "height": picture.height, "seconds": round(seconds, 4),
        })  # fmt: skip

    def fail(self, source: Path | str, error: AdainError) -> None:
        self.failures.append({"source": str(source), "error": str(error)})

    def remark(self, text: str) -> None:
        self.remarks.append(text)

    @property
    def status(self) -> int:
        """0 if nothing failed, 1 if something did, 2 if everything did."""
        if not self.failures:
            return 0
        return 1 if self.outputs else 2

    def show(self, as_json: bool) -> None:
        for line in dict.fromkeys([*self.remarks, *(failure["error"] for failure in self.failures)]):
            click.echo(f"adain-rt: {line}", err=True)
        if as_json:
            about = {"model": self.stylizer.model, "backend": self.stylizer.backend}
            click.echo(json.dumps({**about, "outputs": self.outputs, "failures": self.failures}, indent=2))
        elif sys.stdout.isatty():
            for output in self.outputs:
                size = f"{output['width']}x{output['height']}"
                click.echo(f"{output['output']}  {size}  {output['seconds']:.2f} s")


def _maybe(transform: Callable[[Pixels], Pixels], pixels: Pixels | None) -> Pixels | None:
    return None if pixels is None else transform(pixels)
