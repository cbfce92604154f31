"""Pictures to train on, crops and whole ones at many scales, and which pictures are never trained on."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["LARGEST", "Pixels", "crop", "held_out", "whole"]

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
    scale = math.exp(generator.uniform(math.log(side), math.log(max(LARGEST, side))))
    cut = min(1, side / scale) * min(picture.shape[:2])  # side of the square in the picture's own pixels
    return _varied(_resized(picture, (cut, cut), (side, side), generator), generator, permuted)


def whole(picture: Pixels, side: int, generator: np.random.Generator, permuted: float = 0) -> Pixels:
    """Return a picture resized, uint8 (H, W, 3), flipped or not; of its longer side no more than two of the shorter.

    The shorter side is uniform between ``side`` and ``LARGEST``; both sides are multiples of 16.

    Args:
        picture: uint8 (H, W, 3).
        side: the shorter side at least, in pixels, a multiple of 16.
        generator: what chance comes from.
        permuted: the chance that red, green and blue change places.

    """
    shorter = min(picture.shape[:2])
    height, width = (min(length, 2 * shorter) for length in picture.shape[:2])
    scale = generator.uniform(side, max(LARGEST, side)) / shorter
    size = round(height * scale / 16) * 16, round(width * scale / 16) * 16
    return _varied(_resized(picture, (height, width), size, generator), generator, permuted)


def _resized(
    picture: Pixels, cut: tuple[float, float], size: tuple[int, int], generator: np.random.Generator
) -> Pixels:
    """Return a part of a picture, (height, width) in its own pixels, anywhere in it, resized to (height, width)."""
    (height, width), (cut_height, cut_width) = picture.shape[:2], cut
    left, top = generator.uniform(0, width - cut_width), generator.uniform(0, height - cut_height)
    box = (left, top, min(left + cut_width, width), min(top + cut_height, height))
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.LANCZOS, box))


def _varied(pixels: Pixels, generator: np.random.Generator, permuted: float) -> Pixels:
    """Return pixels flipped or not, their colours permuted or not."""
    if generator.random() < 0.5:  # noqa: PLR2004 - heads or tails
        pixels = pixels[:, ::-1]
    if generator.random() < permuted:
        pixels = pixels[..., generator.permutation(3)]
    return np.ascontiguousarray(pixels)
