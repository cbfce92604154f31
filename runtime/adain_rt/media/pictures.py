"""Pictures in and out: any file that Pillow reads, as upright sRGB pixels, and back with its metadata."""

from __future__ import annotations

import io
import logging
import math
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from adain_models.errors import AdainError
from adain_models.files import explain, replacing
from adain_rt.contract import Pixels

__all__ = [
    "MAX_PIXELS",
    "READABLE",
    "WRITABLE",
    "Picture",
    "center_square",
    "check_writable",
    "encode_picture",
    "frame",
    "read_mask",
    "read_picture",
    "resize_to",
    "write_picture",
]

MAX_PIXELS = 89_478_485
"""The most pixels a picture may have: above it Pillow, too, warns of a decompression bomb."""

READABLE = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".j2k": "JPEG2000",
    ".jfif": "JPEG",
    ".jp2": "JPEG2000",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".pbm": "PPM",
    ".pgm": "PPM",
    ".png": "PNG",
    ".ppm": "PPM",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
"""From a file's extension, in lower case, to Pillow's name of its format: those of pictures, no documents."""

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
"""From a file's extension, in lower case, to the name that Pillow gives its format."""

# No "optimize" for JPEG: Pillow guesses how large the file may become, and fails where noise makes it larger.
_SETTINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "PNG": {},
    "WEBP": {"quality": 90},
    "AVIF": {"quality": 85, "subsampling": "4:4:4", "speed": 8},
    "TIFF": {},
    "BMP": {},
}
_FORMATS = tuple(sorted(set(READABLE.values())))
_WITH_ALPHA = {"PNG", "WEBP", "TIFF", "AVIF"}
# What libjpeg and libwebp encode, and what libavif decodes.
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 32_768}
_JPEG_BLOCK = 65_000  # bytes of EXIF or XMP that fit in one JPEG marker

_OPAQUE = 255
_XMP_TAG = 700  # of TIFF
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# The rest of a TIFF's main directory tells how its pixels are stored, which is no longer true of the output.
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
# The size may change; a maker's note can hold a preview, and is garbled when it moves.
_DROPPED_DETAILS = {
    ExifTags.Base.ExifImageWidth,
    ExifTags.Base.ExifImageHeight,
    ExifTags.Base.ExifInteroperabilityOffset,
    ExifTags.Base.MakerNote,
}
_LONGEST_XMP = 1 << 16  # what a JPEG can carry; a longer packet is not searched, but left out
_STALE_XMP = re.compile(
    rb"""tiff:Orientation\s{0,9}=\s{0,9}["'][^"'<>]{0,20}["']|<tiff:Orientation>[^<]{0,20}</tiff:Orientation>"""
)
_THUMBNAILS = (b"<xmp:Thumbnails>", b"</xmp:Thumbnails>"), (b"<xap:Thumbnails>", b"</xap:Thumbnails>")

