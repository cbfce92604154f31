"""``adain-rt bench quality``."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from adain_bench.contenders import Stylist
from adain_bench.packages import packages
from adain_models.errors import AdainError
from adain_rt import style_arguments
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import progress
from adain_rt.contents import expand
from adain_rt.stylizer import Stylizer

if TYPE_CHECKING:
    from adain_bench.quality import Pair

__all__ = ["command"]

_WORST = 3  # pairs that are named


@click.command("quality")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@click.option("--style", "styles", multiple=True, required=True, metavar="S", help="A picture or a directory of them.")
@click.option(
    "--teacher",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="VGG-19's weights up to conv3_4 as safetensors: convB_I.weight and convB_I.bias, as Keras publishes them.",
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
    teacher: Path,
    held_out: bool,
    count: int | None,
    optimized: int,
    peers: bool,
    size: int,
    stylizer: Stylizer,
    as_json: bool,
) -> None:
    """Judge pictures by a teacher's features, and a precision by the decibels that it is from fp32.

    The first content is paired with the first style, the second with the second, and so on, the shorter list repeated.
    """
    with needing("quality", "export"):
        from adain_bench.quality import examine
        from adain_models.teacher import Teacher
    vgg19 = Teacher(teacher)
    photos = expand(contents)
    paintings = [Path(name) for style in styles for name in style_arguments.parse(style).names]
    if held_out:
        photos, paintings = _held_out(photos), _held_out(paintings)
    paired = _paired(photos, paintings, count)
    exact = Stylizer(str(stylizer.directory), "onnxruntime", "fp32")
    others = _installed() if peers else {}
    judged = (
        examine(stylizer, exact, photo, painting, size, vgg19, optimized=number < optimized, peers=others)
        for number, (photo, painting) in enumerate(paired)
    )
    found: list[Pair] = []
    try:
        with progress("Judging", len(paired), judged) as pairs:
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


def _print_figures(pairs: Sequence[Pair]) -> None:
    """Print a table of medians with the spread over pairs, and what is worst."""
    from adain_bench.quality import UNTOUCHED

    figures = {"style gap left": "style_gap", "texture gap left": "texture_gap", "content distance": "content"}
    rows = {
        "the untouched photo": [UNTOUCHED],
        "here": [pair.here for pair in pairs],
        "fp32": [pair.fp32 for pair in pairs],
        "optimised": [pair.optimized for pair in pairs if pair.optimized],
        **{name: [pair.peers[name] for pair in pairs] for name in pairs[0].peers},
    }
    click.echo("medians, and the 10th and 90th percentiles of the pairs")
    click.echo(f"{'':<22}" + "".join(f"{figure:>24}" for figure in figures))
    for name, row in rows.items():
        if row:
            cells = (_spread([getattr(quality, key) for quality in row]) for key in figures.values())
            click.echo(f"{name:<22}" + "".join(f"{cell:>24}" for cell in cells))
    click.echo(f"identity error: {_spread([pair.identity for pair in pairs])} of 256 levels")
    worst = min(pairs, key=lambda pair: pair.psnr)
    median = statistics.median(pair.psnr for pair in pairs)
    click.echo(f"PSNR against fp32: median {median:.1f} dB, worst {worst.psnr:.1f} dB ({worst.photo} in {worst.style})")
    for figure, key in list(figures.items())[:2]:
        ranked = sorted(pairs, key=lambda pair: getattr(pair.here, key), reverse=True)[:_WORST]
        named = ", ".join(f"{pair.style} ({getattr(pair.here, key):.2f})" for pair in ranked)
        click.echo(f"most {figure}: {named}")


def _spread(values: Sequence[float]) -> str:
    low, median, high = np.percentile(values, (10, 50, 90))
    return f"{median:.3f} ({low:.3f}-{high:.3f})"


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
    if count:
        photos, paintings = ([paths[n * len(paths) // count] for n in range(count)] for paths in (photos, paintings))
    wanted = max(len(photos), len(paintings))
    return list(islice(zip(cycle(photos), cycle(paintings), strict=False), wanted))
