"""What part of a picture is used and at what size, asked for by ``--crop`` and ``--size``."""

from __future__ import annotations

from adain_rt.pictures import center_square, resize_to
from adain_rt.stylizer import Pixels

__all__ = ["frame"]


def frame(pixels: Pixels, size: int, crop: bool) -> Pixels:
    """Return a picture's or a mask's pixels, cropped, then resized.

    Args:
        pixels: uint8 (H, W, 3) or (H, W).
        size: pixels of the shorter side; 0 keeps the size.
        crop: whether to crop to the central square first.

    """
    if crop:
        pixels = center_square(pixels)
    return resize_to(pixels, size) if size else pixels