# A library's logger: without it, Python prints Pillow's errors where no logging is set up.
logging.getLogger("PIL").addHandler(logging.NullHandler())


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as it is meant to be seen: upright, in sRGB, with what its file told beside the pixels.

    Attributes:
        pixels: uint8 [H, W, 3], sRGB, contiguous.
        alpha: uint8 [H, W], 255 where opaque; None if the file has no transparency.
        format: Pillow's name of the file's format, such as ``"JPEG"``.
        frames: How many frames or pages the file has; the first is the one here.
        exif: The EXIF block, without orientation, thumbnail, maker's note and pixel sizes.
        xmp: The XMP packet, without orientation and thumbnails.
        dpi: Dots per inch, across and down.

    """

    pixels: Pixels
    alpha: Pixels | None
    format: str
    frames: int = 1
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: tuple[float, float] | None = None

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return int(self.pixels.shape[1])

    def with_pixels(self, pixels: Pixels) -> Picture:
        """Return this picture with other pixels, uint8 [H, W, 3], as many as it has."""
        return replace(self, pixels=pixels)

    def framed(self, size: int, crop: bool) -> Picture:
        """Return the central square of this picture if it is to be cropped, its shorter side then resized.

        Args:
            size: pixels of the shorter side; 0 keeps the size.
            crop: whether to crop first.

        Raises:
            AdainError: as ``resize_to``.

        """
        alpha = None if self.alpha is None else frame(self.alpha, size, crop)
        return replace(self, pixels=frame(self.pixels, size, crop), alpha=alpha)

    def visible_part(self) -> Picture | None:
        """Return the smallest rectangle of this picture outside which all is transparent; None if all of it is."""
        if self.alpha is None:
            return self
        rows, columns = (np.flatnonzero(self.alpha.any(axis)) for axis in (1, 0))
        if not rows.size:
            return None
        box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        return replace(self, pixels=np.ascontiguousarray(self.pixels[box]), alpha=self.alpha[box])


def read_picture(source: Path | BinaryIO, name: str | None = None) -> Picture:
    """Read a picture file, or a stream that is then read to its end; ``name`` stands for it in errors.

    The EXIF orientation is applied. Colours are brought to sRGB by the file's ICC profile (relative
    colorimetric, with black point compensation); a profile that is broken, or for other channels than the
    picture's, is ignored. 16-bit values are rounded to 8 bits. Of an animation, the first frame is read.

    The colour of a wholly transparent pixel is unseen and often black, and would pass into the features beside it: it
    becomes the mean colour of the others, weighted by their alpha.

    Raises:
        AdainError: the file is missing, empty, unreadable, broken or cut short, of another format, of
            floating-point values, or larger than MAX_PIXELS.

    """
    name = name or (str(source) if isinstance(source, Path) else "the input")
    with _opened(source, name) as file:
        try:
            with _HUSH, Image.open(file, formats=_FORMATS) as image:
                return _picture(image, name)
        except AdainError:
            raise
        except UnidentifiedImageError as error:
            readable = ", ".join(_FORMATS)
            raise AdainError(
                f"{name}: is broken, or no picture that can be read; convert it to one of {readable}"
            ) from error
        except Image.DecompressionBombError as error:
            raise AdainError(_too_large(name)) from error
        except MemoryError as error:
            raise AdainError(f"{name}: does not fit in memory; use a smaller picture") from error
        except Exception as error:  # Pillow's decoders raise whatever they stumble on
            raise AdainError(f"{name}: is broken or cut short ({_why(error)}); copy or export it again") from error


def read_mask(path: Path) -> Pixels:
    """Read a mask: uint8 [H, W], 255 inside, 0 outside, from the picture's luma (ITU-R BT.601).

    What is transparent is outside. If the visible pixels are all of one colour, whichever it is, the alpha
    alone is the mask: a shape drawn on a transparent ground.

    Raises:
        AdainError: as ``read_picture``.

    """
    picture = read_picture(path)
    luma = np.array(Image.fromarray(picture.pixels).convert("L"))
    if picture.alpha is None or (picture.alpha == _OPAQUE).all():
        return luma
    if (picture.pixels == picture.pixels[0, 0]).all():
        return picture.alpha
    return ((luma.astype(np.uint16) * picture.alpha + 127) // 255).astype(np.uint8)


def check_writable(path: Path) -> str:
    """Return Pillow's name of the format that ``path``'s extension stands for.

    Raises:
        AdainError: no picture is written under that extension.

    """
    try:
        return WRITABLE[path.suffix.lower()]
    except KeyError:
        raise AdainError(f"{path}: cannot tell the format; use one of {', '.join(WRITABLE)}") from None


def write_picture(path: Path, picture: Picture) -> None:
    """Write a picture in the format that the path's extension stands for; nothing half-written is ever there.

    Raises:
        AdainError: as ``check_writable`` and ``encode_picture``, or the system refuses to write.

    """
    data = encode_picture(picture, check_writable(path), str(path))
    with replacing(path) as aside:
        aside.write_bytes(data)


def encode_picture(picture: Picture, file_format: str, name: str = "the output") -> bytes:
    """Return a picture as the bytes of a file; ``name`` stands for it in errors.

    ``file_format`` is one of the values of WRITABLE. EXIF, XMP, resolution and an sRGB profile go in
    where the format has a place for them. Alpha is kept by PNG, WebP, TIFF and AVIF; JPEG and BMP show
    the picture on white.

    Raises:
        AdainError: a side is longer than the format allows, or the encoder fails.

    """
    longest = _LONGEST_SIDE.get(file_format, max(picture.pixels.shape))
    if max(picture.height, picture.width) > longest:
        size = f"{picture.width} x {picture.height}"
        raise AdainError(f"{name}: {file_format} ends at {longest} pixels a side, not {size}; use PNG or TIFF")
    options = {**_SETTINGS[file_format], **_metadata(picture, file_format), "icc_profile": _srgb_profile()}
    if picture.dpi:
        options["dpi"] = picture.dpi
    buffer = io.BytesIO()
    try:
        with _HUSH:
            _image(picture, file_format).save(buffer, file_format, **options)
    except Exception as error:  # as in reading
        raise AdainError(f"{name}: cannot be written as {file_format} ({_why(error)}); use PNG") from error
    return buffer.getvalue()


def resize_to(pixels: Pixels, shorter_side: int) -> Pixels:
    """Return uint8 [H, W, 3] or [H, W] with its shorter side as told, the aspect kept; Lanczos, antialiased.

    Raises:
        AdainError: the longer side would take the picture above MAX_PIXELS.

    """
    height, width = pixels.shape[:2]
    scale = shorter_side / min(height, width)
    size = (round(width * scale), round(height * scale))
    if math.prod(size) > MAX_PIXELS:
        raise AdainError(
            f"a picture of {width} x {height} cannot be resized to a shorter side of {shorter_side}: "
            f"it would be {size[0]} x {size[1]}; crop it or use a smaller size"
        )
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def frame(pixels: Pixels, size: int, crop: bool) -> Pixels:
    """Return a picture's or a mask's pixels, cropped and resized as ``Picture.framed`` says."""
    if crop:
        pixels = center_square(pixels)
    return resize_to(pixels, size) if size else pixels


def center_square(pixels: Pixels) -> Pixels:
    """Return the largest square at the centre of uint8 [H, W, 3] or [H, W]."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(pixels[top : top + side, left : left + side])


