"""EXIF, texts and resolution: what is kept of a file's, and how each format stores it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

__all__ = ["keep_dpi", "keep_exif", "keep_texts", "metadata_options", "read_exif"]

# The other tags of a TIFF's main directory describe how its pixels are stored, which is not true of the output.
_KEPT_TAGS = (
    ExifTags.Base.ImageDescription,
    ExifTags.Base.Make,
    ExifTags.Base.Model,
    ExifTags.Base.XResolution,
    ExifTags.Base.YResolution,
    ExifTags.Base.ResolutionUnit,
    ExifTags.Base.Software,
    ExifTags.Base.DateTime,
    ExifTags.Base.Artist,
    ExifTags.Base.HostComputer,
    ExifTags.Base.Copyright,
    ExifTags.Base.Rating,
    ExifTags.Base.RatingPercent,
    ExifTags.Base.XPTitle,
    ExifTags.Base.XPComment,
    ExifTags.Base.XPAuthor,
    ExifTags.Base.XPKeywords,
    ExifTags.Base.XPSubject,
)
# The size may change. A maker's note can hold a preview, and moving it garbles it.
_DROPPED_DETAILS = {
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.Base.ExifInteroperabilityOffset,
    ExifTags.Base.MakerNote,
}
# Of the keywords that the PNG specification proposes, those that stay true.
_KEPT_TEXTS = ("Title", "Author", "Description", "Copyright", "Comment")
_LONGEST_TEXT = 1 << 14

_SRGB = 1  # of the tag ColorSpace

_XMP_TAG = 700  # of TIFF
_JPEG_BLOCK = 65_000  # bytes of EXIF or XMP that fit in one JPEG marker


def read_exif(image: Image.Image) -> Image.Exif:
    """Return an image's EXIF block, which is empty if it is damaged."""
    try:
        return image.getexif()
    except Exception:  # a damaged block is no reason to refuse a picture
        return Image.Exif()


def keep_exif(exif: Image.Exif) -> bytes | None:
    """Return the part of an EXIF block that stays true of the stylised picture."""
    kept = Image.Exif()
    try:
        kept.update({tag: exif[tag] for tag in _KEPT_TAGS if tag in exif})
        details = exif.get_ifd(ExifTags.IFD.Exif)
        if kept_details := {tag: details[tag] for tag in details.keys() - _DROPPED_DETAILS}:
            kept[ExifTags.IFD.Exif] = {**kept_details, ExifTags.Base.ColorSpace: _SRGB}
        if place := exif.get_ifd(ExifTags.IFD.GPSInfo):
            kept[ExifTags.IFD.GPSInfo] = place
        return kept.tobytes() if len(kept) else None
    except Exception:  # as in ``read_exif``
        return None


def keep_dpi(dpi: object) -> tuple[float, float] | None:
    """Return a resolution if it is plausible; some files have 0, or 1 / 0."""
    try:
        across, down = (float(value) for value in dpi)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    most = np.iinfo(np.uint16).max  # as JPEG stores it
    return (across, down) if 1 < across <= most and 1 < down <= most else None  # Pillow gives 1 for a missing one


def keep_texts(image: Image.Image) -> dict[str, str]:
    """Return the texts of a PNG that say who made what; other texts may state what is no longer true."""
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    kept = {name: str(texts[name]) for name in _KEPT_TEXTS if texts.get(name)}
    return {name: text for name, text in kept.items() if len(text) <= _LONGEST_TEXT and "\0" not in text}


def metadata_options(file_format: str, exif: bytes, xmp: bytes, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return EXIF, XMP and texts as the options of Pillow's encoder.

    A JPEG has no room for long blocks; they are left out of it. Only a PNG has room for texts.
    """
    if file_format == "TIFF":
        return _tiff_options(exif, xmp)
    if file_format == "PNG":
        chunks = PngInfo()
        if xmp:
            chunks.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        for name, text in texts.items():
            chunks.add_text(name, text)
        return {"exif": exif, "pnginfo": chunks}
    if file_format == "JPEG":
        exif, xmp = (block if len(block) <= _JPEG_BLOCK else b"" for block in (exif, xmp))
    return {"exif": exif, "xmp": xmp}


def _tiff_options(exif: bytes, xmp: bytes) -> dict[str, Any]:
    """Return a TIFF's tags and compression; Pillow nests directories only in uncompressed files."""
    tags = Image.Exif()
    tags.load(exif)
    if xmp:
        tags[_XMP_TAG] = xmp
    nested = ExifTags.IFD.Exif in tags or ExifTags.IFD.GPSInfo in tags
    return {"exif": tags, "compression": None if nested else "tiff_adobe_deflate"}
