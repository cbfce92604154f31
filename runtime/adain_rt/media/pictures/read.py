"""Whole pictures and masks from files."""

from __future__ import annotations

import os
from typing import BinaryIO

import numpy as np
from PIL import Image

from adain_rt.contract import Pixels
from adain_rt.media.pictures.picture import Picture
from adain_rt.media.pictures.source import PictureSource

__all__ = ["as_mask", "read_mask", "read_picture"]

_OPAQUE = 255


def read_picture(source: str | os.PathLike[str] | BinaryIO, name: str | None = None) -> Picture:
    """Read a picture file, or a stream that is then read to its end; see ``PictureSource.read``.

    Args:
        source: the file.
        name: the file's name in errors.

    Raises:
        AdainError: the file is missing, empty, unreadable, broken or cut short, of another format, or of one whose
            plug-in is not installed; or the picture has more than MAX_PIXELS.

    """
    with PictureSource(source, name) as opened:
        return opened.read()


def read_mask(path: str | os.PathLike[str]) -> Pixels:
    """Read a mask from its picture; see ``as_mask``.

    Raises:
        AdainError: the picture cannot be read; see ``read_picture``.

    """
    return as_mask(read_picture(path))


def as_mask(picture: Picture) -> Pixels:
    """Return the mask that a picture draws: uint8 (H, W), 255 inside and 0 outside, from its luma (ITU-R BT.601).

    Transparent pixels are outside. If all visible pixels have one colour, whichever it is, the alpha alone is the
    mask: a shape drawn on a transparent ground.
    """
    luma = np.array(Image.fromarray(picture.pixels).convert("L"))
    if picture.alpha is None or (picture.alpha == _OPAQUE).all():
        return luma
    if (picture.pixels == picture.pixels[0, 0]).all():
        return picture.alpha
    return ((luma.astype(np.uint16) * picture.alpha + 127) // 255).astype(np.uint8)
