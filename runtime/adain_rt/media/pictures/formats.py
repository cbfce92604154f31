"""The formats of picture files that are read and written."""

from __future__ import annotations

from pathlib import Path

from adain_models.errors import AdainError

__all__ = ["FORMATS", "MAX_PIXELS", "READABLE", "WRITABLE", "check_writable"]

MAX_PIXELS = 89_478_485
"""The most pixels that a picture may have. Above it, Pillow too warns of a decompression bomb."""

READABLE = {
    ".apng": "PNG",
    ".avif": "AVIF",
    ".avifs": "AVIF",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".gif": "GIF",
    ".heic": "HEIF",
    ".heif": "HEIF",
    ".hif": "HEIF",
    ".j2c": "JPEG2000",
    ".j2k": "JPEG2000",
    ".jfif": "JPEG",
    ".jp2": "JPEG2000",
    ".jpc": "JPEG2000",
    ".jpe": "JPEG",
    ".jpeg": "JPEG",
    ".jpf": "JPEG2000",
    ".jpg": "JPEG",
    ".jpx": "JPEG2000",
    ".jxl": "JXL",
    ".mpo": "JPEG",
    ".pbm": "PPM",
    ".pfm": "PPM",
    ".pgm": "PPM",
    ".png": "PNG",
    ".pnm": "PPM",
    ".ppm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""From a file's extension, in lower case, to Pillow's name of its format. Document formats are left out.

Which files of a directory are pictures, this says; a file that is named itself is read whatever it is called.
"""

FORMATS = tuple(sorted(set(READABLE.values()) - {"HEIF", "JXL"}))
"""Pillow's names of the formats that it reads without a plug-in."""

WRITABLE = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
    ".avif": "AVIF",
}
"""From a file's extension, in lower case, to Pillow's name of its format."""


def check_writable(path: Path) -> str:
    """Return Pillow's name of the format that the extension of ``path`` stands for.

    Raises:
        AdainError: no picture can be written under that extension.

    """
    try:
        return WRITABLE[path.suffix.lower()]
    except KeyError:
        raise AdainError(f"{path}: cannot tell the format; use one of {', '.join(WRITABLE)}") from None
