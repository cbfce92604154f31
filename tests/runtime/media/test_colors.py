"""Reading: colours and transparency."""

from __future__ import annotations

import io
import struct
from concurrent.futures import ThreadPoolExecutor
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
    srgb_encoded,
)

from adain_rt.media.pictures import PictureSource


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


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_grey_colour_key_has_the_depth_of_the_file(depth: int) -> None:
    levels = np.arange(1 << min(depth, 4), dtype=np.uint16) * (4097 if depth == 16 else 1)
    key = int(levels[1])
    row = levels.astype(">u2").tobytes() if depth == 16 else np.packbits(_bits(levels, depth)).tobytes()
    alpha = read(png((len(levels), 1), depth, 0, b"\0" + row, tRNS=struct.pack(">H", key))).alpha
    assert alpha is not None
    assert alpha[0].tolist() == np.where(levels == key, 0, 255).tolist()


@pytest.mark.parametrize("depth", [2, 4, 8])
def test_the_high_bits_of_a_colour_key_mean_nothing(depth: int) -> None:
    row = np.packbits(_bits(np.array([0, 1, 2, 3]), depth)).tobytes()
    alpha = read(png((4, 1), depth, 0, b"\0" + row, tRNS=struct.pack(">H", (0xAB00 >> depth << depth) + 2))).alpha
    assert alpha is not None
    assert alpha.tolist() == [[255, 255, 0, 255]]
    rgb = np.array([[9, 9, 9], [9, 9, 8]], np.uint8)
    alpha = read(png((2, 1), 8, 2, b"\0" + rgb.tobytes(), tRNS=struct.pack(">3H", 0x109, 9, 8))).alpha
    assert alpha is not None
    assert alpha.tolist() == [[255, 0]]


@pytest.mark.parametrize("interlaced", [0, 1])
def test_a_colour_key_of_16_bits_is_compared_with_all_of_them(interlaced: int) -> None:
    values = np.array([[0x1234, 0x5678, 0x9ABC], [0x1234, 0x5678, 0x9ABD], [0x1334, 0x5678, 0x9ABC]], ">u2")
    rows = b"\0" + values.tobytes()
    if interlaced:  # the passes of three pixels of one row: the first, then the third, then the second
        rows = b"".join(b"\0" + values[i].tobytes() for i in (0, 2, 1))
    data = png((3, 1), 16, 2, rows, interlaced=interlaced, tRNS=values[0].tobytes())
    picture = read(data)
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 255, 255]]
    assert picture.pixels[0, 2].tolist() == [0x13, 0x56, 0x9A]
    with PictureSource(io.BytesIO(data)) as source:
        part = source.read((0, 0, 2, 1)).alpha
    assert part is not None
    assert part.tolist() == [[0, 255]]


def _bits(levels: NDArray[Any], depth: int) -> NDArray[Any]:
    """The bits of numbers, the highest first."""
    return (levels[:, None] >> np.arange(depth - 1, -1, -1) & 1).astype(np.uint8)


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


def test_threads_that_share_a_profile_do_not_mix_their_colours():
    options = {"icc_profile": linear_profile(DISPLAY_P3_D50)}
    files = [encoded(Image.fromarray(np.roll(photograph(), turn, axis=2)), "PNG", **options) for turn in range(3)]
    expected = [read(file).pixels for file in files]
    with ThreadPoolExecutor(6) as pool:
        found = pool.map(lambda number: read(files[number % 3]).pixels, range(60))
        assert all(np.array_equal(pixels, expected[number % 3]) for number, pixels in enumerate(found))
