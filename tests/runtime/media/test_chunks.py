"""Reading: profiles and texts of PNG files, long, misleading and harmless ones."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.runtime.media.files import XMP, chunk, encoded, photograph, png, read

from adain_rt.media.pictures import encode_picture, read_picture, write_picture

ROWS = b"\0" + bytes(range(9))
PIXELS = [[[0, 1, 2], [3, 4, 5], [6, 7, 8]]]
LONG = zlib.compress(bytes(3 << 20))  # over Pillow's limit
LONG_TEXTS = {
    "zTXt": b"Comment\0\0" + LONG,
    "iTXt": b"Comment\0\1\0\0\0" + LONG,
    "tEXt": b"Comment\0" + b"x" * (3 << 20),
}


@pytest.mark.parametrize("behind", [False, True], ids=["before", "behind"])
@pytest.mark.parametrize("name", LONG_TEXTS)
def test_a_text_that_is_too_long_is_left_out_with_a_remark(name: str, behind: bool) -> None:
    if behind:
        end = chunk(b"IEND", b"")
        data = png((3, 1), 8, 2, ROWS).removesuffix(end) + chunk(name.encode(), LONG_TEXTS[name]) + end
    else:
        data = png((3, 1), 8, 2, ROWS, **{name: LONG_TEXTS[name]})
    picture = read(data)
    assert picture.pixels.tolist() == PIXELS
    assert picture.remarks == ("has texts that are too long, which are left out",)
    assert picture.texts == {}


def test_a_profile_that_is_too_long_is_left_out_with_a_remark() -> None:
    picture = read(png((3, 1), 8, 2, ROWS, iCCP=b"wide\0\0" + LONG))
    assert picture.pixels.tolist() == PIXELS
    assert picture.remarks == ("has a colour profile that is too long, which is left out; its colours may be off",)


def test_xmp_that_is_too_long_costs_neither_the_picture_nor_the_other_texts() -> None:
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", "x" * (3 << 20), zip=True)
    texts.add_text("Title", "harbour")
    picture = read(encoded(Image.fromarray(photograph()), "PNG", pnginfo=texts))
    assert np.array_equal(picture.pixels, photograph())
    assert (picture.xmp, picture.texts) == (None, {"Title": "harbour"})


def test_very_many_texts_are_left_out_from_where_they_are_too_long_together() -> None:
    one = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 20)))
    head, tail = _split(png((3, 1), 8, 2, ROWS))
    picture = read(head + one * 100 + tail)
    assert picture.pixels.tolist() == PIXELS
    assert picture.remarks == ("has texts that are too long, which are left out",)


@pytest.mark.parametrize("keyword", ["transparency", "icc_profile", "bbox", "dpi", "exif", "xmp", "default_image"])
def test_a_text_that_is_called_like_a_fact_of_the_picture_is_not_taken_for_it(keyword: str) -> None:
    picture = read(png((3, 1), 8, 2, ROWS, tEXt=keyword.encode() + b"\0surprise"))
    assert picture.pixels.tolist() == PIXELS
    assert (picture.alpha, picture.exif, picture.xmp, picture.dpi, picture.remarks) == (None, None, None, None, ())


@pytest.mark.parametrize("transfer", [16, 18])
def test_a_png_in_hdr_is_read_with_a_remark(transfer: int) -> None:
    (remark,) = read(png((3, 1), 8, 2, ROWS, cICP=bytes([9, transfer, 0, 1]))).remarks
    assert remark.startswith(f"is in HDR ({'PQ' if transfer == 16 else 'HLG'})")
    assert read(png((3, 1), 8, 2, ROWS, cICP=bytes([1, 13, 0, 1]))).remarks == ()


def test_harmless_texts_of_a_png_are_kept_in_a_png(tmp_path: Path) -> None:
    harmless = {"Title": "harbour", "Author": "Ærø", "Description": "雨", "Copyright": "me", "Comment": "a\nb"}
    texts = PngInfo()
    for name, text in {**harmless, "Thumb::Image::Width": "90", "parameters": "steps", "Software": "x"}.items():
        texts.add_text(name, text)
    picture = read(encoded(Image.fromarray(photograph()), "PNG", pnginfo=texts))
    assert picture.texts == harmless
    write_picture(tmp_path / "out.png", picture)
    with Image.open(tmp_path / "out.png") as image:
        assert image.text == harmless  # type: ignore[attr-defined]
    write_picture(tmp_path / "out.jpg", picture)
    assert read_picture(tmp_path / "out.jpg").texts == {}


@pytest.mark.parametrize("text", ["x" * 20_000, "a\0b", ""])
def test_texts_that_are_long_or_odd_are_not_kept(text: str) -> None:
    texts = PngInfo()
    texts.add_text("Comment", text)
    assert read(encoded(Image.fromarray(photograph()), "PNG", pnginfo=texts)).texts == {}


def test_texts_and_xmp_stand_side_by_side() -> None:
    texts = PngInfo()
    texts.add_text("Title", "harbour")
    texts.add_itxt("XML:com.adobe.xmp", (XMP % b"").decode())
    picture = read(encoded(Image.fromarray(photograph()), "PNG", pnginfo=texts))
    again = read(encode_picture(picture, "PNG"))
    assert (again.texts, again.xmp) == ({"Title": "harbour"}, XMP % b"")


def _split(data: bytes) -> tuple[bytes, bytes]:
    """A PNG file before and from its pixels."""
    at = data.index(b"IDAT") - struct.calcsize(">I")
    return data[:at], data[at:]
