"""The job of ``adain-rt grid``: contact sheets of stylised pictures, row by row."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.jobs.inputs import fit_content, name_fitted, read_content
from adain_rt.jobs.outputs import check_free, check_writable_to, name_output
from adain_rt.jobs.styles import StyleArgument, load
from adain_rt.media.pictures import Picture
from adain_rt.media.sheet import Cell
from adain_rt.strokes import STROKES, check_strokes
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleMix, StyleSource, Transfer
from adain_rt.underpainting import UNDERPAINTING, check_underpainting

__all__ = ["Sheet"]

_CORNERS = 4
_STEPS = 5
"""Pictures along each side of the square between four styles, as in the paper's figure."""


@dataclass
class Sheet:
    """Lays out contents in styles: each content in each style, at several strengths, or between four styles.

    Whatever can be refused before a picture is read is refused when the job is made.

    Attributes:
        contents: files, or ``STDIN``.
        styles: pictures, directories, saved styles or presets, without weights.
        output: the file of the sheet, or a device or a pipe, such as ``STDOUT``.
        alpha: the paper's α, from 0 to 1.
        alphas: several of them, which make a row for each content and style.
        corners: whether one content is shown between four styles, mixed.
        strokes: how large they are, as for ``paint``.
        fit: whether styles are fitted to each content.
        underpainting: the deviation of the tones under it, as for ``paint``.
        color: whose colours, as for ``Transfer``.
        size: pixels of the content's shorter side; 0 keeps the size.
        max_size: the most pixels of the content's longer side, as for ``frame``; 0 sets no limit.
        style_size: pixels of a style picture's shorter side; 0 keeps the size.
        crop: whether pictures are cropped to their central square first.
        overwrite: whether the file may be replaced.
        count: the number of the sheet's rows.

    Raises:
        AdainError: there are no such strokes, or no such underpainting; what is asked for does not go together; or the
            sheet would overwrite a file.

    """

    contents: Collection[Path]
    styles: Sequence[StyleArgument]
    output: Path
    alpha: float = 1.0
    alphas: Sequence[float] = ()
    corners: bool = False
    strokes: int = STROKES
    fit: bool = True
    underpainting: float = UNDERPAINTING
    color: str = "none"
    size: int = 512
    max_size: int = 0
    style_size: int = 512
    crop: bool = False
    overwrite: bool = False
    count: int = field(init=False)

    def __post_init__(self) -> None:
        check_strokes(self.strokes)
        check_underpainting(self.underpainting)
        names = self._names
        if any(argument.weight is not None for argument in self.styles):
            raise AdainError("the styles of a grid are not mixed, and take no weights")
        if self.corners and (len(self.contents), len(names)) != (1, _CORNERS):
            raise AdainError(
                f"a sheet between corners takes one content and four styles, not {len(self.contents)} and {len(names)}"
            )
        if self.corners and self.alphas:
            raise AdainError(
                "there is no sheet with both corners and strengths", hint="leave out `corners` or `alphas`"
            )
        if self.alphas and self.alpha != 1:
            raise AdainError(
                "one strength and several strengths exclude each other", hint="leave out `alpha` or `alphas`"
            )
        self.output = name_output(str(self.output))
        check_writable_to(self.output)
        files = [file for argument in self.styles for file in argument.files]
        check_free([self.output], [*self.contents, *files], self.overwrite)
        if self.corners:
            self.count = _STEPS
        elif self.alphas:
            self.count = len(self.contents) * len(names)
        else:
            self.count = 1 + len(self.contents)

    def rows(self, stylizer: Stylizer) -> Iterator[list[Cell]]:
        """Yield the rows of the sheet.

        Raises:
            AdainError: a picture or a style cannot be read, or a picture cannot be stylised.

        """
        transfer = Transfer(stylizer, self.alpha, self.color, self.strokes, self.fit, self.underpainting)
        loaded = [load(name, stylizer, self.style_size, self.crop) for name in self._names]
        sources = [transfer.prepare(source) for source in loaded]
        photos = [self._read(path) for path in self.contents]
        if self.corners:
            yield from _mix_between_corners(transfer, photos[0], sources)
        elif self.alphas:
            yield from _sweep_strengths(transfer, photos, sources, self.alphas)
        else:
            yield from _cross(transfer, photos, sources)

    def _read(self, path: Path) -> _Photo:
        picture = read_content(path)
        try:
            fitted = fit_content(picture, self.size, self.crop, self.max_size)
        except AdainError as error:
            raise AdainError(f"{path}: {error.message}", hint=error.hint) from None
        return _Photo(path.stem, name_fitted(path, picture, fitted), fitted)

    @property
    def _names(self) -> list[str]:
        return [name for argument in self.styles for name in argument.names]


@dataclass(frozen=True)
class _Photo:
    """A content as it is painted: its label, its name in errors, and its picture."""

    label: str
    name: str
    picture: Picture

    @property
    def cell(self) -> Cell:
        return Cell(self.label, self.picture.pixels)


def _cross(transfer: Transfer, photos: Sequence[_Photo], sources: Sequence[StyleSource]) -> Iterator[list[Cell]]:
    """Yield the styles as the first row, then a row for each photo."""
    yield [Cell(), *(Cell(source.label, source.pixels) for source in sources)]
    for photo in photos:
        yield [photo.cell, *(Cell(pixels=_stylize(transfer, photo, source)) for source in sources)]


def _sweep_strengths(
    transfer: Transfer, photos: Sequence[_Photo], sources: Sequence[StyleSource], alphas: Sequence[float]
) -> Iterator[list[Cell]]:
    """Yield a row for each photo and style: the photo, the strengths, the style."""
    for photo in photos:
        for source in sources:
            cells = [
                Cell(f"alpha {alpha:g}", _stylize(replace(transfer, strength=alpha), photo, source)) for alpha in alphas
            ]
            yield [photo.cell, *cells, Cell(source.label, source.pixels)]


def _mix_between_corners(transfer: Transfer, photo: _Photo, sources: Sequence[StyleSource]) -> Iterator[list[Cell]]:
    """Yield the rows of a square with a style in each corner, mixed bilinearly between them."""
    steps = [step / (_STEPS - 1) for step in range(_STEPS)]
    for y in steps:
        row = []
        for x in steps:
            weights = ((1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y)
            whole = [source.label for source, weight in zip(sources, weights, strict=True) if weight == 1]
            row.append(Cell("".join(whole), _stylize(transfer, photo, *sources, weights=weights)))
        yield row


def _stylize(transfer: Transfer, photo: _Photo, *sources: StyleSource, weights: tuple[float, ...] = (1.0,)) -> Pixels:
    try:
        return transfer.apply(photo.picture, StyleMix(sources, weights)).pixels
    except AdainError as error:
        raise AdainError(f"{photo.name}: {error.message}", hint=error.hint) from None
