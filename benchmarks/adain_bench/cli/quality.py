"""``adain-rt bench quality``."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import numpy as np

from adain_bench.contenders.contender import Stylist
from adain_bench.contenders.packages import packages
from adain_bench.show.table import format_table
from adain_models.errors import AdainError
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import progress
from adain_rt.jobs import styles as style_arguments
from adain_rt.jobs.inputs import expand
from adain_rt.stylizer import Stylizer

if TYPE_CHECKING:
    from adain_bench.quality.judge import Quality
    from adain_bench.quality.pairs import Pair, Subject

__all__ = ["command"]

_T = TypeVar("_T")
_RANKED = ("grid modulo 8", "style gap left", "texture gap left")  # of which the worst pairs are named
_WORST = 3


@click.command("quality")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@click.option("--style", "styles", multiple=True, metavar="S", help="A picture or a directory of them.")
@click.option(
    "--teacher",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The weights of VGG-19 up to conv3_4 as safetensors, as Keras publishes them (convB_I.weight, convB_I.bias). "
    "They give style gap, texture gap and content distance.",
)
@click.option(
    "--vgg16",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The weights of VGG-16 up to conv4_1, in the same form, for patches and the content distance at relu4_1.",
)
@click.option(
    "--weights",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Judge these weights of a network too. PyTorch runs them in fp32, so no graphs are needed.",
)
@click.option("--held-out", is_flag=True, help="Use only pictures that `adain-rt train` never trains on.")
@click.option(
    "--pairs",
    "count",
    type=click.IntRange(min=1),
    metavar="N",
    help="Judge N pairs, taken evenly from the contents and the styles.  [default: the length of the longer list]",
)
@click.option(
    "--optimize",
    "optimized",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Also optimise the pixels of the first N pairs for the same losses (Gatys et al. 2016), to show what can be "
    "reached. Needs --teacher.",
)
@click.option("--peers", is_flag=True, help="Judge other packages that are installed too.")
@options.fit
@options.underpainting
@options.size(default=512)
@options.stylizer
@click.option("--json", "as_json", is_flag=True, help="Print every pair as JSON.")
def command(
    contents: Sequence[str],
    styles: Sequence[str],
    teacher: Path | None,
    vgg16: Path | None,
    weights: Sequence[Path],
    held_out: bool,
    count: int | None,
    optimized: int,
    peers: bool,
    fit: bool,
    underpainting: float,
    size: int,
    stylizer: Stylizer,
    as_json: bool,
) -> None:
    """Judge the quality of stylised pictures.

    The figures come from the pixels and, with --teacher or --vgg16, from the features of VGG. A precision is also
    compared with fp32, in decibels.

    The first content is paired with the first style, the second with the second, and so on; the shorter list repeats.

    Without --style, each CONTENT is a folder of pairs: NAME_content and NAME_style. Another picture of the same NAME,
    such as 00_magenta.png beside 00_content.png and 00_style.png, is the work of another program and is judged too.

    \b
    Examples:
      adain-rt bench quality photos/ --style paintings/ --pairs 20
      adain-rt bench quality photo.jpg --style painting.jpg --teacher vgg19.safetensors
    """
    if optimized and not teacher:
        raise click.UsageError("--optimize needs --teacher.")
    if not styles and (held_out or not all(Path(folder).is_dir() for folder in contents)):
        raise click.UsageError("Missing option '--style'. Only folders of pairs, without --held-out, need none.")
    with needing("quality", "export"):
        from adain_bench.quality.judge import Teachers
        from adain_bench.quality.pairs import AsCommands, InPyTorch, examine
        from adain_models.training.teacher import Teacher, Vgg16
    teachers = Teachers(Teacher(teacher) if teacher else None, Vgg16(vgg16) if vgg16 else None)
    subjects = _subjects(contents, styles, held_out, count)
    exact = Stylizer(str(stylizer.directory), "onnxruntime", "fp32")
    here, fp32 = (AsCommands(each, fit, underpainting) for each in (stylizer, exact))
    others = {str(path): InPyTorch(path, fit, underpainting) for path in weights} | (_load_installed() if peers else {})
    judged = (
        examine(here, fp32, subject, size, teachers, optimized=number < optimized, peers=others)
        for number, subject in enumerate(subjects)
    )
    found: list[Pair] = []
    try:
        with progress("Judging", len(subjects), judged) as pairs:
            found.extend(pairs)
    finally:  # a picture that cannot be read costs none of those before it
        if found and as_json:
            click.echo(json.dumps([_finite(asdict(pair)) for pair in found], indent=2, allow_nan=False))
        elif found:
            click.echo(f"{stylizer.model} in {stylizer.precision}, {stylizer.backend}; {len(found)} pairs, {size} px")
            _print_figures(found)


def _subjects(contents: Sequence[str], styles: Sequence[str], held_out: bool, count: int | None) -> list[Subject]:
    """Return the pairs that the arguments name, so many of them."""
    from adain_bench.quality.pairs import Subject, subjects_in

    if not styles:
        return _draw([subject for folder in contents for subject in subjects_in(Path(folder))], count)
    photos = list(expand(contents))
    paintings = [Path(name) for style in styles for name in style_arguments.parse(style).names]
    if held_out:
        photos, paintings = _keep_held_out(photos), _keep_held_out(paintings)
    return [Subject(photo, painting) for photo, painting in _make_pairs(photos, paintings, count)]


def _load_installed() -> dict[str, Stylist]:
    """Return other packages' stylists by name; say of one that is not installed how it would be."""
    found = {}
    for peer in packages():
        name = str(peer.params["backend"])
        if peer.hindrance:
            click.echo(f"{name} is left out: {peer.hindrance}", err=True)
        else:
            found[name] = peer.stylist
    return found


