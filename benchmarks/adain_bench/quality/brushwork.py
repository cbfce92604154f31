"""Figures of brushwork, by pixels alone: what a network leaves that no painter would, and how strong its strokes are.

They are of luminance, 0.299 R + 0.587 G + 0.114 B in levels of 0..255 (ITU-R BT.601), on pictures whose shorter side is
512 pixels; pictures are uint8 (H, W, 3). Grid and axes look where the photo is flat, since what is regular there is not
the photo's own. Every tile weighs the same there, whatever its contrast, or the few with an edge in them would be all
that counts; what varies by less than a level, which nobody sees, weighs less.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.contract import Pixels

__all__ = [
    "Tiles",
    "all_tiles",
    "angles",
    "axes",
    "flat_tiles",
    "grid",
    "luminance",
    "mesh",
    "noise_gain",
    "strokes",
    "unevenness",
]

Tiles = NDArray[np.intp]
"""Where tiles are: row and column of each one's first pixel, (N, 2)."""

_TILE, _STEP = 64, 32  # pixels of a tile's side, and from one tile to the next
_FLAT = 4  # one tile in so many counts as flat
_VISIBLE = 1.0  # squared levels
_NOTHING = 1e-10  # of a spectrum that adds up to 1: so faint that its logarithm says nothing
_REPEAT = _TILE // 8  # numbers of a spectrum in an eighth of a cycle a pixel
_RINGS = (6, 12, 20, 33)  # cycles in a tile, of a mesh
_OFF_AXIS = 3  # cycles in a tile: what a Hann window makes of a wave along an axis has fewer
_NEAR = 9.0  # degrees from an axis

_Plane = NDArray[np.float64]


def all_tiles(picture: Pixels) -> Tiles:
    """Return a picture's tiles, 64x64 at steps of 32.

    Raises:
        AdainError: the picture is smaller than a tile.

    """
    height, width = picture.shape[:2]
    if min(height, width) < _TILE:
        raise AdainError(f"a picture of {width}x{height} is too small to judge: {_TILE}x{_TILE} at least")
    places = [np.arange(0, side - _TILE + 1, _STEP) for side in (height, width)]
    return np.stack(np.meshgrid(*places, indexing="ij"), -1).reshape(-1, 2)