class _Hush:
    """While any thread is inside, Pillow's warnings are not shown.

    ``catch_warnings`` alone is not for threads: the one that leaves last puts back the filter that it
    found, which may be another's.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.close()


_HUSH = _Hush()


@contextmanager
def _opened(source: Path | BinaryIO, name: str) -> Iterator[BinaryIO]:
    """Yield a file that Pillow can seek in and that is not empty."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
            if not isinstance(source, Path) or not file.seekable():
                file = io.BytesIO(file.read())
            empty = not file.read(1)
        except FileNotFoundError as error:
            raise AdainError(f"{name}: no such file; check the path") from error
        except IsADirectoryError as error:
            raise AdainError(f"{name}: is a folder; name a picture in it") from error
        except OSError as error:
            raise AdainError(f"{name}: cannot be read ({explain(error)}); check who may read it") from error
        if empty:
            raise AdainError(f"{name}: is empty; copy or export it again")
        yield file


def _picture(image: Image.Image, name: str) -> Picture:
    """Decode an open image."""
    if image.width * image.height > MAX_PIXELS:
        raise AdainError(_too_large(name))
    if image.mode == "F":
        raise AdainError(f"{name}: holds floating-point values; convert it to 8 or 16 bits")
    # A multi-picture JPEG is one photograph with its previews, no animation.
    several = image.format == "MPO"
    frames = 1 if several else getattr(image, "n_frames", 1)
    image.load()
    exif = _exif(image)
    method = _UPRIGHT.get(exif.get(ExifTags.Base.Orientation, 1))
    upright = image if method is None else image.transpose(method)
    alpha = _alpha(upright)
    pixels = np.array(_srgb(upright, name))
    return Picture(
        pixels=pixels if alpha is None else _without_unseen_colors(pixels, alpha),
        alpha=alpha,
        format="JPEG" if several else str(image.format),
        frames=frames,
        exif=_kept_exif(exif),
        xmp=_kept_xmp(image.info.get("xmp")),
        dpi=_kept_dpi(image.info.get("dpi")),
    )


def _too_large(name: str) -> str:
    return f"{name}: has more than {MAX_PIXELS:,} pixels; use a smaller picture"


def _why(error: Exception) -> str:
    """Return an error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _alpha(image: Image.Image) -> Pixels | None:
    """Return uint8 [H, W] if an image has transparency of any kind: a channel, a palette's, a colour key."""
    if not image.has_transparency_data:
        return None
    if image.mode.startswith("I"):
        return np.where(np.asarray(image) == image.info["transparency"], 0, 255).astype(np.uint8)
    return np.array(image.convert("RGBA").getchannel("A"))


def _srgb(image: Image.Image, name: str) -> Image.Image:
    """Return an image of any mode as sRGB, mode RGB, without its alpha."""
    profile = image.info.get("icc_profile")
    image = _in_profile_mode(image, name)
    if profile:
        try:
            return _profiled(image, profile)
        except (OSError, TypeError, ValueError):  # a broken profile is no reason to refuse a picture
            pass
    return image.convert("RGB")


def _in_profile_mode(image: Image.Image, name: str) -> Image.Image:
    """Return an image in one of the modes that a profile can be of."""
    if image.mode in {"RGB", "L", "CMYK", "LAB"}:
        return image
    if image.mode.startswith("I"):
        return _grey_from_16_bits(image, name)
    return image.convert("L" if image.mode in {"1", "LA"} else "RGB")


