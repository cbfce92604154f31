"""A picture file that is open: its facts first, its pixels when they are asked for, all of them or a part."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.errors import TooManyPixels
from adain_rt.media.pictures.decoding import count_frames, decode, open_image
from adain_rt.media.pictures.formats import FORMATS, MAX_PIXELS
from adain_rt.media.pictures.geometry import SIDEWAYS, Box, locate_stored_box, turn_upright
from adain_rt.media.pictures.hush import HUSH, explain_failure
from adain_rt.media.pictures.metadata import keep_dpi, keep_exif, keep_texts, read_exif
from adain_rt.media.pictures.picture import Picture
from adain_rt.media.pictures.profiles import fill_unseen_colors, read_alpha, to_srgb
from adain_rt.media.pictures.xmp import keep_xmp

__all__ = ["PictureSource"]


class PictureSource:
    """An open picture file, whose pixels are decoded when they are first read.

        with PictureSource(path) as source:
            left = source.read((0, 0, source.width // 2, source.height))

    Decoding is Pillow's, which decodes the first frame as a whole and once. Only the part that is read is converted to
    sRGB and turned upright, so that a part takes far less memory than the whole. The size of a PNG is known only after
    decoding, since its orientation may stand behind its pixels.

    Args:
        source: a file, or a stream that is then read to its end.
        name: the file's name in errors.

    Raises:
        AdainError: the file is missing, empty, unreadable, of another format, or of one whose plug-in is not
            installed; or the picture has more than MAX_PIXELS.

    """

    def __init__(self, source: str | os.PathLike[str] | BinaryIO, name: str | None = None) -> None:
        self._decoded = False
        file_or_stream = Path(source) if isinstance(source, (str, os.PathLike)) else source
        self.name = name or (str(file_or_stream) if isinstance(file_or_stream, Path) else "the input")
        with ExitStack() as opened, _explain_errors(self.name):
            file = _open_file(file_or_stream, self.name, opened)
            self._opened = open_image(file, self.name)
            opened.enter_context(self._image)
            if self.pixel_count > MAX_PIXELS:
                raise _too_large(self.name)
            self._files = opened.pop_all()

    def __enter__(self) -> PictureSource:  # noqa: PYI034 - Self is in typing since Python 3.11
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._files.close()

    @property
    def pixel_count(self) -> int:
        """The number of pixels, which is known before any is decoded."""
        return self._image.width * self._image.height

    @property
    def width(self) -> int:
        """Columns of pixels in the upright picture."""
        return self._image.height if self._orientation in SIDEWAYS else self._image.width

    @property
    def height(self) -> int:
        """Rows of pixels in the upright picture."""
        return self._image.width if self._orientation in SIDEWAYS else self._image.height

    @property
    def format(self) -> str:
        """Pillow's name of the file's format. A multi-picture JPEG (MPO) is one photograph, and so a JPEG."""
        return "JPEG" if self._image.format == "MPO" else str(self._image.format)

    @cached_property
    def frames(self) -> int:
        """The number of frames or pages; see ``count_frames``."""
        with _explain_errors(self.name):
            return count_frames(self._opened)

    def read(self, box: Box | None = None) -> Picture:
        """Return the picture, or a part of it.

        The EXIF orientation is applied. Colours are converted to sRGB by the file's ICC profile (relative colorimetric,
        with black point compensation); a profile that is broken, or for other channels than the picture's, is ignored.
        Deeper values are rounded to 8 bits. The first frame of an animation is read.

        A wholly transparent pixel takes the mean colour of the others that are read, weighted by their alpha.

        Args:
            box: the part, in pixels of the upright picture.

        Raises:
            AdainError: the file is broken or cut short, or the picture does not fit in memory.
            ValueError: the box is empty or reaches beyond the picture.

        """
        frames = self.frames
        self._decode()
        if box is not None and not (0 <= box[0] < box[2] <= self.width and 0 <= box[1] < box[3] <= self.height):
            raise ValueError(f"the box {box} is not within {self.width} x {self.height} pixels")
        remarks = self._opened.remarks
        if frames > 1:
            remarks = (*remarks, f"has {frames} frames or pages; the first is stylised")
        with _explain_errors(self.name):
            part = self._image if box is None else self._crop(box)
            upright = turn_upright(part, self._orientation)
            alpha = read_alpha(upright)
            pixels = np.array(to_srgb(upright))
            return Picture(
                pixels=pixels if alpha is None else fill_unseen_colors(pixels, alpha),
                alpha=alpha,
                format=self.format,
                frames=frames,
                exif=keep_exif(self._exif),
                xmp=keep_xmp(self._image.info.get("xmp")),
                dpi=keep_dpi(self._image.info.get("dpi")),
                texts=keep_texts(self._image),
                remarks=remarks,
            )

    @property
    def _image(self) -> Image.Image:
        return self._opened.image

    def _decode(self) -> None:
        if not self._decoded:
            with _explain_errors(self.name):
                self._opened = decode(self._opened)
            self._decoded = True

    def _crop(self, box: Box) -> Image.Image:
        return self._image.crop(locate_stored_box(box, self._image.size, self._orientation))

    @cached_property
    def _exif(self) -> Image.Exif:
        with _explain_errors(self.name):
            if self._image.format == "PNG":  # its EXIF and XMP may stand behind the pixels
                self._decode()
            return read_exif(self._image)

    @cached_property
    def _orientation(self) -> int:
        # Pillow turns a TIFF upright as it decodes it, and gives the upright size before; so do the plug-ins.
        if self._image.format in {"TIFF", "HEIF"} or (
            self._image.format == "JXL" and not getattr(self._image, "jpeg", False)
        ):
            return 1
        with _explain_errors(self.name):
            orientation: Any = self._exif.get(ExifTags.Base.Orientation)
            return int(orientation) if orientation in range(1, 9) else 1


def _open_file(source: Path | BinaryIO, name: str, opened: ExitStack) -> BinaryIO:
    """Return a file that Pillow can seek in and that is not empty."""
    try:
        file = opened.enter_context(source.open("rb")) if isinstance(source, Path) else source
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
    return file


@contextmanager
def _explain_errors(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises in the block into an ``AdainError`` that names the file."""
    try:
        with HUSH:
            yield
    except AdainError:
        raise
    except UnidentifiedImageError as error:
        raise AdainError(
            f"{name}: is broken, or not a picture that can be read; convert it to one of {', '.join(FORMATS)}"
        ) from error
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except MemoryError as error:
        raise AdainError(f"{name}: does not fit in memory; use a smaller picture") from error
    except Exception as error:  # Pillow's decoders raise whatever they meet
        raise AdainError(
            f"{name}: is broken or cut short ({explain_failure(error)}); copy or export it again"
        ) from error


def _too_large(name: str) -> TooManyPixels:
    return TooManyPixels(f"{name}: has more than {MAX_PIXELS:,} pixels", hint="use a smaller picture")
