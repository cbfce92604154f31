"""Crops of pictures to train on, at many scales, and which pictures are never trained on."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["LARGEST", "Pixels", "crop", "held_out"]

Pixels: TypeAlias = NDArray[np.uint8]
"""A picture, RGB, (H, W, 3)."""

LARGEST = 512
"""Pixels of the shorter side of the largest scale: what pictures are usually resized to."""


def held_out(path: Path) -> bool:
    """Return whether a picture is kept for validation: the CRC-32 of its file's name without suffix divides by 10."""
    return zlib.crc32(path.stem.encode()) % 10 == 0


def crop(picture: Pixels, side: int, generator: np.random.Generator, permuted: float = 0) -> Pixels:
    """Return a random square of a picture, uint8 (side, side, 3), flipped or not.

    The picture is as if resized first, its shorter side log-uniform between ``side`` and ``LARGEST``.

    Args:
        picture: uint8 (H, W, 3).
        side: of the square, in pixels.
        generator: what chance comes from.
        permuted: the chance that red, green and blue change places.

    """
    height, width = picture.shape[:2]
    scale = math.exp(generator.uniform(math.log(side), math.log(max(LARGEST, side))))
    cut = side / scale * min(height, width)  # side of the square in the picture's own pixels
    left, top = generator.uniform(0, width - cut), generator.uniform(0, height - cut)
    box = (left, top, min(left + cut, width), min(top + cut, height))
    square = np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS, box))
    if generator.random() < 0.5:  # noqa: PLR2004 - heads or tails
        square = square[:, ::-1]
    if generator.random() < permuted:
        square = square[..., generator.permutation(3)]
    return np.ascontiguousarray(square)
