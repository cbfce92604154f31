"""JPEGs without the marker at their end."""

from __future__ import annotations

import io
import os
from typing import BinaryIO

import numpy as np
from PIL import Image

__all__ = ["complete", "ends_in_zeros"]

_END = b"\xff\xd9"
_FILLING = bytes(range(0xAA, 0xEA)) * 64
"""Bytes without a marker. A decoder whose data end early reads them as data; without them it fills up with zeros."""


def complete(data: bytes) -> Image.Image | None:
    """Return the image of a JPEG of which only the end is missing; ``None`` if a part of its pixels is missing.

    A pixel is missing where it changes with the bytes that are put behind the data.
    """
    whole = data.rstrip(b"\0")
    if whole.endswith(b"\xff"):
        whole = whole + b"\0" if len(whole) < len(data) else whole[:-1]  # FF 00 is data, FF half a marker
    image, other = (Image.open(io.BytesIO(whole + filling + _END), formats=["JPEG"]) for filling in (b"", _FILLING))
    return image if np.array_equal(np.asarray(image), np.asarray(other)) else None


def ends_in_zeros(file: BinaryIO) -> bool:
    """Return whether a file ends as one whose room was taken before it was written, and whose end was not written."""
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\0"
