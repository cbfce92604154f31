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

from adain_bench.contenders import Stylist
from adain_bench.packages import packages
from adain_bench.report import table
from adain_models.errors import AdainError
from adain_rt import style_arguments
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import progress
from adain_rt.contents import expand
from adain_rt.stylizer import Stylizer

if TYPE_CHECKING:
    from adain_bench.quality import Pair, Quality

__all__ = ["command"]

_T = TypeVar("_T")
_WORST = 3  # pairs that are named


@click.command("quality")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@click.option("--style", "styles", multiple=True, metavar="S", help="A picture or a directory of them.")
@click.option(
    "--teacher",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="VGG-19's weights up to conv3_4 as safetensors: convB_I.weight and convB_I.bias, as Keras publishes them. Gives "
    "style gap, texture gap and content distance.",
)
@click.option(
    "--vgg16",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="VGG-16's weights up to conv4_1, alike. Gives patches and the content distance at relu4_1.",
)
@click.option(
    "--weights",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Judge these weights too, as safetensors; PyTorch runs them in fp32, and no graphs are needed.",
)
@click.option("--held-out", is_flag=True, help="Only pictures that `adain-rt train` never trains on.")
@click.option(
    "--pairs",
    "count",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many, drawn evenly from the contents and from the styles.  [default: as many as the longer list has]",
)
@click.option(
    "--optimize",
    "optimized",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Optimise the pixels of the first N pairs for the same losses too (Gatys et al. 2016): what is attainable.",
)
@click.option("--peers", is_flag=True, help="Judge other packages too, those that are installed.")
@options.size(default=512)
@options.stylizer
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every pair.")
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
    size: int,
    stylizer: Stylizer,
    as_json: bool,
) -> None:
    """Judge pictures by their pixels and by teachers' features, and a precision by the decibels that it is from fp32.

    The first content is paired with the first style, the second with the second, and so on, the shorter list repeated.

    Without --style, CONTENT is a folder of pairs and of pictures that programs made of them: NAME_content, NAME_style and
    any NAME_PROGRAM, such as 00_content.png, 00_style.png and 00_magenta.png. Every program's pictures are judged beside.
    """
    if optimized and not teacher:
        raise click.UsageError("--optimize needs --teacher.")
    with needing("quality", "export"):
        from adain_bench.quality import InPyTorch, Subject, Teachers, examine, subjects_in
        from adain_models.teacher import Teacher, Vgg16
    teachers = Teachers(Teacher(teacher) if teacher else None, Vgg16(vgg16) if vgg16 else None)
    if styles:
        photos = expand(contents)
        paintings = [Path(name) for style in styles for name in style_arguments.parse(style).names]
        if held_out:
            photos, paintings = _held_out(photos), _held_out(paintings)
        subjects = [Subject(photo, painting) for photo, painting in _paired(photos, paintings, count)]
    else:
        subjects = _spread_over([subject for folder in contents for subject in subjects_in(Path(folder))], count)
    exact = Stylizer(str(stylizer.directory), "onnxruntime", "fp32")
    others = {str(path): InPyTorch(path) for path in weights} | (_installed() if peers else {})
    judged = (
        examine(stylizer, exact, subject, size, teachers, optimized=number < optimized, peers=others)
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


def _installed() -> dict[str, Stylist]:
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
    "axes": "axes",
    "strokes 8-16 px": "strokes_8",
    "strokes 16-32 px": "strokes_16",
    "patches left, relu4_1": "patches_4",
    "patches left, relu3_1": "patches_3",
    "content distance, relu4_1": "content_4",
    "noise gain": "noise_gain",
    "style gap left": "style_gap",
    "texture gap left": "texture_gap",
    "content distance": "content",
}


def _print_figures(pairs: Sequence[Pair]) -> None:
    """Print a table of medians with the spread over pairs, and what is worst."""
    names = dict.fromkeys(name for pair in pairs for name in pair.peers)
    columns: dict[str, list[Quality]] = {
        "styles": [pair.painting for pair in pairs],
        "photos": [pair.untouched for pair in pairs],
        "here": [pair.here for pair in pairs],
        "fp32": [pair.fp32 for pair in pairs],
        "optimised": [pair.optimized for pair in pairs if pair.optimized],
        **{name: [pair.peers[name] for pair in pairs if name in pair.peers] for name in names},
    }
    rows = [
        [figure, *(_spread([getattr(each, key) for each in column]) for column in columns.values())]
        for figure, key in _FIGURES.items()
    ]
    click.echo("medians, and the 10th and 90th percentiles of the pairs")
    click.echo(table(["", *columns], rows))
    click.echo(f"identity error: {_spread([pair.identity for pair in pairs])} of 256 levels")
    worst = min(pairs, key=lambda pair: pair.psnr)
    median = statistics.median(pair.psnr for pair in pairs)
    click.echo(f"PSNR against fp32: median {median:.1f} dB, worst {worst.psnr:.1f} dB ({worst.photo} in {worst.style})")
    for figure in ("style gap left", "texture gap left", "grid modulo 8"):
        ranked = [(getattr(pair.here, _FIGURES[figure]), pair) for pair in pairs]
        worst = sorted((each for each in ranked if each[0] is not None), key=lambda each: each[0], reverse=True)[
            :_WORST
        ]
        if worst:
            click.echo(f"most {figure}: " + ", ".join(f"{pair.style} ({value:.2f})" for value, pair in worst))


def _spread(values: Sequence[float | None]) -> str | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, median, high = np.percentile(known, (10, 50, 90))
    return f"{median:.3f} ({low:.2f}-{high:.2f})"


def _held_out(paths: Sequence[Path]) -> list[Path]:
    """Return the pictures among these that no training sees.

    Raises:
        AdainError: there are none.

    """
    from adain_models.crops import held_out

    kept = [path for path in paths if held_out(path)]
    if not kept:
        raise AdainError("--held-out: none of these pictures is; a tenth is, by a rule on their names")
    return kept


def _paired(photos: Sequence[Path], paintings: Sequence[Path], count: int | None) -> list[tuple[Path, Path]]:
    """Return so many pairs, spread evenly over both lists; a list that is too short is repeated."""
    photos, paintings = _spread_over(photos, count), _spread_over(paintings, count)
    wanted = max(len(photos), len(paintings))
    return list(islice(zip(cycle(photos), cycle(paintings), strict=False), wanted))


def _spread_over(found: Sequence[_T], count: int | None) -> list[_T]:
    """Return so many of a list, evenly spread; one that is too short gives some of them again."""
    return [found[number * len(found) // count] for number in range(count)] if count else list(found)
