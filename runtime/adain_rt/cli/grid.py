"""``adain-rt grid``: contact sheets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from adain_models.errors import AdainError
from adain_rt.cli import options
from adain_rt.cli.terminal import progress
from adain_rt.contract import Pixels
from adain_rt.jobs import outputs
from adain_rt.jobs import styles as style_arguments
from adain_rt.jobs.inputs import expand, read_content
from adain_rt.media.pictures import Picture, check_writable, write_picture
from adain_rt.media.sheet import Cell, draw
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleMix, StyleSource, Transfer

__all__ = ["command"]

_Photo = tuple[str, Picture]  # its name, and what it shows

_CORNERS = 4
_STEPS = 5
"""Pictures along each side of the square between four styles, as in the paper's figure."""


@click.command("grid")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@click.option(
    "--style",
    "styles",
    multiple=True,
    required=True,
    metavar="S",
    help="A picture, a directory of pictures, a saved style, or @name.",
)
@click.option("--alphas", metavar="A,A,...", help="One row for each content and style, a column for each strength.")
@click.option("--corners", is_flag=True, help="One content between four styles, mixed.")
@click.option("--cell", type=click.IntRange(32, 2048), default=256, show_default=True, help="Side of a cell in pixels.")
@options.alpha
@options.color
@options.size(default=512)
@options.style_size
@options.crop
@options.stylizer
@options.output_file
@options.overwrite
def command(
    contents: Sequence[str],
    styles: Sequence[str],
    alphas: str | None,
    corners: bool,
    cell: int,
    alpha: float,
    color: str,
    size: int,
    style_size: int,
    crop: bool,
    stylizer: Stylizer,
    output: Path,
    overwrite: bool,
) -> None:
    """Lay out many stylised pictures on one sheet.

    \b
    Examples:
      adain-rt grid photos/ --style paintings/ -o sheet.png
      adain-rt grid photo.jpg --style @great-wave --alphas 0,0.25,0.5,0.75,1 -o alphas.png
      adain-rt grid photo.jpg --style a.jpg --style b.jpg --style c.jpg --style d.jpg --corners -o corners.png
    """
    paths = expand(contents)
    arguments = [style_arguments.parse(style) for style in styles]
    names = [name for argument in arguments for name in argument.names]
    strengths = _strengths(alphas)
    if any(argument.weight is not None for argument in arguments):
        raise AdainError("the styles of a grid are not mixed, and take no weights")
    if corners and (len(paths), len(names)) != (1, _CORNERS):
        raise AdainError(f"--corners takes one content and four styles, not {len(paths)} and {len(names)}")
    if corners and strengths:
        raise AdainError("--corners and --alphas are two sheets: ask for one at a time")
    if strengths and alpha != 1:
        raise AdainError("--alpha and --alphas are two answers to one question: give one of them")
    check_writable(output)
    files = [file for argument in arguments for file in argument.files]
    outputs.check_free([output], [*paths, *files], overwrite)

    transfer = Transfer(stylizer, alpha, color)
    sources = [style_arguments.load(name, transfer.stylizer, style_size, crop) for name in names]
    photos = [(path.stem, read_content(path).framed(size, crop)) for path in paths]
    if corners:
        rows, total = _between_corners(transfer, photos, sources), _STEPS
    elif strengths:
        rows, total = _by_strength(transfer, photos, sources, strengths), len(photos) * len(sources)
    else:
        rows, total = _by_style(transfer, photos, sources), 1 + len(photos)
    with progress("Stylizing", total, rows) as shown:
        sheet = draw(list(shown), cell)
    write_picture(output, Picture(sheet, alpha=None, format="PNG"))


def _by_style(transfer: Transfer, photos: Sequence[_Photo], sources: Sequence[StyleSource]) -> Iterator[list[Cell]]:
    """Yield the styles as the first row, then a row for each photo."""
    yield [Cell(), *(Cell(source.label, source.pixels) for source in sources)]
    for name, photo in photos:
        yield [Cell(name, photo.pixels), *(Cell(pixels=_stylized(transfer, photo, source)) for source in sources)]


def _by_strength(
    transfer: Transfer, photos: Sequence[_Photo], sources: Sequence[StyleSource], strengths: Sequence[float]
) -> Iterator[list[Cell]]:
    """Yield a row for each photo and style: the photo, the strengths, the style."""
    for name, photo in photos:
        for source in sources:
            cells = [
                Cell(f"alpha {strength:g}", _stylized(replace(transfer, strength=strength), photo, source))
                for strength in strengths
            ]
            yield [Cell(name, photo.pixels), *cells, Cell(source.label, source.pixels)]


def _between_corners(
    transfer: Transfer, photos: Sequence[_Photo], sources: Sequence[StyleSource]
) -> Iterator[list[Cell]]:
    """Yield the rows of a square whose corners are four styles and whose inside is mixed bilinearly."""
    ((_, photo),) = photos
    steps = [step / (_STEPS - 1) for step in range(_STEPS)]
    for y in steps:
        row = []
        for x in steps:
            weights = ((1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y)
            whole = [source.label for source, weight in zip(sources, weights, strict=True) if weight == 1]
            row.append(Cell("".join(whole), _stylized(transfer, photo, *sources, weights=weights)))
        yield row


def _stylized(transfer: Transfer, photo: Picture, *sources: StyleSource, weights: tuple[float, ...] = (1.0,)) -> Pixels:
    return transfer.apply(photo, StyleMix(sources, weights)).pixels


def _strengths(alphas: str | None) -> list[float]:
    try:
        strengths = [float(alpha) for alpha in alphas.split(",")] if alphas else []
    except ValueError:
        raise AdainError(f"--alphas {alphas}: is no list of numbers such as 0,0.5,1") from None
    for strength in strengths:
        if not 0 <= strength <= 1:
            raise AdainError(f"--alphas {alphas}: {strength:g} is not from 0 to 1")
    return strengths
