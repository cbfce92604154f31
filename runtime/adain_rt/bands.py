"""Pictures resized in bands of rows: several at a time, by a thread each, and of a file only these are in memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from adain_rt.contract import Pixels
from adain_rt.tiling import Canvas, map_ahead

__all__ = ["add_change", "shrink"]

_ROWS = range(32, 129)
"""So many rows are a band: few, since the numbers take four times the memory of the photo."""

_BAND = 1 << 18
"""About the pixels of a band, within these rows. It depends on the picture alone, so that any threads make the same."""

_MOST = 1 << 22
"""The most pixels that all threads make at a time, if there are several."""

_LANCZOS = 3
"""Pixels of the smaller picture that the filter reaches to either side."""


def shrink(canvas: Canvas, height: int, width: int, threads: int = 1) -> Pixels:
    """Return a picture, or a mask, resized by a Lanczos filter; as it is if it has that size.

    Args:
        canvas: uint8 (H, W, 3) or (H, W): an array, or a file that is read in parts.
        height: of the result, at most H.
        width: of the result, at most W.
        threads: how many there may be.

    """
    rows, columns = canvas.shape[:2]
    if (height, width) == (rows, columns):
        whole: Pixels = canvas[0:rows, 0:columns]
        return whole
    reach = math.ceil(_LANCZOS * rows / height) + 1

    def resize(band: slice) -> Pixels:
        start, stop = band.start * rows / height, band.stop * rows / height
        first, last = max(0, math.floor(start) - reach), min(rows, math.ceil(stop) + reach)
        box = (0, start - first, columns, stop - first)
        size = width, band.stop - band.start
        return np.asarray(Image.fromarray(canvas[first:last, 0:columns]).resize(size, Image.Resampling.LANCZOS, box))

    return np.concatenate([made for _, made in _make_bands(resize, height, width, threads)])


def add_change(photo: Canvas, smaller: Pixels, painted: Pixels, threads: int = 1) -> Iterator[tuple[slice, Pixels]]:
    """Yield a photo, some rows at a time, with what painting changed on a smaller one.

    So the detail that the smaller one lacks is there.

    Args:
        photo: uint8 (H, W, 3): an array, or a file that is read in parts.
        smaller: the photo, resized.
        painted: the smaller one, painted.
        threads: how many there may be.

    """
    height, width = photo.shape[:2]
    low, narrow = smaller.shape[:2]
    changes = [
        Image.fromarray(painted[..., channel].astype(np.float32) - smaller[..., channel]) for channel in range(3)
    ]

    def add(band: slice) -> Pixels:
        changed = np.array(photo[band, 0:width])
        box = (0, band.start * low / height, narrow, band.stop * low / height)
        for channel, change in enumerate(changes):  # one by one, since they are wide numbers
            enlarged = change.resize((width, band.stop - band.start), Image.Resampling.BILINEAR, box)
            numbers = changed[..., channel] + np.asarray(enlarged)
            changed[..., channel] = np.rint(numbers, out=numbers).clip(0, 255, out=numbers)
        return changed

    yield from _make_bands(add, height, width, threads)


def _make_bands(
    make: Callable[[slice], Pixels], height: int, width: int, threads: int
) -> Iterator[tuple[slice, Pixels]]:
    """Yield the bands of a picture of a size, each with what is made of it, from top to bottom."""
    rows = min(max(_BAND // width, _ROWS[0]), _ROWS[-1])
    bands = [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
    threads = max(1, min(threads, _MOST // (rows * width), len(bands)))
    yield from zip(bands, map_ahead(make, bands, threads), strict=True)
