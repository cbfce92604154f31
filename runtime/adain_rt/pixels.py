"""Pictures as arrays: padded to sizes that the graphs take, and put together with what they were made from."""

from __future__ import annotations

import numpy as np

from adain_models.errors import AdainError
from adain_rt.contract import MIN_SIDE, MULTIPLE, Pixels

__all__ = ["check_picture", "compose", "count_padded", "is_smooth", "pad"]

_CHANNELS = 3
_OPAQUE = 255

_BLOCK = 8
_BLOCKS_PER_SIDE = 16
_SMOOTH = 5.0
"""Levels. In int8, pictures with less detail than this are 17 to 36 dB from fp32, most others more (measured)."""


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


def is_smooth(pictures: Pixels) -> bool:
    """Whether one of the pictures is smooth, such as a clear sky, a studio backdrop or a gradient.

    AdaIN brings a picture's features to the style's deviation. What varies little is magnified, and in int8 so are the
    steps of quantisation: they show as coloured stripes.

    Args:
        pictures: uint8 (N, H, W, 3). Detail is the mean deviation inside blocks of 8x8 pixels, of which 16 to 31 on a
            side are looked at. Pictures without a whole block are not smooth.

    """
    rows, columns = (side // _BLOCK for side in pictures.shape[1:3])
    if not rows or not columns:
        return False
    blocks = pictures[:, : rows * _BLOCK, : columns * _BLOCK].reshape(-1, rows, _BLOCK, columns, _BLOCK, _CHANNELS)
    some = blocks[:, :: max(1, rows // _BLOCKS_PER_SIDE), :, :: max(1, columns // _BLOCKS_PER_SIDE)]
    detail = some.astype(np.float32).std((2, 4)).mean((1, 2, 3))
    return bool((detail < _SMOOTH).any())


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
