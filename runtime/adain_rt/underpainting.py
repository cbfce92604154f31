"""Photos with an underpainting (``adain_models.underpainting``): strokes come of it where they are plain."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from adain_models.errors import AdainError
from adain_models.underpainting import SIDE, UNDERPAINTING, make_tones
from adain_rt.contract import Pixels
from adain_rt.pixels import compose
from adain_rt.tiling import Canvas

__all__ = ["MOST_UNDERPAINTING", "UNDERPAINTING", "Underpainted", "check_underpainting", "underpaint"]

MOST_UNDERPAINTING = 32.0
"""Levels of 256. Far below it, the tones begin to show as such."""

_CHANNELS = 3


def check_underpainting(levels: float) -> None:
    """Refuse what is no strength of an underpainting.

    Raises:
        AdainError: it is not from 0 to 32.

    """
    if not (isinstance(levels, (int, float)) and 0 <= levels <= MOST_UNDERPAINTING):
        raise AdainError(
            f"an underpainting has from 0 to {MOST_UNDERPAINTING:g} levels, not {levels!r}",
            hint=f"set `underpainting` to {UNDERPAINTING:g}, or to 0 for none",
        )


class Underpainted:
    """A photo with an underpainting, of which a part is made when it is read.

    Args:
        photo: uint8 (H, W, 3): an array, or a file that is read in parts.
        levels: the deviation of the tones, in levels of 256.
        masks: uint8 (H, W) each, 255 where the tones lie; without any, they lie everywhere.

    """

    def __init__(self, photo: Canvas, levels: float, masks: Sequence[Canvas] = ()) -> None:
        self._photo, self._levels, self._masks = photo, levels, masks
        self.shape = photo.shape

    def __getitem__(self, part: tuple[slice, slice]) -> Pixels:
        """Return a part, uint8 (h, w, 3)."""
        own: Pixels = np.asarray(self._photo[part])
        laid = _lay(own, part[0].start, part[1].start, self._levels)
        if not self._masks:
            return laid
        covers = np.stack([np.asarray(mask[part]) for mask in self._masks])
        composed: Pixels = compose(laid[None], own[None], covers)[0]
        return composed


def underpaint(photo: Pixels, levels: float, masks: Pixels | None = None) -> Pixels:
    """Return a photo with an underpainting; see ``Underpainted``. Masks are uint8 (R, H, W)."""
    if not levels:
        return photo
    height, width = photo.shape[:2]
    return Underpainted(photo, levels, () if masks is None else list(masks))[0:height, 0:width]


def _lay(photo: Pixels, top: int, left: int, levels: float) -> Pixels:
    """Return a part of a photo with the tones that belong to its place, clipped to 0..255."""
    height, width = photo.shape[:2]
    laid = np.array(photo, order="C")
    rows = laid.reshape(height, width * _CHANNELS)
    lighter, darker = _tones(levels, left % SIDE, width)
    begin = 0
    while begin < height:  # in bytes, since NumPy is several times as fast with them as with wider numbers
        first = (top + begin) % SIDE
        band = rows[begin : begin + SIDE - first]
        up, down = (each[first : first + len(band)] for each in (lighter, darker))
        np.minimum(band, 255 - up, out=band)
        band += up
        np.maximum(band, down, out=band)
        band -= down
        begin += len(band)
    return laid


@lru_cache(maxsize=2)
def _tones(levels: float, left: int, width: int) -> tuple[Pixels, Pixels]:
    """Return how much lighter, and how much darker, some columns get: uint8 (512, 3 W) each, all channels alike."""
    columns = (left + np.arange(width)) % SIDE
    tones = np.rint(levels * make_tones()[:, columns]).astype(np.int16).repeat(_CHANNELS, axis=1)
    return tones.clip(0, 255).astype(np.uint8), (-tones).clip(0, 255).astype(np.uint8)
