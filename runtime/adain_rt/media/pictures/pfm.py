"""Portable float maps (Paul Debevec's PFM): grey or RGB, of 32-bit floating-point numbers."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from PIL import Image, ImageFile

from adain_rt.media.pictures.samples import choose_float_scale, reduce_samples

__all__ = ["PfmFile", "is_pfm"]

_HEADER = re.compile(rb"P([Ff])\s+(\d{1,9})\s+(\d{1,9})\s+([-+]?[\d.][\d.eE+-]{0,20})\s")
_LONGEST_HEADER = 64


def is_pfm(head: bytes) -> bool:
    """Return whether a file that begins so is a portable float map."""
    return _HEADER.match(head[:_LONGEST_HEADER]) is not None


class PfmFile(ImageFile.ImageFile):
    """A portable float map as an image of 8 bits. Of its scale, only the sign is read, which is the order of the bytes.

    Attributes:
        remarks: what a user should know, once the image is loaded.

    """

    format = "PPM"
    format_description = "Portable float map"
    remarks: tuple[str, ...] = ()

    def _open(self) -> None:
        assert self.fp is not None  # noqa: S101 - Pillow sets it
        header = _HEADER.match(self.fp.read(_LONGEST_HEADER))
        if header is None:
            raise SyntaxError("not a PFM")
        self._mode = "RGB" if header[1] == b"F" else "L"
        self._size = int(header[2]), int(header[3])
        self._order = "<" if header[4].startswith(b"-") else ">"
        self._start = header.end()

    def load(self) -> Any:
        """Decode the picture, whose lowest row is stored first."""
        if self._im is None and self.fp is not None:
            self.fp.seek(self._start)
            shape = (self.height, self.width, len(self.getbands()))
            count = int(np.prod(shape))
            samples = np.frombuffer(self.fp.read(4 * count), f"{self._order}f4", count).reshape(shape)[::-1]
            scale, remark = choose_float_scale(samples)
            self.remarks = () if remark is None else (remark,)
            self.im = Image.frombytes(self.mode, self.size, reduce_samples(samples, scale)).im
        return Image.Image.load(self)
