"""Sizes and places: resizing, cropping, and the orientation in which a file stores its pixels."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.media.pictures.formats import MAX_PIXELS

__all__ = ["SIDEWAYS", "Box", "center_square", "frame", "locate_stored_box", "plan_frame", "resize_to", "turn_upright"]

Box = tuple[int, int, int, int]
"""A rectangle in pixels: left, top, right and bottom. Right and bottom are just outside, as Pillow has them."""

# EXIF 2.32, tag 0x0112: what turns the stored pixels upright. Orientation 1 is upright already.
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset({5, 6, 7, 8})
"""The orientations that exchange width and height."""

_MIRRORED_ACROSS = frozenset({2, 3, 7, 8})
_MIRRORED_DOWN = frozenset({3, 4, 6, 7})


def turn_upright(image: Image.Image, orientation: int) -> Image.Image:
    """Return an image as its EXIF orientation means it to be seen."""
    method = _UPRIGHT.get(orientation)
    return image if method is None else image.transpose(method)


def locate_stored_box(box: Box, stored_size: tuple[int, int], orientation: int) -> Box:
    """Return where the pixels of an upright box are stored.

    Args:
        box: in the upright picture.
        stored_size: width and height of the picture as it is stored.
        orientation: the EXIF orientation.

    """
    left, top, right, bottom = box
    width, height = stored_size
    if orientation in SIDEWAYS:
        left, top, right, bottom = top, left, bottom, right
    if orientation in _MIRRORED_ACROSS:
        left, right = width - right, width - left
    if orientation in _MIRRORED_DOWN:
        top, bottom = height - bottom, height - top
    return left, top, right, bottom


def resize_to(pixels: Pixels, shorter_side: int) -> Pixels:
    """Return pixels resized to a shorter side, with the same aspect, by an antialiased Lanczos filter.

    Args:
        pixels: uint8 (H, W, 3) or (H, W).
        shorter_side: in pixels.

    Raises:
        AdainError: the result would have more than MAX_PIXELS.

    """
    height, width = pixels.shape[:2]
    return _resize(pixels, *_scale(height, width, shorter_side / min(height, width)))


def frame(pixels: Pixels, size: int, crop: bool, max_size: int = 0) -> Pixels:
    """Return pixels cropped to their central square, if ``crop``, and then resized, once.

    Args:
        pixels: uint8 (H, W, 3) or (H, W).
        size: the shorter side in pixels; 0 keeps the size.
        crop: whether to crop first.
        max_size: the most pixels that the longer side may then have: what is longer is shrunk, and nothing is
            enlarged. 0 sets no limit.

    Raises:
        AdainError: the result would have more than MAX_PIXELS.

    """
    height, width = pixels.shape[:2]
    target = plan_frame(height, width, size, crop, max_size)
    if crop:
        pixels = center_square(pixels)
    return pixels if pixels.shape[:2] == target else _resize(pixels, *target)


def plan_frame(height: int, width: int, size: int, crop: bool, max_size: int = 0) -> tuple[int, int]:
    """Return the height and the width of what ``frame`` makes of so many pixels.

    Raises:
        AdainError: they would be more than MAX_PIXELS.

    """
    if crop:
        height = width = min(height, width)
    shorter, longer = sorted((height, width))
    scale = size / shorter if size else 1.0
    if max_size and scale * longer > max_size:
        scale = max_size / longer
    return _scale(height, width, scale)


def _scale(height: int, width: int, scale: float) -> tuple[int, int]:
    scaled = max(1, round(height * scale)), max(1, round(width * scale))
    if math.prod(scaled) > MAX_PIXELS:
        raise AdainError(
            f"the picture of {width} x {height} pixels would have {scaled[1]} x {scaled[0]} when it is resized, "
            f"and {MAX_PIXELS:,} pixels are the most",
            hint="crop it or use a smaller `size`",
        )
    return scaled


def _resize(pixels: Pixels, height: int, width: int) -> Pixels:
    return np.array(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))


def center_square(pixels: Pixels) -> Pixels:
    """Return the largest square at the centre of uint8 (H, W, 3) or (H, W)."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])
