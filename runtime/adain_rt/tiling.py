"""Pictures of any size, in tiles that come out as they do in the whole picture.

AdaIN needs the mean and the deviation of each channel over the whole picture, which are made of sums. So a picture is
measured tile by tile first, and painted tile by tile after, each time with as much around a tile as the network reads.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from adain_rt.auto import OpenGraph
from adain_rt.contract import MULTIPLE, Pixels
from adain_rt.pixels import compose, pad, padded
from adain_rt.progress import Progress

__all__ = [
    "LANES",
    "Canvas",
    "Code",
    "Moments",
    "Tile",
    "Tiling",
    "Window",
    "find_window",
    "lay_tiles",
    "map_ahead",
]

_EPSILON = 1e-5  # under the root of every deviation, as in adain_models.adain
_OPAQUE = 255
LANES = 2
"""How many tiles a GPU is given at once, so that it computes one while the other is copied."""

Code = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Means and deviations."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Canvas(Protocol):
    """Pixels in memory, or in a file that is read in parts; ``canvas[top:bottom, left:right]`` is an array."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Height and width, and 3 for a picture."""

    def __getitem__(self, part: Any, /) -> Any:
        """Return a part."""


class Window(NamedTuple):
    """A size that is computed at once, in pixels, both multiples of 8."""

    height: int
    width: int


class Span(NamedTuple):
    """A part of a side: from ``start``, ``length`` pixels are read; those from ``begin`` to ``end`` are its own."""

    start: int
    length: int
    begin: int
    end: int


class Tile(NamedTuple):
    """A part of a padded picture: some rows and some columns."""

    rows: Span
    columns: Span

    @property
    def read(self) -> tuple[slice, slice]:
        """The rows and columns that it is computed from."""
        return slice(self.rows.start, self.rows.start + self.rows.length), slice(
            self.columns.start, self.columns.start + self.columns.length
        )

    @property
    def own(self) -> tuple[slice, slice]:
        """The rows and columns that it gives."""
        return slice(self.rows.begin, self.rows.end), slice(self.columns.begin, self.columns.end)

    @property
    def own_in_read(self) -> tuple[slice, slice]:
        """The rows and columns that it gives, counted from where its reading starts."""
        return tuple(slice(each.begin - each.start, each.end - each.start) for each in self)  # type: ignore[return-value]


