"""``adain-rt grid``: contact sheets."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import click

from adain_models.errors import AdainError
from adain_rt import outputs
from adain_rt.cli import options
from adain_rt.contents import expand
from adain_rt.framing import frame
from adain_rt.looks import Look, Painter, StyleSource, load_style, named_styles
from adain_rt.pictures import Picture, check_writable, read_picture, write_picture
from adain_rt.sheet import Cell, draw
from adain_rt.stylizer import Pixels, Stylizer

__all__ = ["command"]

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
@options.model
@options.backend
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
    model: str,
    backend: str,
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
    names = [name for style in styles for name in named_styles(style)]
    strengths = _strengths(alphas)
    if corners and (len(paths), len(names)) != (1, _CORNERS):
        raise AdainError(f"--corners takes one content and four styles, not {len(paths)} and {len(names)}")
    if corners and strengths:
        raise AdainError("--corners and --alphas are two sheets: ask for one at a time")
    outputs.check_free([output], [*paths, *map(Path, names)], overwrite)
    check_writable(output)

    painter = Painter(Stylizer(model, backend), alpha, color)
    sources = [load_style(name, painter.stylizer, style_size, crop) for name in names]
    photos = [_framed(read_picture(path), path, size, crop) for path in paths]
    if corners:
        rows = _between_corners(painter, photos[0], sources)
    elif strengths:
        rows = _by_strength(painter, photos, sources, strengths)
    else:
        rows = _by_style(painter, photos, sources)
    total = len(photos) * (_STEPS if corners else len(sources) if strengths else 1)
    with click.progressbar(rows, total, "Painting", file=sys.stderr, hidden=not sys.stderr.isatty()) as shown:
        sheet = draw(list(shown), cell)
    write_picture(output, Picture(sheet, alpha=None, format="PNG"))


def _by_style(painter: Painter, photos: Sequence[Cell], sources: Sequence[StyleSource]) -> Iterator[list[Cell]]:
    """Yield the styles as the first row, then a row for each photo."""
    yield [Cell(), *(Cell(source.label, source.pixels) for source in sources)]
    for photo in photos:
        yield [photo, *(Cell(pixels=_painted(painter, photo, source)) for source in sources)]


def _by_strength(
    painter: Painter, photos: Sequence[Cell], sources: Sequence[StyleSource], strengths: Sequence[float]
) -> Iterator[list[Cell]]:
    """Yield a row for each photo and style: the photo, the strengths, the style."""
    for photo in photos:
        for source in sources:
            cells = [
                Cell(f"alpha {strength:g}", _painted(replace(painter, strength=strength), photo, source))
                for strength in strengths
            ]
            yield [photo, *cells, Cell(source.label, source.pixels)]


def _between_corners(painter: Painter, photo: Cell, sources: Sequence[StyleSource]) -> Iterator[list[Cell]]:
    """Yield the rows of a square whose corners are four styles and whose inside is mixed bilinearly."""
    steps = [step / (_STEPS - 1) for step in range(_STEPS)]
    for y in steps:
        row = []
        for x in steps:
            weights = ((1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y)
            whole = [source.label for source, weight in zip(sources, weights, strict=True) if weight == 1]
            row.append(Cell("".join(whole), _painted(painter, photo, *sources, weights=weights)))
        yield row


def _painted(painter: Painter, photo: Cell, *sources: StyleSource, weights: tuple[float, ...] = (1.0,)) -> Pixels:
    assert photo.pixels is not None  # noqa: S101 - a photo's cell has them
    return painter.paint(photo.pixels, Look(sources, weights))


def _framed(picture: Picture, path: Path, size: int, crop: bool) -> Cell:
    return Cell(path.stem, frame(picture.pixels, size, crop))


def _strengths(alphas: str | None) -> list[float]:
    try:
        strengths = [float(alpha) for alpha in alphas.split(",")] if alphas else []
    except ValueError:
        raise AdainError(f"--alphas {alphas}: is no list of numbers such as 0,0.5,1") from None
    for strength in strengths:
        if not 0 <= strength <= 1:
            raise AdainError(f"--alphas {alphas}: {strength:g} is not from 0 to 1")
    return strengths
