"""Pictures as arrays: padded to sizes that the graphs take, and put together with what they were made from."""

from __future__ import annotations

import numpy as np

from adain_models.errors import AdainError
from adain_rt.contract import MIN_SIDE, MULTIPLE, Pixels

__all__ = ["check_picture", "compose", "count_padded", "pad"]

_CHANNELS = 3
_OPAQUE = 255


def check_picture(pixels: Pixels, dimensions: tuple[int, ...]) -> None:
    """Refuse an array that is not uint8 RGB, is empty, or has another number of dimensions than one of these."""
    fits = pixels.dtype == np.uint8 and pixels.ndim in dimensions and pixels.shape[-1] == _CHANNELS
    if not fits or 0 in pixels.shape:
        raise AdainError(f"a picture is a uint8 array (H, W, 3), not {pixels.dtype} {pixels.shape}")


def count_padded(pictures: Pixels) -> int:
    """Return how many pixels pictures (N, H, W, 3) have once they are padded."""
    count, height, width = pictures.shape[:3]
    pixels: int = count * _padded(height) * _padded(width)
    return pixels


def pad(pictures: Pixels) -> Pixels:
    """Return pictures (N, H, W, ...) padded at the bottom and on the right by reflection, to sizes that graphs take.

    A side that is too short to reflect once is reflected again and again; a single row or column is repeated.
    """
    rows, columns = (_padded(size) - size for size in pictures.shape[1:3])
    if not rows and not columns:
        return np.ascontiguousarray(pictures)
    rest = [(0, 0)] * (pictures.ndim - 3)
    padded: Pixels = np.pad(pictures, [(0, 0), (0, rows), (0, columns), *rest], mode="reflect")
    return padded


def _padded(side: int) -> int:
    """Return the length of a side once it is padded: a multiple of ``MULTIPLE``, and at least ``MIN_SIDE``."""
    return max(MIN_SIDE, side + -side % MULTIPLE)


def compose(stylized: Pixels, pictures: Pixels, masks: Pixels) -> Pixels:
    """Return stylised pictures inside the masks, and the pictures themselves outside.

    Args:
        stylized: uint8 (N, H, W, 3).
        pictures: uint8 (N, H, W, 3).
        masks: uint8 (R, H, W). Their sum, up to 255, is the share of the stylised picture.

    """
    share = np.minimum(masks.sum(0, dtype=np.uint16), _OPAQUE)  # (H, W)
    composed = stylized.copy()
    composed[:, share == 0] = pictures[:, share == 0]
    mixed = (share > 0) & (share < _OPAQUE)  # the edges of soft masks, a small part of most pictures
    weight = share[mixed].astype(np.uint32)[:, None]
    rounding = _OPAQUE // 2
    blend = stylized[:, mixed] * weight + pictures[:, mixed] * (_OPAQUE - weight) + rounding
    composed[:, mixed] = blend // _OPAQUE
    return composed
