"""Reading: colours and transparency."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.runtime.media.files import (
    DISPLAY_P3_D50,
    LINEAR,
    SRGB_D50,
    cmyk_profile,
    difference,
    encoded,
    linear_profile,
    photograph,
    png,
    profile,
    read,
    refusal,
    srgb_encoded,
)


@pytest.mark.parametrize("matrix", [SRGB_D50, DISPLAY_P3_D50, SRGB_D50[:, ::-1]], ids=["srgb", "p3", "swapped"])
def test_a_profile_of_primaries_is_converted_to_srgb(matrix: NDArray[np.float64]) -> None:
    soft = photograph() // 2 + 60  # colours that exist in sRGB
    expected = srgb_encoded(soft / 255 @ matrix.T @ np.linalg.inv(SRGB_D50).T)
    picture = read(encoded(Image.fromarray(soft), "PNG", icc_profile=linear_profile(matrix)))
    assert np.abs(picture.pixels - expected).max() <= 1.5


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_grey_profile_is_converted_to_srgb(mode: str) -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    gamma = b"curv" + struct.pack(">4xIH2x", 1, round(2.2 * 256))
    data = encoded(Image.fromarray(ramp).convert(mode), "PNG", icc_profile=profile(b"GRAY", b"XYZ ", kTRC=gamma))
    assert np.abs(read(data).pixels[..., 1] - srgb_encoded((ramp / 255) ** 2.2)).max() <= 1


def test_a_profile_leaves_the_alpha_alone() -> None:
    rgba = np.dstack([photograph(), np.full((60, 90), 255, np.uint8)])
    rgba[:10, :, 3] = 128
    picture = read(encoded(Image.fromarray(rgba), "PNG", icc_profile=linear_profile(SRGB_D50)))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, rgba[..., 3])
    assert np.abs(picture.pixels[20:] - srgb_encoded(rgba[20:, :, :3] / 255)).max() <= 1.5


@pytest.mark.parametrize(
    "damaged",
    [b"no profile", linear_profile(SRGB_D50)[:200], profile(b"GRAY", b"XYZ ", kTRC=LINEAR), cmyk_profile()],
    ids=["text", "truncated", "grey", "cmyk"],
)
def test_a_profile_that_is_broken_or_for_other_channels_is_ignored(damaged: bytes) -> None:
    picture = read(encoded(Image.fromarray(photograph()), "PNG", icc_profile=damaged))
    assert np.array_equal(picture.pixels, photograph())


def test_cmyk_without_a_profile_is_read_with_inks_the_right_way_round() -> None:
    inks = {(0, 0, 0, 0): (255, 255, 255), (255, 0, 0, 0): (0, 255, 255), (0, 0, 0, 255): (0, 0, 0)}
    for ink, color in inks.items():
        picture = read(encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100))
        assert difference(picture.pixels, np.full((16, 16, 3), color, np.uint8)) <= 2
        assert picture.format == "JPEG"


def test_cmyk_is_converted_by_its_profile() -> None:
    options = {"quality": 100, "icc_profile": cmyk_profile()}
    cyan = read(encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", **options))
    white = read(encoded(Image.new("CMYK", (16, 16)), "JPEG", **options))
    # CIE Lab (50, -40, -30) lies at about (0, 136, 168) in sRGB, and plain cyan at (0, 255, 255).
    assert difference(cyan.pixels, np.full((16, 16, 3), (0, 136, 168), np.uint8)) <= 8
    assert difference(white.pixels, np.full((16, 16, 3), 255, np.uint8)) <= 2


@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_a_tiff_of_other_channels_is_read_as_rgb(mode: str) -> None:
    picture = read(encoded(Image.fromarray(photograph()).convert(mode), "TIFF", compression="tiff_lzw"))
    assert np.abs(picture.pixels.astype(int) - photograph()).mean() < 2  # 8-bit YCbCr and Lab round


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("L", "PNG"), ("L", "JPEG"), ("1", "PNG"), ("1", "TIFF"), ("L", "JPEG2000"), ("L", "PPM"), ("L", "GIF")],
)
def test_grey_and_bilevel_pictures_are_read_as_rgb(mode: str, file_format: str) -> None:
    grey = Image.fromarray(photograph()).convert(mode)
    options = {"quality": 100} if file_format == "JPEG" else {}
    picture = read(encoded(grey, file_format, **options))
    assert difference(picture.pixels, np.array(grey.convert("RGB"))) <= (2 if file_format == "JPEG" else 0)
    assert np.array_equal(picture.pixels[..., 0], picture.pixels[..., 2])


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_and_rounded(file_format: str) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = read(encoded(Image.fromarray(values), file_format))
    assert np.array_equal(picture.pixels[..., 0], np.rint(values / 65535 * 255))
    assert picture.alpha is None


def test_16_bit_rgb_is_reduced_to_8_bits() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, 3))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    picture = read(png((7, 5), 16, 2, rows))
    assert np.abs(picture.pixels - values / 257).max() <= 1  # Pillow keeps the high byte


@pytest.mark.parametrize("array", [np.full((3, 4), 0.5, np.float32), np.full((3, 4), 70_000, np.int32)])
def test_floats_and_wide_integers_are_refused_with_the_way_out(array: NDArray[Any]) -> None:
    assert refusal(encoded(Image.fromarray(array), "TIFF")).endswith("convert it to 8 or 16 bits")


def test_a_palettes_transparent_colour_becomes_alpha() -> None:
    palette = Image.fromarray(photograph()).quantize(8)
    index = np.array(palette)
    picture = read(encoded(palette, "PNG", transparency=3))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, np.where(index == 3, 0, 255))
    assert np.array_equal(picture.pixels[index != 3], np.array(palette.convert("RGB"))[index != 3])


def test_a_palette_with_an_alpha_for_each_colour_keeps_it() -> None:
    palette = Image.fromarray(photograph()).quantize(4)
    picture = read(encoded(palette, "PNG", transparency=bytes([0, 80, 160, 255])))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, np.array([0, 80, 160, 255])[np.array(palette)])


@pytest.mark.parametrize(
    ("mode", "key"), [("L", 7), ("RGB", (7, 7, 7)), ("1", 0), ("I;16", 1799)], ids=["L", "RGB", "1", "I;16"]
)
def test_a_colour_key_becomes_alpha(mode: str, key: Any) -> None:
    image = Image.new(mode, (4, 4), 60_000 if mode == "I;16" else "white")
    image.putpixel((2, 1), key)
    alpha = read(encoded(image, "PNG", transparency=key)).alpha
    assert alpha is not None
    assert (alpha == 0).sum() == 1
    assert alpha[1, 2] == 0


def test_grey_with_alpha_keeps_both() -> None:
    la = Image.merge("LA", [Image.new("L", (4, 4), 90), Image.new("L", (4, 4), 200)])
    picture = read(encoded(la, "PNG"))
    assert picture.alpha is not None
    assert (picture.alpha == 200).all()
    assert (picture.pixels == 90).all()


def test_unseen_colours_become_the_mean_of_the_seen_ones() -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)  # transparent black
    rgba[0] = [200, 100, 50, 255]
    rgba[1] = [100, 100, 150, 255]
    rgba[2] = [0, 0, 0, 51]  # a fifth there
    picture = read(encoded(Image.fromarray(rgba), "PNG"))
    mean = np.array([300, 200, 200]) / 2.2
    assert np.array_equal(picture.pixels[:3], rgba[:3, :, :3])
    assert np.array_equal(picture.pixels[3], np.broadcast_to(np.rint(mean), (4, 3)))


def test_a_wholly_transparent_picture_keeps_its_colours() -> None:
    rgba = np.dstack([photograph(), np.zeros((60, 90), np.uint8)])
    picture = read(encoded(Image.fromarray(rgba), "PNG"))
    assert np.array_equal(picture.pixels, photograph())