def _grey_from_16_bits(image: Image.Image, name: str) -> Image.Image:
    """Return 0..65535 as 0..255, rounded: 65535 / 255 is 257."""
    values = np.asarray(image)
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise AdainError(f"{name}: holds values beyond 16 bits; convert it to 8 or 16 bits")
    return Image.fromarray(((values.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _profiled(image: Image.Image, profile: bytes) -> Image.Image:
    from PIL import ImageCms

    transform = ImageCms.ImageCmsTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        image.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.HIGHRESPRECALC,
    )
    return transform.apply(image)


@cache
def _srgb_profile() -> bytes:
    """Return the sRGB profile that is put in files, its date fixed: the same picture is the same file."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # ICC.1:2022, 7.2: bytes 24 to 35 are the date, six big-endian uint16.
    date = b"".join(number.to_bytes(2, "big") for number in (2000, 1, 1, 0, 0, 0))
    return profile[:24] + date + profile[36:]


def _without_unseen_colors(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Give transparent pixels of uint8 [H, W, 3] the mean colour of the others; see ``read_picture``."""
    weight = alpha.sum(dtype=np.int64)
    if weight:
        pixels[alpha == 0] = np.rint(np.einsum("hw,hwc->c", alpha, pixels, dtype=np.float64) / weight)
    return pixels


def _exif(image: Image.Image) -> Image.Exif:
    try:
        return image.getexif()
    except Exception:  # a damaged block is no reason to refuse a picture
        return Image.Exif()


def _kept_exif(exif: Image.Exif) -> bytes | None:
    """Return the EXIF block of what stays true of the stylised picture."""
    kept = Image.Exif()
    try:
        kept.update({tag: exif[tag] for tag in _KEPT_TAGS if tag in exif})
        details = exif.get_ifd(ExifTags.IFD.Exif)
        if kept_details := {tag: details[tag] for tag in details.keys() - _DROPPED_DETAILS}:
            kept[ExifTags.IFD.Exif] = {**kept_details, ExifTags.Base.ColorSpace: 1}  # 1 is sRGB
        if place := exif.get_ifd(ExifTags.IFD.GPSInfo):
            kept[ExifTags.IFD.GPSInfo] = place
        return kept.tobytes() if len(kept) else None
    except Exception:  # as in ``_exif``
        return None


def _kept_xmp(xmp: object) -> bytes | None:
    if not isinstance(xmp, bytes) or len(xmp) > _LONGEST_XMP:
        return None
    for start, end in _THUMBNAILS:
        before, found, rest = xmp.partition(start)
        if found:
            xmp = before + rest.partition(end)[2]
    return _STALE_XMP.sub(b"", xmp) or None


def _kept_dpi(dpi: object) -> tuple[float, float] | None:
    """Return a sane resolution; some files say 0, or 1 / 0."""
    try:
        across, down = (float(value) for value in dpi)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    most = np.iinfo(np.uint16).max  # as JPEG stores it
    return (across, down) if 1 < across <= most and 1 < down <= most else None  # 1 is what Pillow gives for none


def _image(picture: Picture, file_format: str) -> Image.Image:
    """Return what is to be encoded, mode RGB or RGBA."""
    image = Image.fromarray(picture.pixels)
    if picture.alpha is None:
        return image
    alpha = Image.fromarray(picture.alpha)
    if file_format not in _WITH_ALPHA:
        return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
    image.putalpha(alpha)
    return image


def _metadata(picture: Picture, file_format: str) -> dict[str, Any]:
    """Return EXIF and XMP as the options of Pillow's encoder; a JPEG has no room for long ones."""
    exif, xmp = picture.exif or b"", picture.xmp or b""
    if file_format == "TIFF":
        return _tiff_metadata(exif, xmp)
    if file_format == "PNG":
        text = PngInfo()
        if xmp:
            text.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
        return {"exif": exif, "pnginfo": text}
    if file_format == "JPEG":
        exif, xmp = (block if len(block) <= _JPEG_BLOCK else b"" for block in (exif, xmp))
    return {"exif": exif, "xmp": xmp}


def _tiff_metadata(exif: bytes, xmp: bytes) -> dict[str, Any]:
    """Return a TIFF's tags and compression: Pillow nests directories only in uncompressed files."""
    tags = Image.Exif()
    tags.load(exif)
    if xmp:
        tags[_XMP_TAG] = xmp
    nested = ExifTags.IFD.Exif in tags or ExifTags.IFD.GPSInfo in tags
    return {"exif": tags, "compression": None if nested else "tiff_adobe_deflate"}
