"""Pictures into files."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

from PIL import Image

from adain_models.errors import AdainError
from adain_models.files import replacing
from adain_rt.media.pictures.formats import check_writable
from adain_rt.media.pictures.hush import HUSH, explain_failure
from adain_rt.media.pictures.metadata import metadata_options
from adain_rt.media.pictures.picture import Picture
from adain_rt.media.pictures.profiles import srgb_profile

__all__ = ["encode_picture", "write_picture"]

# No "optimize" for JPEG: Pillow guesses how large the file may become, and fails where noise makes it larger.
_SETTINGS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": "4:4:4"},
    "PNG": {},
    "WEBP": {"quality": 90},
    "AVIF": {"quality": 85, "subsampling": "4:4:4", "speed": 8},
    "TIFF": {},
    "BMP": {},
}
_WITH_ALPHA = {"PNG", "WEBP", "TIFF", "AVIF"}
# The longest sides that libjpeg and libwebp encode, and that libavif decodes.
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 32_768}


def write_picture(path: str | os.PathLike[str], picture: Picture) -> None:
    """Write a picture in the format of the path's extension; a file that is there is replaced only as a whole.

    Raises:
        AdainError: no format has that extension, a side is longer than the format allows, the encoder fails, or the
            file cannot be written.

    """
    target = Path(path)
    data = encode_picture(picture, check_writable(target), str(path))
    with replacing(target) as aside:
        aside.write_bytes(data)


def encode_picture(
    picture: Picture, file_format: str, name: str = "the output", *, quality: int | None = None
) -> bytes:
    """Return a picture as the bytes of a file.

    EXIF, XMP, texts, resolution and an sRGB profile are stored if the format can hold them. PNG, WebP, TIFF and AVIF
    keep alpha; JPEG and BMP show the picture on white.

    Args:
        picture: what to encode.
        file_format: one of the values of WRITABLE.
        name: the file's name in errors.
        quality: of JPEG, WebP and AVIF, from 1 to 100; the others have none. ``None`` is one that looks lossless.

    Raises:
        AdainError: a side is longer than the format allows, or the encoder fails.

    """
    longest = _LONGEST_SIDE.get(file_format, max(picture.pixels.shape))
    if max(picture.height, picture.width) > longest:
        size = f"{picture.width} x {picture.height}"
        raise AdainError(f"{name}: {file_format} ends at {longest} pixels a side, not {size}; use PNG or TIFF")
    metadata = metadata_options(file_format, picture.exif or b"", picture.xmp or b"", picture.texts)
    options = {**_SETTINGS[file_format], **metadata, "icc_profile": srgb_profile()}
    if quality is not None:
        options["quality"] = quality
    if picture.dpi:
        options["dpi"] = picture.dpi
    buffer = io.BytesIO()
    try:
        with HUSH:
            _to_image(picture, file_format).save(buffer, file_format, **options)
    except Exception as error:  # as in reading
        raise AdainError(f"{name}: cannot be written as {file_format} ({explain_failure(error)}); use PNG") from error
    return buffer.getvalue()


def _to_image(picture: Picture, file_format: str) -> Image.Image:
    """Return the image to encode, mode RGB or RGBA."""
    image = Image.fromarray(picture.pixels)
    if picture.alpha is None:
        return image
    alpha = Image.fromarray(picture.alpha)
    if file_format not in _WITH_ALPHA:
        return Image.composite(image, Image.new("RGB", image.size, "white"), alpha)
    image.putalpha(alpha)
    return image