def _finite(pair: dict[str, object]) -> dict[str, object]:
    """Return a pair's figures without the decibels of pictures that are the same, for which JSON has no number."""
    return {key: None if value == math.inf else value for key, value in pair.items()}


_FIGURES = {
    "grid modulo 8": "grid_8",
    "grid modulo 4": "grid_4",
    "mesh": "mesh",
    "axes": "axes",
    "angles": "angles",
    "unevenness": "unevenness",
    "strokes 8-16 px": "strokes_8",
    "strokes 16-32 px": "strokes_16",
    "flat parts: strokes 8-16 px": "flat_strokes_8",
    "flat parts: strokes 16-32 px": "flat_strokes_16",
    "tones": "tones",
    "colours": "colours",
    "noise gain": "noise_gain",
    "patches left, relu4_1": "patches_4",
    "patches left, relu3_1": "patches_3",
    "content distance, relu4_1": "content_4",
    "style gap left": "style_gap",
    "texture gap left": "texture_gap",
    "content distance, relu3_4": "content",
}


def _print_figures(pairs: Sequence[Pair]) -> None:
    """Print a table of medians with the spread over pairs, and what is worst."""
    names = dict.fromkeys(name for pair in pairs for name in pair.peers)
    columns = {
        "styles": [pair.painting for pair in pairs],
        "photos": [pair.untouched for pair in pairs],
        "here": [pair.here for pair in pairs],
        "fp32": [pair.fp32 for pair in pairs],
        "optimised": [pair.optimized for pair in pairs if pair.optimized],
        **{name: [pair.peers[name] for pair in pairs if name in pair.peers] for name in names},
    }
    rows = [[figure, *(_cell(column, key) for column in columns.values())] for figure, key in _FIGURES.items()]
    click.echo("medians, and the 10th and 90th percentiles of the pairs")
    click.echo(format_table(["", *columns], [row for row in rows if any(row[1:])]))
    click.echo(f"identity error: {_format_spread([pair.identity for pair in pairs])} of 256 levels")
    worst = min(pairs, key=lambda pair: pair.psnr)
    median = statistics.median(pair.psnr for pair in pairs)
    click.echo(f"PSNR against fp32: median {median:.1f} dB, worst {worst.psnr:.1f} dB ({worst.photo} in {worst.style})")
    for figure in _RANKED:
        found = [(value, pair.style) for pair in pairs if (value := getattr(pair.here, _FIGURES[figure])) is not None]
        if found:
            named = ", ".join(f"{style} ({value:.2f})" for value, style in sorted(found, reverse=True)[:_WORST])
            click.echo(f"most {figure}: {named}")


def _cell(column: Sequence[Quality], figure: str) -> str | None:
    """Return one figure of some pictures, if they have it."""
    known = [value for quality in column if (value := getattr(quality, figure)) is not None]
    return _format_spread(known) if known else None


def _format_spread(values: Sequence[float]) -> str:
    low, median, high = np.percentile(values, (10, 50, 90))
    return f"{median:.3f} ({low:.2f}-{high:.2f})"


def _keep_held_out(paths: Sequence[Path]) -> list[Path]:
    """Return the pictures among these that no training sees.

    Raises:
        AdainError: no picture is held out.

    """
    from adain_models.training.crops import held_out

    kept = [path for path in paths if held_out(path)]
    if not kept:
        raise AdainError(
            "--held-out: no picture here is held out; give more, of which a rule on names holds out a tenth"
        )
    return kept


def _make_pairs(photos: Sequence[Path], paintings: Sequence[Path], count: int | None) -> list[tuple[Path, Path]]:
    """Return so many pairs, spread evenly over both lists; a list that is too short is repeated."""
    photos, paintings = _draw(photos, count), _draw(paintings, count)
    wanted = max(len(photos), len(paintings))
    return list(islice(zip(cycle(photos), cycle(paintings), strict=False), wanted))


def _draw(found: Sequence[_T], count: int | None) -> list[_T]:
    """Return so many of a list, spread evenly over it; of one that is too short some more than once."""
    return [found[number * len(found) // count] for number in range(count)] if count else list(found)
