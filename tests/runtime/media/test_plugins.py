"""HEIC and JPEG XL, by plug-ins that may be missing."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.runtime.media.files import XMP, encoded, exif_with, photograph, read, refusal, stored_with

from adain_rt.media.pictures import MAX_PIXELS

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
CODESTREAM = b"\xff\x0a"


def heic(image: Image.Image, **options: Any) -> bytes:
    plugin = pytest.importorskip("pillow_heif")
    plugin.register_heif_opener()
    return encoded(image, "HEIF", quality=95, **options)


def jxl(image: Image.Image, **options: Any) -> bytes:
    pytest.importorskip("pillow_jxl")
    return encoded(image, "JXL", **options)


@pytest.mark.parametrize(
    ("head", "module", "kind"),
    [
        (HEIC, "pillow_heif", "HEIC"),
        (HEIC.replace(b"heic\0", b"mif1\0"), "pillow_heif", "HEIC"),
        (CODESTREAM, "pillow_jxl", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "pillow_jxl", "JPEG XL"),
    ],
)
def test_without_its_plug_in_a_picture_is_refused_with_the_extra(
    head: bytes, module: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for name in [name for name in sys.modules if name.startswith(f"{module}.")]:
        monkeypatch.setitem(sys.modules, name, None)
    expected = f"the input: is a {kind} picture, which needs a plug-in; pip install 'adain-rt[photos]'"
    assert refusal(head + bytes(100)) == expected


def test_avif_needs_no_plug_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert read(encoded(Image.fromarray(photograph()), "AVIF")).format == "AVIF"


def test_heic_is_read_with_its_metadata() -> None:
    picture = read(heic(Image.fromarray(photograph()), exif=exif_with(Artist="me").tobytes(), xmp=XMP % b""))
    assert np.abs(picture.pixels.astype(int) - photograph()).mean() < 4
    assert (picture.format, picture.frames, picture.alpha) == ("HEIF", 1, None)
    assert b"me\0" in (picture.exif or b"")
    assert picture.xmp == XMP % b""


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_upright(orientation: int) -> None:
    stored = Image.fromarray(np.ascontiguousarray(stored_with(orientation, photograph())))
    stored.info["exif"] = exif_with(Orientation=orientation).tobytes()
    picture = read(heic(stored))
    assert picture.pixels.shape == (60, 90, 3)
    assert np.abs(picture.pixels.astype(int) - photograph()).mean() < 5


def test_jxl_is_read_to_the_bit() -> None:
    for mode in ("RGB", "RGBA", "L"):
        picture = read(jxl(Image.fromarray(photograph()).convert(mode), lossless=True))
        assert np.array_equal(picture.pixels, np.array(Image.fromarray(photograph()).convert(mode).convert("RGB")))
        assert (picture.format, picture.alpha is None) == ("JXL", mode != "RGBA")


@pytest.mark.parametrize("size", [(1, 1), (8, 16), (257, 100), (300, 200), (64, 48), (17, 3000)])
@pytest.mark.parametrize("container", [False, True])
def test_the_size_of_a_jxl_is_known_before_it_is_decoded(size: tuple[int, int], container: bool) -> None:
    from adain_rt.media.pictures.plugins import read_jxl_size

    assert read_jxl_size(jxl(Image.new("RGB", size), use_container=container)) == size


def test_a_jxl_bomb_is_refused_before_it_is_decoded() -> None:
    pytest.importorskip("pillow_jxl")
    side = f"{(1 << 30) - 1:030b}"[::-1]
    bits = "0" + "11" + side + "100"  # not small, a side of 30 bits, as wide as high
    packed = int(bits[::-1], 2).to_bytes(5, "little")
    assert refusal(CODESTREAM + packed + bytes(100)).endswith(f"more than {MAX_PIXELS:,} pixels; use a smaller picture")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("make", [heic, jxl])
def test_a_file_cut_short_is_refused(make: Any, share: float) -> None:
    data = make(Image.fromarray(photograph()))
    assert "\n" not in refusal(data[: int(share * len(data))])
