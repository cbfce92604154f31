"""``adain-rt stylize``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from adain_models.errors import AdainError
from adain_rt.cli import options
from adain_rt.cli.terminal import complain, progress
from adain_rt.contract import Pixels
from adain_rt.jobs import outputs
from adain_rt.jobs import styles as style_arguments
from adain_rt.jobs.inputs import expand, read_content
from adain_rt.jobs.styles import StyleArgument
from adain_rt.media.pictures import Picture, encode_picture, frame, read_mask, write_picture
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleMix, StyleSource, Transfer

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
@options.stylizer
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
    stylizer: Stylizer,
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
    arguments = _checked([style_arguments.parse(style) for style in styles], len(masks))
    transfer = Transfer(stylizer, alpha, color)
    report = _Report(transfer.stylizer)
    mixes = _mixes(arguments, transfer, style_size, crop, report)
    several = len(paths) > 1 or len(arguments[0].names) > 1
    targets = outputs.output_paths(paths, [mix.label for mix in mixes], output, several)
    inputs = [*paths, *masks, *(file for argument in arguments for file in argument.files)]
    outputs.check_free(targets.values(), inputs, overwrite)
    if outputs.STDOUT in targets.values() and (as_json or sys.stdout.isatty()):
        raise AdainError("stdout is not for a picture here (a terminal, or --json); name a file with -o")
    try:
        with progress("Stylizing", len(targets)) as bar:
            for path in paths:
                try:
                    picture, regions = _read(path, masks, size, crop, report)
                except (AdainError, OSError) as error:
                    report.fail(path, error)
                    bar.update(len(mixes))
                    continue
                for mix in mixes:
                    _stylize(transfer, path, picture, mix, regions, targets[path, mix.label], report)
                    bar.update(1)
    finally:
        report.show(as_json)
    sys.exit(report.status)


@dataclass
class _Report:
    """What was done, for a person on a terminal or as JSON; what failed, on stderr."""

    stylizer: Stylizer
    outputs: list[dict[str, str | int | float]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def done(self, content: Path, mix: StyleMix, output: Path, picture: Picture, seconds: float) -> None:
        self.outputs.append({
            "content": str(content), "style": mix.label, "output": str(output),
            "width": picture.width, "height": picture.height, "seconds": round(seconds, 4),
        })  # fmt: skip

    def fail(self, source: Path | str, error: Exception, target: Path | None = None) -> None:
        text = str(error)
        named = text if str(source) in text or (target and str(target) in text) else f"{source}: {text}"
        self.failures.append({"source": str(source), "error": named})

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
            complain(line)
        if as_json:
            about = {
                "model": self.stylizer.model,
                "backend": self.stylizer.backend,
                "precision": self.stylizer.precision,
            }
            click.echo(json.dumps({**about, "outputs": self.outputs, "failures": self.failures}, indent=2))
        elif sys.stdout.isatty():
            for output in self.outputs:
                size = f"{output['width']}x{output['height']}"
                click.echo(f"{output['output']}  {size}  {output['seconds']:.2f} s")


def _checked(arguments: list[StyleArgument], masks: int) -> list[StyleArgument]:
    """Refuse styles, weights and masks that do not go together."""
    given = ", ".join(argument.text for argument in arguments)
    if masks and masks != len(arguments):
        raise AdainError(f"{len(arguments)} --style and {masks} --mask do not fit: give each style one mask")
    if masks and any(argument.weight is not None for argument in arguments):
        raise AdainError(f"--style {given}: weights mix styles, but --mask gives each a region; leave out the weights")
    if len(arguments) > 1 and any(argument.is_directory for argument in arguments):
        raise AdainError(f"--style {given}: a directory of styles cannot be mixed with others; give it alone")
    if all(argument.weight == 0 for argument in arguments):
        raise AdainError(f"--style {given}: the weights are all 0; give one that is more")
    return arguments


def _mixes(
    arguments: list[StyleArgument], transfer: Transfer, size: int, crop: bool, report: _Report
) -> list[StyleMix]:
    """Return the styles of each result of a content: one mix, or each style of a directory by itself.

    Of a directory, a style that cannot be read is reported and left out.
    """

    def load(name: str) -> StyleSource:
        source = style_arguments.load(name, transfer.stylizer, size, crop)
        if transfer.color != "coral":
            _ = source.code  # encoded now, so that a failure is met once
        return source

    if not arguments[0].is_directory:
        sources = tuple(load(argument.names[0]) for argument in arguments)
        return [StyleMix(sources, tuple(1.0 if each.weight is None else each.weight for each in arguments))]
    mixes = []
    for name in arguments[0].names:
        try:
            mixes.append(StyleMix((load(name),), (1.0,)))
        except (AdainError, OSError) as error:
            report.fail(name, error)
    return mixes


def _read(path: Path, masks: Sequence[Path], size: int, crop: bool, report: _Report) -> tuple[Picture, Pixels | None]:
    """Return a content and its masks, uint8 (R, H, W), cropped and resized alike."""
    picture = read_content(path)
    if picture.frames > 1:
        report.remark(f"{path}: has {picture.frames} frames or pages; the first is stylised")
    regions = [read_mask(mask) for mask in masks]
    for mask, region in zip(masks, regions, strict=True):
        if region.shape != picture.pixels.shape[:2]:
            raise AdainError(
                f"--mask {mask}: is {region.shape[1]}x{region.shape[0]} pixels and {path} is "
                f"{picture.width}x{picture.height}; make the mask as large as the content"
            )
    framed = picture.framed(size, crop)
    return framed, np.stack([frame(region, size, crop) for region in regions]) if regions else None


def _stylize(
    transfer: Transfer,
    path: Path,
    picture: Picture,
    mix: StyleMix,
    regions: Pixels | None,
    target: Path,
    report: _Report,
) -> None:
    """Stylise one content and write it; what goes wrong is reported."""
    started = time.perf_counter()
    try:
        stylized = transfer.apply(picture, mix, regions)
        seconds = time.perf_counter() - started
        if target == outputs.STDOUT:
            sys.stdout.buffer.write(encode_picture(stylized, "PNG"))
            sys.stdout.flush()
        else:
            write_picture(target, stylized)
    except (AdainError, OSError) as error:
        report.fail(path, error, target)
    else:
        report.done(path, mix, target, stylized, seconds)