def find_window(height: int, width: int, pixels: int) -> Window:
    """Return the size of a window of at most so many pixels: square, but for a picture that is not as wide or as high.

    Args:
        height: of the padded picture.
        width: of the padded picture.
        pixels: how many may be computed at once.

    """
    side = math.isqrt(pixels)
    columns = min(width, max(side, pixels // height))
    rows = min(height, max(side, pixels // columns))
    return Window(*(max(MULTIPLE, each // MULTIPLE * MULTIPLE) for each in (rows, columns)))


def lay_tiles(height: int, width: int, window: Window, halo: int) -> list[Tile]:
    """Return tiles that cover a padded picture, row by row; all are computed in windows of one size.

    Every pixel is the own of one tile, and ``halo`` pixels from what is not read, but for the picture's own edge.

    Args:
        height: of the padded picture.
        width: of the padded picture.
        window: the largest size that may be computed at once; its sides exceed two halos, or are the picture's.
        halo: in pixels, a multiple of 8.

    """
    columns = _split(width, window.width, halo)
    return [Tile(rows, each) for rows in _split(height, window.height, halo) for each in columns]


def _split(length: int, window: int, halo: int) -> list[Span]:
    """Return as few spans as cover a side, all as short as serves."""
    if length <= window:
        return [Span(0, length, 0, length)]
    inner = length - 2 * halo
    count = -(-inner // (window - 2 * halo))
    step = -(-inner // (count * MULTIPLE)) * MULTIPLE
    window = step + 2 * halo
    ends = [halo + step * place for place in range(1, count)]
    spans = zip([0, *ends], [*ends, length], strict=True)
    return [Span(min(place * step, length - window), window, *span) for place, span in enumerate(spans)]


@dataclass
class Moments:
    """The positions of features that were measured so far, for each region, in float64.

    Attributes:
        count: how many positions, each counted by its share in the region, (R,).
        mean: of each channel, (R, C).
        m2: the sum of the squared differences from the mean, (R, C).

    """

    count: NDArray[np.float64]
    mean: NDArray[np.float64]
    m2: NDArray[np.float64]

    @classmethod
    def none(cls, regions: int, channels: int) -> Moments:
        """Return the moments of no positions."""
        return cls(np.zeros(regions), np.zeros((regions, channels)), np.zeros((regions, channels)))

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both (Chan, Golub and LeVeque 1979, "Updating Formulae and a Pairwise Algorithm")."""
        count = self.count + other.count
        share = (other.count / np.maximum(count, _EPSILON))[:, None]
        apart = other.mean - self.mean
        m2 = self.m2 + other.m2 + apart**2 * self.count[:, None] * share
        return Moments(count, self.mean + apart * share, m2)

    def code(self) -> Code:
        """Return the mean and the deviation, float32 (R, C) each.

        The divisor of the variance is the count less 1, but never below 1 (``adain_models.adain``).
        """
        variance = self.m2 / np.maximum(self.count - 1, 1)[:, None]
        return self.mean.astype(np.float32), np.sqrt(variance + _EPSILON).astype(np.float32)


class Tiling:
    """A picture that one graph computes in tiles, in windows of one size.

    Args:
        content: (H, W, 3).
        masks: (H, W) each, one for each style; without any, there is one style, and it applies everywhere.
        opened: the graph: ``measure``, ``stylize_fixed``, or with masks ``stylize_regions_fixed``.
        window: the largest size that it may compute at once.
        styles: means and deviations, float32 (R, C) each; ``None`` for ``measure``.

    Attributes:
        tiles: the tiles, in their order.

    """

    def __init__(
        self,
        content: Canvas,
        masks: Sequence[Canvas],
        opened: OpenGraph,
        window: Window,
        styles: Code | None = None,
    ) -> None:
        self._content, self._masks, self._opened, self._styles = content, masks, opened, styles
        self._height, self._width = content.shape[:2]
        self.tiles = lay_tiles(padded(self._height), padded(self._width), window, opened.facts.halo or 0)

    def measure(self, progress: Progress | None = None) -> Code:
        """Return the code of each region, (R, C) each; without masks, of the whole picture.

        Args:
            progress: is called with the share that is done.

        """
        moments = Moments.none(len(self._masks) or 1, self._opened.facts.channels)
        for measured in self._compute(self._measure, 0, progress):
            moments += measured
        return moments.code()

    def paint(
        self, content: Code, strength: float = 1.0, start: int = 0, progress: Progress | None = None
    ) -> Iterator[tuple[slice, slice, Pixels]]:
        """Yield the tiles, each as the rows and columns that it gives, and its pixels.

        Args:
            content: what ``Stylizer.measure_tiles`` returned for the picture and its masks.
            strength: the paper's α, from 0 to 1.
            start: how many tiles are left out.
            progress: is called with the share that is done.

        """
        given = {"strength": np.full(1, strength, np.float32)}
        for name, own, style in zip(("mean", "std"), content, self._styles or (), strict=True):
            given[f"content_{name}"] = own[None] if self._masks else own
            given[f"style_{name}"] = style[None] if self._masks else style
        painted = self._compute(lambda tile: self._paint(tile, given), start, progress)
        for tile, pixels in zip(self.tiles[start:], painted, strict=True):
            top, left = tile.rows.begin, tile.columns.begin
            yield slice(top, top + pixels.shape[0]), slice(left, left + pixels.shape[1]), pixels

    def _compute(self, work: Callable[[Tile], Result], start: int, progress: Progress | None) -> Iterator[Result]:
        """Yield what ``work`` makes of the tiles, in their order."""
        tiles = self.tiles[start:]
        results = map_ahead(work, tiles, LANES) if self._opened.on_gpu else map(work, tiles)
        try:
            for done, result in enumerate(results, start + 1):
                yield result
                if progress is not None:
                    progress(done / len(self.tiles))
        finally:
            self._opened.trim()  # the second pass has a graph of its own, and the result takes memory to encode

    def _measure(self, tile: Tile) -> Moments:
        image, masks = self._read(tile)
        own = np.zeros_like(masks)
        part = (slice(None), *tile.own_in_read)
        own[part] = masks[part]
        outputs = self._opened.run({"image": image, "masks": own[None]})
        return Moments(*(numbers[0].astype(np.float64) for numbers in outputs))

    def _paint(self, tile: Tile, given: dict[str, NDArray[np.float32]]) -> Pixels:
        image, masks = self._read(tile)
        inputs: dict[str, NDArray[Any]] = {"image": image, **given}
        (stylized,) = self._opened.run(inputs | {"masks": masks[None]} if self._masks else inputs)
        if self._masks:
            stylized = compose(stylized, image, masks)
        within = stylized[0, : self._height - tile.rows.start, : self._width - tile.columns.start]
        own: Pixels = within[tile.own_in_read]
        return own

    def _read(self, tile: Tile) -> tuple[Pixels, Pixels]:
        """Return what a tile is computed from: the picture (1, H, W, 3), and the regions (R, H, W) that it has."""
        image = pad(np.asarray(self._content[tile.read])[None])
        if not self._masks:
            return image, np.full((1, *image.shape[1:3]), _OPAQUE, np.uint8)
        return image, pad(np.stack([np.asarray(mask[tile.read]) for mask in self._masks])[..., None])[..., 0]


def map_ahead(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> Iterator[Result]:
    """Yield what ``work`` makes of items, in their order, by threads that are no more items ahead than there are."""
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
