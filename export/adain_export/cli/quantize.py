"""``adain-rt quantize``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from adain_export.cli.bundled import refuse_bundled
from adain_models.errors import AdainError
from adain_models.files import replacing
from adain_models.weights import store
from adain_rt import contract
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import progress
from adain_rt.contract import Pixels
from adain_rt.jobs.inputs import pictures_in
from adain_rt.media.pictures import frame, read_picture

if TYPE_CHECKING:
    from adain_export.int8.calibration import Pair

__all__ = ["PAIRS", "command"]

PAIRS = 96
"""How many pairs a calibration takes by default."""

_SIDE = 256  # of a square that a picture is cropped and resized to
_FRESH = 16  # pairs beyond those of the calibration, to compare on

_directory = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command("quantize")
@options.model
@click.option(
    "--calibration",
    "contents",
    type=_directory,
    required=True,
    metavar="DIR",
    help="Photographs like those to be stylised.",
)
@click.option(
    "--style",
    "styles",
    type=_directory,
    metavar="DIR",
    help="Pictures to take styles from.  [default: the photographs themselves]",
)
@click.option(
    "--pairs",
    type=click.IntRange(min=1),
    default=PAIRS,
    show_default=True,
    metavar="N",
    help="How many pairs of a photograph and a style to calibrate on.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="New model directory to write to, with a copy of the weights and the fp32 graphs. Required for a model that "
    "ships in the package.  [default: the model's own directory]",
)
def command(model: str, contents: Path, styles: Path | None, pairs: int, output: Path | None) -> None:
    """Quantize a model's graphs to int8, calibrated on your pictures.

    The graphs are written to the folder int8 of the model's directory.

    \b
    Examples:
      adain-rt quantize --model vgg19 --calibration photos/ --style paintings/
      adain-rt quantize --model lite --calibration photos/ -o build/lite
    """
    with needing("quantize", "export"):
        from adain_export.int8 import calibration, quantize
    directory = store.model_dir(model)
    refuse_bundled(model, output)
    if output is not None:
        _copy_model(directory, output)
        directory = output
    drawn = _draw_pairs(contents, styles or contents, pairs + _FRESH)
    with progress("Calibrating", pairs, islice(drawn, pairs)) as shown:
        ranges = calibration.calibrate(directory, shown)
    with progress("Quantizing", len(contract.GRAPHS), quantize.quantize_model(directory, ranges)) as graphs:
        count = sum(1 for _ in graphs)
    median = np.median(quantize.compare(directory, drawn))
    folder = contract.graph_dir(directory, "int8")
    size = sum(path.stat().st_size for path in folder.iterdir())
    click.echo(f"{folder}: {count} graphs in int8, {size:,} bytes, median PSNR to fp32 {median:.1f} dB")


def _copy_model(source: Path, destination: Path) -> None:
    """Copy the weights and the graphs of a model directory."""
    for name in (store.WEIGHTS_NAME, *map(contract.graph_file, contract.GRAPHS)):
        if not (source / name).is_file():
            raise AdainError(f"{source / name}: there is no such file", hint="write it with `adain-rt export`")
        with replacing(destination / name) as aside:
            shutil.copyfile(source / name, aside)


def _draw_pairs(contents: Path, styles: Path, count: int) -> Iterator[Pair]:
    """Yield pairs of pictures drawn at random, always the same, their strengths spread over 0..1.

    Raises:
        AdainError: a directory has no pictures, or a picture cannot be read.

    """
    generator = np.random.default_rng(0)
    pictures = {directory: pictures_in(directory) for directory in dict.fromkeys((contents, styles))}
    drawn = [_draw(pictures[directory], count, generator) for directory in (contents, styles)]
    for content, style, strength in zip(*drawn, generator.permutation(np.linspace(0, 1, count)), strict=True):
        yield _read_square(content), _read_square(style), float(strength)


def _draw(paths: list[Path], count: int, generator: np.random.Generator) -> list[Path]:
    """Return ``count`` of the paths in random order; a path comes again only after all others."""
    rounds = -(-count // len(paths))
    order = np.concatenate([generator.permutation(len(paths)) for _ in range(rounds)])
    return [paths[index] for index in order[:count]]


def _read_square(path: Path) -> Pixels:
    return frame(read_picture(path).pixels, _SIDE, crop=True)
