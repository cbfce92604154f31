"""A picture in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from adain_rt.contract import Pixels
from adain_rt.media.pictures.geometry import frame
from adain_rt.media.pictures.xmp import drop_geometry

__all__ = ["Picture"]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it is meant to be seen, upright and in sRGB, with the metadata of its file.

    Attributes:
        pixels: uint8 (H, W, 3), sRGB, contiguous.
        alpha: uint8 (H, W), 255 where opaque; ``None`` if the file has no transparency.
        format: Pillow's name of the file's format, such as ``"JPEG"``.
        frames: the number of frames or pages in the file; this is the first.
        exif: the EXIF block, without orientation, thumbnail, maker's note and pixel sizes.
        xmp: the XMP packet, without orientation, thumbnails, sizes, and what describes other parts of the file.
        dpi: dots per inch, across and down.
        texts: of a PNG: title, author, description, copyright and comment.
        remarks: what a user should know of the file, each as the end of a sentence that begins with its name.

    """

    pixels: Pixels
    alpha: Pixels | None
    format: str
    frames: int = 1
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.pixels.shape[1])

    def with_pixels(self, pixels: Pixels) -> Picture:
        """Return this picture with other pixels, uint8 (H, W, 3) of the same size."""
        return replace(self, pixels=pixels)

    def fit(self, size: int, crop: bool, max_size: int = 0) -> Picture:
        """Return this picture cropped to its central square, if ``crop``, and then resized, as ``frame`` does.

        Args:
            size: the shorter side in pixels; 0 keeps the size.
            crop: whether to crop first.
            max_size: the most pixels of the longer side; 0 sets no limit.

        Raises:
            AdainError: the result would have more than MAX_PIXELS.

        """
        alpha = None if self.alpha is None else frame(self.alpha, size, crop, max_size)
        fitted = replace(self, pixels=frame(self.pixels, size, crop, max_size), alpha=alpha)
        if self.xmp is None or fitted.pixels.shape == self.pixels.shape:
            return fitted
        return replace(fitted, xmp=drop_geometry(self.xmp))

    def visible_part(self) -> Picture | None:
        """Return the smallest rectangle that holds every visible pixel; ``None`` if the picture is transparent."""
        if self.alpha is None:
            return self
        rows, columns = (np.flatnonzero(self.alpha.any(axis)) for axis in (1, 0))
        if not rows.size:
            return None
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        return replace(self, pixels=np.ascontiguousarray(self.pixels[box]), alpha=self.alpha[box])
