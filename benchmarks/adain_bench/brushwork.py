"""Figures of brushwork, by pixels alone: what a network leaves that no painter would, and the size of its strokes.

They are of luminance, 0.299 R + 0.587 G + 0.114 B in levels of 0..255 (ITU-R BT.601), on pictures whose shorter side is
512 pixels; pictures are uint8 (H, W, 3). Grid and axes look where the photo is flat, since what is regular there is not
the photo's own.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.contract import Pixels

__all__ = ["TILE", "Tiles", "axes", "flat_tiles", "grid", "noise_gain", "strokes"]

TILE = 64
"""Pixels of a tile's side: a picture must not be smaller."""

Tiles = NDArray[np.intp]
"""Where tiles are: the row and the column of each one's first pixel, (N, 2)."""

_STEP = 32  # from one tile to the next
_FLAT = 4  # one tile in so many counts as flat
_NEAR = 9.0  # degrees from an axis

_Plane = NDArray[np.float64]


def flat_tiles(photo: Pixels) -> Tiles:
    """Return the quarter of a photo's tiles, 64x64 at steps of 32, that has the least mean absolute gradient.

    Raises:
        AdainError: the photo is smaller than a tile.

    """
    plane = _luminance(photo)
    if min(plane.shape) < TILE:
        raise AdainError(
            f"a picture of {photo.shape[1]}x{photo.shape[0]} is too small to judge: {TILE}x{TILE} at least"
        )
    slope = sum(np.abs(np.diff(plane, axis=axis, append=np.take(plane, [-1], axis))) for axis in (0, 1))
    rows, columns = (np.arange(0, side - TILE + 1, _STEP) for side in plane.shape)
    everywhere = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
    means = [slope[row : row + TILE, column : column + TILE].mean() for row, column in everywhere]
    return everywhere[np.argsort(means, kind="stable")[: max(1, len(means) // _FLAT)]]


def grid(picture: Pixels, tiles: Tiles, modulo: int) -> float:
    """Return how much of the gradients' energy is locked to a grid; 1 is none of it.

    The squared differences to the next pixel across, in the tiles, by their column in the whole picture modulo
    ``modulo``: the largest of these means over their mean. The same down, by row; the mean of the two. Chance alone
    makes it more than 1.
    """
    plane = _luminance(picture)
    return (_folded(plane, tiles, modulo) + _folded(plane.T, tiles[:, ::-1], modulo)) / 2


def axes(picture: Pixels, tiles: Tiles) -> float:
    """Return how much more power tiles have along the pixel axes than off them; 1 is white noise.

    Of the mean power spectrum of the tiles, their mean removed and a Hann window on them: the mean power within 9
    degrees of the axes over the mean power elsewhere, from 1/16 to 1/2 cycle a pixel.
    """
    plane = _luminance(picture)
    cut = np.stack([plane[row : row + TILE, column : column + TILE] for row, column in tiles])
    hann = np.sin(np.pi * np.arange(TILE) / TILE) ** 2
    spectra = np.fft.fft2((cut - cut.mean((1, 2), keepdims=True)) * hann[:, None] * hann)
    power = (np.abs(spectra) ** 2).mean(0)
    down, across = np.meshgrid(*[np.abs(np.fft.fftfreq(TILE))] * 2, indexing="ij")
    seen = (np.hypot(down, across) >= 1 / 16) & (np.hypot(down, across) <= 1 / 2)
    near = np.degrees(np.arctan2(np.minimum(down, across), np.maximum(down, across))) <= _NEAR
    along, off = power[seen & near].mean(), power[seen & ~near].mean()
    return float(along / off) if off else 1.0


def strokes(picture: Pixels, cell: int) -> float:
    """Return how strong strokes from ``cell`` to twice as many pixels are: levels, root mean square.

    It is of the differences between the means of cells and those of the 2x2 cells around them, an octave of Haar's
    wavelets. What is left over at the right and below does not count.
    """
    plane = _luminance(picture)
    fine, coarse = _cells(plane, cell), _cells(plane, 2 * cell)
    rows, columns = coarse.shape
    fine = fine[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    return float(np.sqrt(((fine - coarse[:, None, :, None]) ** 2).mean()))


def noise_gain(stylize: Callable[[Pixels], Pixels], photo: Pixels) -> float:
    """Return what noise of one level becomes where a photo is smooth: levels, root mean square.

    The middle quarter of the photo is a ramp of grey, once as it is and once with Gaussian noise of one level, the same
    for red, green and blue; what the figure is of is the difference in luminance between the two results there.

    Args:
        stylize: gives the photo a style.
        photo: uint8 (H, W, 3).

    """
    height, width = photo.shape[:2]
    part = (slice(height // 4, height - height // 4), slice(width // 4, width - width // 4))
    rows, columns = (np.linspace(0, 0.5, stop.stop - stop.start) for stop in part)
    ramp = 96 + 64 * (rows[:, None] + columns)
    noise = np.random.default_rng(0).normal(size=ramp.shape)
    results = []
    for tone in (ramp, ramp + noise):
        given = photo.copy()
        given[part] = np.round(tone)[..., None].astype(np.uint8)
        results.append(_luminance(stylize(given))[part])
    smooth, noisy = results
    return float(np.sqrt(((noisy - smooth) ** 2).mean()))


def _luminance(picture: Pixels) -> _Plane:
    plane: _Plane = picture @ np.array([0.299, 0.587, 0.114])
    return plane


def _folded(plane: _Plane, tiles: Tiles, modulo: int) -> float:
    """Return the largest over the mean of the energies across by column modulo ``modulo``; 1 where all is flat."""
    energy = np.diff(plane, axis=1) ** 2
    sums, counts = np.zeros(modulo), np.zeros(modulo)
    for row, column in tiles:
        by_column = energy[row : row + TILE, column : column + TILE].mean(0)
        place = np.arange(column, column + by_column.size) % modulo
        sums += np.bincount(place, by_column, modulo)
        counts += np.bincount(place, minlength=modulo)
    means = sums / counts
    return float(means.max() / means.mean()) if means.any() else 1.0


def _cells(plane: _Plane, side: int) -> _Plane:
    rows, columns = (length // side for length in plane.shape)
    cells: _Plane = plane[: rows * side, : columns * side].reshape(rows, side, columns, side).mean((1, 3))
    return cells