def flat_tiles(photo: Pixels) -> Tiles:
    """Return the quarter of a photo's tiles that has the least mean absolute differences between neighbouring pixels.

    Raises:
        AdainError: as ``all_tiles``.

    """
    tiles = all_tiles(photo)
    order = np.argsort(_variations(luminance(photo), tiles), kind="stable")
    return tiles[order[: max(1, len(tiles) // _FLAT)]]


def grid(picture: Pixels, tiles: Tiles, modulo: int) -> float:
    """Return how far gradients are locked to a grid; 1 is not at all.

    Squared differences to the next pixel across, each tile's divided by their mean, are averaged by their column in the
    whole picture modulo ``modulo``: the largest of these averages over their mean. The same down, by row; the mean of
    the two. By chance, and by the edges of things, photos have 1.02 to 1.2.
    """
    plane = luminance(picture)
    return (_peak(plane, tiles, modulo) + _peak(plane.T, tiles[:, ::-1], modulo)) / 2


def axes(picture: Pixels, tiles: Tiles) -> float:
    """Return how much more power there is along the pixel axes than off them; white noise has 1.

    Of the mean of the tiles' power spectra, each divided by its sum, the tile's mean removed before and a Hann window
    on it: the mean power within 9 degrees of the axes over the mean power elsewhere, from 1/16 to 1/2 cycle a pixel.
    """
    shares, degrees = _spectrum(picture, tiles)
    along, off = shares[degrees <= _NEAR].mean(), shares[degrees > _NEAR].mean()
    return float(along / off) if off else 1.0


def angles(picture: Pixels, tiles: Tiles) -> float:
    """Return how far power keeps to some angles to the pixel axes; white noise has 1.

    Of the same spectrum as in ``axes``: the largest over the mean of the mean powers in five sectors of 9 degrees, from
    along an axis to 45 degrees off both. A hatch along the diagonals shows here, and not in ``axes``.
    """
    shares, degrees = _spectrum(picture, tiles)
    sectors = np.ceil(degrees / _NEAR).astype(int).clip(1, 5)
    means = np.array([shares[sectors == sector].mean() for sector in range(1, 6)])
    return float(means.max() / means.mean()) if means.any() else 1.0


def mesh(picture: Pixels) -> float:
    """Return how far a picture's spectrum repeats itself after an eighth of a cycle a pixel; 1 is not at all.

    A network whose features are 8 pixels apart leaves a mesh of waves whose frequencies differ by an eighth. Of the
    mean of the power spectra of all tiles, each divided by its sum, the tile's mean removed before and a Hann window on
    it, the logarithm is taken, less its own mean over an eighth of a cycle both ways. It is averaged over the waves
    that have the same place in an eighth, mirrored or not, in three rings of wavelengths: down to 5.3, 3.2 and 1.94
    pixels, from 10.7. Waves along an axis are averaged by themselves, less the mean along the axis alone: horizons and
    walls have more of them than there is beside the axis. The root mean square of the averages, half of it of each
    kind, is that of a factor, which is returned.
    """
    power = _powers(picture, all_tiles(picture))
    logarithm = np.log((power / (power.sum((1, 2), keepdims=True) + _VISIBLE)).mean(0) + _NOTHING)
    cycles = np.abs(np.fft.fftfreq(_TILE, 1 / _TILE)).astype(int)
    waves = np.meshgrid(cycles, cycles, indexing="ij")
    ring = np.digitize(np.hypot(*waves), _RINGS)
    counted = (ring > 0) & (ring < len(_RINGS))
    place = [np.minimum(each % _REPEAT, -each % _REPEAT) for each in waves]
    off = _fold(
        logarithm - _smooth(_smooth(logarithm, 0), 1), (ring, *place), counted & (np.minimum(*waves) >= _OFF_AXIS)
    )
    down, across = (
        _fold(logarithm - _smooth(logarithm, axis), (ring, place[axis]), counted & (waves[1 - axis] < _OFF_AXIS))
        for axis in (0, 1)
    )
    along = (down + across) / 2
    return float(np.exp(np.sqrt((np.mean(off**2) + np.mean(along**2)) / 2)))


def unevenness(picture: Pixels, tiles: Tiles) -> float:
    """Return how unevenly what is drawn is spread over tiles: the deviation of their variations over the mean of these.

    A tile's variation is its mean absolute difference between neighbouring pixels, and a level besides, which nobody
    sees.
    """
    variations = _variations(luminance(picture), tiles) + _VISIBLE
    return float(variations.std() / variations.mean())


def strokes(picture: Pixels, cell: int, tiles: Tiles | None = None) -> float:
    """Return how strong what is ``cell`` to twice as many pixels wide is: levels, root mean square.

    It is of the differences between the means of square cells and those of the 2x2 cells around them, an octave of
    Haar's wavelets.

    Args:
        picture: what is left over at the right and below, less than two cells, does not count.
        cell: pixels; twice as many divide 64.
        tiles: where it counts; everywhere if it is ``None``.

    """
    plane = luminance(picture)
    fine, coarse = _cells(plane, cell), _cells(plane, 2 * cell)
    rows, columns = coarse.shape
    blocks = fine[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
    squares = ((blocks - coarse[:, None, :, None]) ** 2).mean((1, 3))
    if tiles is None:
        return float(np.sqrt(squares.mean()))
    return float(np.sqrt(_cut(squares, tiles // (2 * cell), _TILE // (2 * cell)).mean()))


def noise_gain(stylize: Callable[[Pixels], Pixels], photo: Pixels) -> float:
    """Return what noise of one level becomes where a photo is smooth: levels, root mean square.

    The upper half of the photo is a ramp of grey, as a sky might be, from 120 at one corner to 200 at the other: once
    as it is and once with Gaussian noise of one level, the same for red, green and blue. The figure is of the
    difference between the two results there.

    Args:
        stylize: gives a photo the style.
        photo: uint8 (H, W, 3).

    """
    half = len(photo) // 2
    down, across = (np.linspace(0, 1, length) for length in (half, photo.shape[1]))
    ramp = 120 + 80 * (down[:, None] + across) / 2
    noise = np.random.default_rng(0).normal(size=ramp.shape)
    smooth, noisy = (
        luminance(stylize(np.concatenate([np.round(sky)[..., None].repeat(3, 2).astype(np.uint8), photo[half:]])))
        for sky in (ramp, ramp + noise)
    )
    return float(np.sqrt(((noisy - smooth)[:half] ** 2).mean()))


def luminance(picture: Pixels) -> _Plane:
    """Return a picture's luminance, float64 (H, W)."""
    plane: _Plane = picture @ np.array([0.299, 0.587, 0.114])
    return plane


def _cut(plane: _Plane, tiles: Tiles, side: int = _TILE) -> _Plane:
    """Return the tiles of a plane, (N, side, side)."""
    windows = np.lib.stride_tricks.sliding_window_view(plane, (side, side))
    return windows[tiles[:, 0], tiles[:, 1]]


def _variations(plane: _Plane, tiles: Tiles) -> _Plane:
    """Return the tiles' mean absolute differences between neighbouring pixels, across and down together, (N,)."""
    cut = _cut(plane, tiles)
    across, down = (np.abs(np.diff(cut, axis=axis)).mean((1, 2)) for axis in (2, 1))
    variations: _Plane = across + down
    return variations


def _spectrum(picture: Pixels, tiles: Tiles) -> tuple[_Plane, _Plane]:
    """Return the powers that ``axes`` looks at, and how many degrees each is off the nearest axis, (M,) both."""
    power = _powers(picture, tiles)
    down, across = np.meshgrid(*[np.abs(np.fft.fftfreq(_TILE))] * 2, indexing="ij")
    frequency = np.hypot(down, across)
    seen = (frequency >= 1 / 16) & (frequency <= 1 / 2)
    degrees = np.degrees(np.arctan2(np.minimum(down, across), np.maximum(down, across)))
    shares = (power / (power[:, seen].sum(1)[:, None, None] + _VISIBLE)).mean(0)
    return shares[seen], degrees[seen]


def _powers(picture: Pixels, tiles: Tiles) -> _Plane:
    """Return the tiles' power spectra, (N, 64, 64), each of which adds up to the tile's variance (Parseval)."""
    cut = _cut(luminance(picture), tiles)
    hann = np.sin(np.pi * np.arange(_TILE) / _TILE) ** 2
    window = hann[:, None] * hann
    amplitude = np.abs(np.fft.fft2((cut - cut.mean((1, 2), keepdims=True)) * window))
    power: _Plane = amplitude**2 / (cut[0].size * (window**2).sum())
    return power


def _smooth(spectrum: _Plane, axis: int) -> _Plane:
    """Return a spectrum averaged over an eighth of a cycle along an axis, around each number."""
    nine = [np.roll(spectrum, shift, axis) for shift in range(-_REPEAT // 2, _REPEAT // 2 + 1)]
    smooth: _Plane = (np.sum(nine, 0) - (nine[0] + nine[-1]) / 2) / _REPEAT  # the two at the ends are one
    return smooth


def _fold(spectrum: _Plane, places: Sequence[NDArray[np.intp]], counted: NDArray[np.bool_]) -> _Plane:
    """Return the means of the numbers of a spectrum that count, over those that have the same places."""
    _, group = np.unique(np.stack(places)[:, counted], axis=1, return_inverse=True)
    means: _Plane = np.bincount(group, spectrum[counted]) / np.bincount(group)
    return means


def _peak(plane: _Plane, tiles: Tiles, modulo: int) -> float:
    """Return the largest over the mean of the energies across by column modulo ``modulo``; 1 where nothing changes."""
    energies = (np.diff(_cut(plane, tiles), axis=2) ** 2).mean(1)  # (N, columns)
    energies /= energies.mean(1, keepdims=True) + _VISIBLE
    places = (tiles[:, 1:] + np.arange(energies.shape[1])) % modulo
    sums, counts = (np.bincount(places.ravel(), weights, modulo) for weights in (energies.ravel(), None))
    means = sums / counts
    return float(means.max() / means.mean()) if means.any() else 1.0


def _cells(plane: _Plane, side: int) -> _Plane:
    """Return the means of square cells, (H // side, W // side)."""
    rows, columns = (length // side for length in plane.shape)
    cells: _Plane = plane[: rows * side, : columns * side].reshape(rows, side, columns, side).mean((1, 3))
    return cells
