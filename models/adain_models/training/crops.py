"""Pictures to train on: crops of photographs, some of them spoiled, and whole styles; and which ones are held out."""

from __future__ import annotations

import io
import math
import zlib
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

__all__ = ["LARGEST", "Pixels", "crop", "form", "held_out", "isolate", "sides", "spoil", "whole"]

Pixels: TypeAlias = NDArray[np.uint8]
"""A picture, RGB, (H, W, 3)."""

LARGEST = 512
"""Pixels of the shorter side of the largest scale: what pictures are usually resized to."""

_HILLS = 5
"""Random heights across and down, of which what is above the sea is sharp."""

_FORMS = (1, 4 / 3, 3 / 2, 2)
"""The longer side of a style by the shorter: few, so that many styles of a batch have one shape."""


def held_out(path: Path) -> bool:
    """Return whether a picture is held out for validation: 10 divides the CRC-32 of its file's stem."""
    return zlib.crc32(path.stem.encode()) % 10 == 0


def crop(picture: Pixels, side: int, generator: np.random.Generator, permuted: float = 0, turned: float = 0) -> Pixels:
    """Return a random square of a picture, uint8 (side, side, 3), flipped or not.

    The picture is as if resized first, its shorter side log-uniform between ``side`` and its own, at most ``LARGEST``;
    it is enlarged only where it is smaller than the square.

    Args:
        picture: uint8 (H, W, 3).
        side: of the square, in pixels.
        generator: gives the random numbers.
        permuted: the chance that red, green and blue change places.
        turned: the chance that the square is turned by any angle, if the picture has room for that.

    """
    shorter = min(picture.shape[:2])
    largest = min(LARGEST, shorter)
    angle = generator.uniform(0, 2 * math.pi)
    upright = side * (abs(math.cos(angle)) + abs(math.sin(angle)))  # the side of the square around the turned one
    margin = math.ceil((upright - side) / 2) + 1  # and a pixel, which the interpolation at the corners reads
    if generator.random() >= turned or side + 2 * margin > largest:
        angle = margin = 0
    room = side + 2 * margin
    scale = math.exp(generator.uniform(math.log(room), math.log(max(largest, room))))
    cut = min(1, room / scale) * shorter  # side of the upright square in the picture's own pixels
    pixels = _resize(picture, (cut, cut), (room, room), generator)
    if angle:
        around = Image.fromarray(pixels).rotate(math.degrees(angle), Image.Resampling.BICUBIC)
        pixels = np.asarray(around)[margin : margin + side, margin : margin + side]
    return _vary(pixels, generator, permuted)


def isolate(picture: Pixels, generator: np.random.Generator) -> Pixels:
    """Return a picture, uint8 (H, W, 3), of which random parts lie with hard edges before what a blur left of the rest.

    Skies, walls and what is out of focus are such plain grounds. Few photographs have much of them, and it is there
    that a network shows what it draws by itself.
    """
    image = Image.fromarray(picture)
    ground = image.filter(ImageFilter.GaussianBlur(math.exp(generator.uniform(math.log(8), math.log(64)))))
    heights = Image.fromarray(generator.integers(256, size=(_HILLS, _HILLS), dtype=np.uint8))
    sea = generator.uniform(96, 160)
    shore = heights.resize(image.size, Image.Resampling.BICUBIC).point(lambda height: 128 + 32 * (height - sea))
    return np.asarray(Image.composite(image, ground, shore))


def spoil(picture: Pixels, generator: np.random.Generator) -> Pixels:
    """Return a picture, uint8 (H, W, 3): every other time unchanged, otherwise with the marks of JPEG or blurred."""
    kind = generator.choice(4)
    if kind == 0:
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=int(generator.integers(30, 90)))
        return np.asarray(Image.open(file))
    if kind == 1:
        return np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(generator.uniform(0.4, 1.2))))
    return picture


def sides(side: int) -> tuple[int, ...]:
    """Return the shorter sides that styles have beside photos' crops of ``side``: that, ``LARGEST``, and half way."""
    return tuple(sorted({side, (side + LARGEST) // 32 * 16, max(side, LARGEST)}))


def whole(picture: Pixels, side: int, generator: np.random.Generator, permuted: float = 0) -> Pixels:
    """Return a picture resized, uint8 (H, W, 3), flipped or not, cut to the nearest of a few forms, at most 2:1.

    Args:
        picture: uint8 (H, W, 3).
        side: the shorter side, in pixels, a multiple of 16; the longer is one too.
        generator: gives the random numbers.
        permuted: the chance that red, green and blue change places.

    """
    (height, width), (rows, columns) = picture.shape[:2], form(picture)
    cut = min(height, width * rows / columns), min(width, height * columns / rows)
    unit = side / min(rows, columns) / 16
    return _vary(
        _resize(picture, cut, (round(rows * unit) * 16, round(columns * unit) * 16), generator), generator, permuted
    )


def form(picture: Pixels) -> tuple[float, float]:
    """Return the nearest of a few forms, height and width relative to the shorter of them."""
    height, width = picture.shape[:2]
    stretch = abs(math.log(height / width))
    longer = min(_FORMS, key=lambda each: abs(math.log(each) - stretch))
    return (1, longer) if height <= width else (longer, 1)


def _resize(picture: Pixels, cut: tuple[float, float], size: tuple[int, int], generator: np.random.Generator) -> Pixels:
    """Return a part of a picture, (height, width) in its own pixels, anywhere in it, resized to (height, width)."""
    (height, width), (cut_height, cut_width) = picture.shape[:2], cut
    left, top = generator.uniform(0, width - cut_width), generator.uniform(0, height - cut_height)
    box = (left, top, min(left + cut_width, width), min(top + cut_height, height))
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.LANCZOS, box))


def _vary(pixels: Pixels, generator: np.random.Generator, permuted: float) -> Pixels:
    """Return pixels flipped or not, their colours permuted or not."""
    if generator.random() < 0.5:  # noqa: PLR2004 - heads or tails
        pixels = pixels[:, ::-1]
    if generator.random() < permuted:
        pixels = pixels[..., generator.permutation(3)]
    return np.ascontiguousarray(pixels)
