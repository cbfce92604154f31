"""An open picture file: its facts, and parts of it."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from adain_models.errors import AdainError
from adain_rt.media.pictures import PictureSource, read_picture

ORIENTATION = 0x0112
BOX = (3, 5, 40, 31)


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def opened(data: bytes) -> PictureSource:
    return PictureSource(io.BytesIO(data))


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF"])
def test_a_part_is_that_part_of_the_upright_whole(china, orientation, file_format):
    data = encoded(Image.fromarray(china[:60, :90]), file_format, exif=turned(orientation))
    whole = read_picture(io.BytesIO(data))
    with opened(data) as source:
        assert (
            (source.width, source.height) == (whole.width, whole.height) == ((90, 60) if orientation < 5 else (60, 90))
        )
        part = source.read(BOX)
        rest = source.read((0, 0, source.width, source.height))
    np.testing.assert_array_equal(part.pixels, whole.pixels[5:31, 3:40])
    np.testing.assert_array_equal(rest.pixels, whole.pixels)
    assert (part.format, part.frames, part.exif) == (whole.format, whole.frames, whole.exif)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "I;16"])
def test_a_part_of_a_picture_of_any_mode_is_that_part_of_the_whole(china, mode):
    rgb = Image.fromarray(china[:60, :90])
    if mode == "I;16":
        image = Image.fromarray(np.arange(5400, dtype=np.uint16).reshape(60, 90) * 12)
    else:
        image = rgb.convert(mode)
    data = encoded(image, "TIFF" if mode == "CMYK" else "PNG")
    whole = read_picture(io.BytesIO(data))
    with opened(data) as source:
        part = source.read(BOX)
    np.testing.assert_array_equal(part.pixels, whole.pixels[5:31, 3:40])
    assert (part.alpha is None) == (whole.alpha is None)


def test_the_facts_are_known_before_a_pixel_is_decoded(china, monkeypatch):
    data = encoded(Image.fromarray(china[:60, :90]), "JPEG", exif=turned(6))
    monkeypatch.setattr(ImageFile.ImageFile, "load", None)
    with opened(data) as source:
        assert (source.width, source.height, source.format, source.frames) == (60, 90, "JPEG", 1)


def test_a_file_is_decoded_once_for_all_its_parts(china, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.fromarray(china[:60, :90]), "PNG"))
    with PictureSource(path) as source:
        first = source.read((0, 0, 10, 10))
        os.truncate(path, 100)
        np.testing.assert_array_equal(source.read((80, 50, 90, 60)).pixels, china[50:60, 80:90])
    np.testing.assert_array_equal(first.pixels, china[:10, :10])


@pytest.mark.parametrize("box", [(0, 0, 91, 10), (-1, 0, 10, 10), (5, 5, 5, 10), (0, 10, 10, 10), (0, 0, 10, 61)])
def test_a_box_that_is_empty_or_beyond_the_picture_is_an_error(china, box):
    with (
        opened(encoded(Image.fromarray(china[:60, :90]), "PNG")) as source,
        pytest.raises(ValueError, match="is not within 90 x 60 pixels"),
    ):
        source.read(box)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(china, orientation):
    data = encoded(Image.fromarray(china[:60, :90]), "PNG", exif=turned(orientation))
    np.testing.assert_array_equal(read_picture(io.BytesIO(data)).pixels, china[:60, :90])


def test_the_file_is_closed_when_it_is_refused_and_when_it_is_left(tmp_path, china, recwarn):
    path = tmp_path / "a.png"
    path.write_bytes(b"broken")
    with pytest.raises(AdainError, match=r"a\.png: is broken"):
        PictureSource(path)
    Image.fromarray(china).save(path)
    with PictureSource(path) as source:
        source.read()
    path.unlink()
    assert not recwarn  # an open file would warn as it is collected
