"""Reading: orientation, frames, sizes and streams."""

from __future__ import annotations

import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps
from tests.runtime.media.files import (
    EXTENSIONS,
    XMP,
    difference,
    encoded,
    exif_with,
    photograph,
    read,
    stored_with,
)

from adain_rt.media.pictures import (
    Picture,
    read_picture,
    write_picture,
)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("file_format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}, 4),
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 6),
    ],
)
def test_the_exif_orientation_is_applied(
    orientation: int, file_format: str, options: dict[str, Any], tolerance: int
) -> None:
    upright = photograph()
    stored = Image.fromarray(np.ascontiguousarray(stored_with(orientation, upright)))
    picture = read(encoded(stored, file_format, exif=exif_with(Orientation=orientation), **options))
    assert picture.pixels.shape == upright.shape
    assert difference(picture.pixels, upright) <= tolerance
    assert picture.pixels.flags.c_contiguous


@pytest.mark.parametrize("attribute", [b' tiff:Orientation="6"', b"><tiff:Orientation>6</tiff:Orientation><x"])
def test_an_orientation_in_xmp_is_applied_and_taken_out(attribute: bytes) -> None:
    stored = Image.fromarray(np.ascontiguousarray(stored_with(6, photograph())))
    picture = read(encoded(stored, "WEBP", lossless=True, xmp=XMP % attribute))
    assert np.array_equal(picture.pixels, photograph())
    assert picture.xmp is not None
    assert b"Orientation" not in picture.xmp
    assert b"harbour" in picture.xmp


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_what_is_written_is_not_turned_again(extension: str, tmp_path: Path) -> None:
    stored = Image.fromarray(np.ascontiguousarray(stored_with(6, photograph())))
    exif, xmp = exif_with(Orientation=6, Artist="me"), XMP % b' tiff:Orientation="6"'
    picture = read(encoded(stored, "JPEG", exif=exif, xmp=xmp))
    write_picture(tmp_path / f"out{extension}", picture)
    with Image.open(tmp_path / f"out{extension}") as image:
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        assert ImageOps.exif_transpose(image).size == (90, 60)
    assert read_picture(tmp_path / f"out{extension}").pixels.shape == (60, 90, 3)


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_the_first_frame_is_read_and_the_frames_are_counted(file_format: str) -> None:
    first, *rest = [Image.new("RGB", (20, 16), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if file_format == "WEBP" else {}
    picture = read(encoded(first, file_format, save_all=True, append_images=rest, **options))
    assert picture.frames == 3
    assert difference(picture.pixels, np.full((16, 20, 3), (255, 0, 0), np.uint8)) <= 3


def test_a_multi_picture_jpeg_is_one_photograph() -> None:
    images = [Image.fromarray(photograph()), Image.fromarray(photograph(30, 45))]
    picture = read(encoded(images[0], "MPO", save_all=True, append_images=images[1:]))
    assert (picture.format, picture.frames, picture.height, picture.width) == ("JPEG", 1, 60, 90)


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("size", [(1, 1), (16, 4000), (4000, 16)])
def test_tiny_and_narrow_pictures_make_the_round_trip(size: tuple[int, int], extension: str, tmp_path: Path) -> None:
    picture = Picture(photograph(*size), None, "PNG")
    write_picture(tmp_path / f"out{extension}", picture)
    assert read_picture(tmp_path / f"out{extension}").pixels.shape == (*size, 3)


def test_a_stream_that_cannot_seek_is_read() -> None:
    class Pipe(io.BytesIO):
        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation("seek")

        def seekable(self) -> bool:
            return False

    data = encoded(Image.fromarray(photograph()), "PNG")
    assert np.array_equal(read_picture(Pipe(data)).pixels, photograph())


def test_threads_read_at_once_and_leave_the_warnings_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "corrupt-exif.jpg"
    path.write_bytes(encoded(Image.fromarray(photograph()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xffgarbage"))
    filters, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(read_picture, [path] * 64))
    assert all(np.array_equal(picture.pixels, pictures[0].pixels) for picture in pictures)
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS) == (filters, limit)
