"""Reading: samples of every depth, sign and type."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.runtime.media.files import difference, encoded, photograph, read, refusal
from tests.runtime.media.tiffs import DEFLATE, FLOAT, SIGNED, UNSIGNED, tiff

GREY = photograph()[..., 2]
ORDERS = ["<", ">"]


def drawn(bits: int, kind: int, channels: int = 1) -> NDArray[Any]:
    """The photograph over the full range of a type, (60, 90, channels)."""
    share = photograph()[..., -channels:] / 255
    if kind == FLOAT:
        return share.astype(f"f{bits // 8}")
    most = (1 << bits) - 1
    words = np.array([[round(value * most) for value in row] for row in share.reshape(60, -1).tolist()], np.uint64)
    words = words.reshape(share.shape)
    return words.astype(np.int64) - (1 << (bits - 1)) if kind == SIGNED else words


def expected(bits: int, channels: int = 1) -> NDArray[Any]:
    """What any depth is in 8 bits: 255 times the share of white, rounded."""
    most = (1 << bits) - 1
    seen = photograph()[..., -channels:]
    return np.rint(np.rint(seen / 255 * most) / most * 255) if bits < 8 else seen


@pytest.mark.parametrize("order", ORDERS, ids=["II", "MM"])
@pytest.mark.parametrize("photometric", [0, 1], ids=["white-is-zero", "black-is-zero"])
@pytest.mark.parametrize(
    ("bits", "kind"),
    [
        *((bits, UNSIGNED) for bits in (3, 6, 8, 10, 12, 14, 16, 24, 32)),
        *((bits, SIGNED) for bits in (8, 12, 16, 32)),
        *((bits, FLOAT) for bits in (16, 32, 64)),
    ],
)
def test_grey_is_scaled_by_the_full_range_of_its_type(bits: int, kind: int, photometric: int, order: str) -> None:
    values = drawn(bits, kind)
    if photometric == 0:
        values = 1 - values if kind == FLOAT else values ^ values.dtype.type(-1 if kind == SIGNED else (1 << bits) - 1)
    picture = read(tiff(values, bits, kind, photometric=photometric, order=order))
    assert difference(picture.pixels, np.repeat(expected(bits), 3, axis=2).astype(np.uint8)) == 0
    assert (picture.alpha, picture.remarks) == (None, ())


@pytest.mark.parametrize("planar", [False, True], ids=["together", "planes"])
@pytest.mark.parametrize(("bits", "kind"), [(10, UNSIGNED), (32, UNSIGNED), (16, SIGNED), (16, FLOAT), (32, FLOAT)])
def test_colours_of_other_depths_are_scaled_alike(bits: int, kind: int, planar: bool) -> None:
    picture = read(tiff(drawn(bits, kind, 3), bits, kind, photometric=2, planar=planar))
    assert np.array_equal(picture.pixels, photograph())


STORAGES: list[dict[str, Any]] = [
    {"rows": 7},
    {"tiled": True},
    {"big": True},
    {"compression": DEFLATE},
    {"compression": DEFLATE, "rows": 7, "predictor": 2},
    {"compression": DEFLATE, "tiled": True, "predictor": 2},
    {"compression": DEFLATE, "tiled": True, "predictor": 3},
    {"compression": DEFLATE, "rows": 7, "predictor": 3, "planar": True},
    {"compression": DEFLATE, "big": True, "tiled": True, "planar": True},
]


@pytest.mark.parametrize(
    ("kind", "order", "storage"),
    [
        (kind, order, storage)
        for kind, order, storage in itertools.product((SIGNED, FLOAT), ORDERS, STORAGES)
        if storage.get("predictor") != 3 or kind == FLOAT  # predictor 3 is for floating point
        if not storage.get("big") or order == "<"  # Pillow opens no big-endian BigTIFF
    ],
    ids=str,
)
def test_strips_tiles_compression_and_prediction_change_nothing(kind: int, order: str, storage: dict[str, Any]) -> None:
    picture = read(tiff(drawn(32, kind, 3), 32, kind, photometric=2, order=order, **storage))
    assert np.array_equal(picture.pixels, photograph())


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate", "lzma"])
def test_what_libtiff_packs_is_unpacked(compression: str) -> None:
    values = drawn(32, FLOAT)[..., 0]
    picture = read(encoded(Image.fromarray(values), "TIFF", compression=compression))
    assert np.array_equal(picture.pixels[..., 0], GREY)


def test_signed_bytes_are_darkest_at_their_lowest_value() -> None:
    values = np.arange(-128, 128).reshape(16, 16, 1)
    assert np.array_equal(read(tiff(values, 8, SIGNED)).pixels[..., 0].ravel(), np.arange(256))


def test_a_float_tiff_is_turned_upright_and_keeps_its_resolution() -> None:
    image = Image.fromarray(drawn(32, FLOAT)[..., 0])
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = read(encoded(image, "TIFF", exif=exif, dpi=(300, 300)))
    assert np.array_equal(picture.pixels[..., 0], np.rot90(GREY, -1))
    assert picture.dpi == (300, 300)


@pytest.mark.parametrize(("low", "high"), [(0, 4), (-2, 1), (-1, 3), (0, 1.5)])
def test_floats_beyond_0_to_1_are_scaled_with_a_remark(low: float, high: float) -> None:
    values = (low + drawn(32, FLOAT) * (high - low)).astype(np.float32)
    values[0, 0], values[0, 1] = low, high
    picture = read(tiff(values, 32, FLOAT))
    assert picture.remarks == (f"holds values beyond 0 to 1; {low:g} becomes black and {high:g} white",)
    assert difference(picture.pixels[1:, :, 0], GREY[1:]) <= 1  # of float32


def test_values_that_are_no_numbers_are_black_and_infinite_ones_are_clipped() -> None:
    values = np.array([[0.5, np.nan, np.inf, -np.inf]], np.float32)[..., None]
    assert read(tiff(values, 32, FLOAT)).pixels[0, :, 0].tolist() == [128, 0, 255, 0]
    signalling = np.array([[0x7F800001]], np.uint32).view(np.float32)[..., None]  # a NaN that warns as it is converted
    assert read(tiff(signalling, 32, FLOAT)).pixels.max() == 0


def test_the_largest_floats_are_scaled() -> None:
    most = np.finfo(np.float64).max
    assert read(tiff(np.array([[[-most], [0], [most]]]), 64, FLOAT)).pixels[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(("bits", "kind"), [(8, UNSIGNED), (16, UNSIGNED), (32, FLOAT)])
def test_premultiplied_grey_is_divided_by_its_alpha(bits: int, kind: int) -> None:
    white = 1 if kind == FLOAT else (1 << bits) - 1
    share = np.array([[[0.4, 0.8], [0.2, 0.2], [0, 0]]])
    values = share * white if kind == FLOAT else np.rint(share * white).astype(np.uint64)
    premultiplied = read(tiff(values, bits, kind, extra=(1,)))
    assert premultiplied.alpha is not None
    assert premultiplied.alpha.tolist() == [[204, 51, 0]]
    assert np.abs(premultiplied.pixels[0, :2, 0] - np.array([127.5, 255])).max() <= 1
    plain = read(tiff(values, bits, kind, extra=(2,)))
    assert plain.alpha is not None
    assert plain.alpha.tolist() == [[204, 51, 0]]
    assert plain.pixels[0, :2, 0].tolist() == [102, 51]


def test_samples_that_are_neither_colour_nor_alpha_are_left_out() -> None:
    values = np.concatenate([drawn(32, FLOAT, 3), np.full((60, 90, 2), 7, np.float32)], axis=2)
    picture = read(tiff(values, 32, FLOAT, photometric=2, extra=(0, 0)))
    assert np.array_equal(picture.pixels, photograph())
    assert (picture.alpha, picture.remarks) == (None, ())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
def test_a_float_tiff_cut_short_is_refused(compression: str | None, share: float) -> None:
    data = encoded(Image.fromarray(drawn(32, FLOAT)[..., 0]), "TIFF", compression=compression)
    assert "broken" in refusal(data[: int(share * len(data))])


@pytest.mark.parametrize(("letter", "channels"), [("f", 1), ("F", 3)])
@pytest.mark.parametrize(("scale", "order"), [("-1.0", "<"), ("1", ">"), ("-0.00392", "<")])
def test_a_portable_float_map_is_read(letter: str, channels: int, scale: str, order: str) -> None:
    values = drawn(32, FLOAT, channels)[::-1].astype(f"{order}f4")
    picture = read(f"P{letter}\n90 60\n{scale}\n".encode() + values.tobytes())
    assert np.array_equal(picture.pixels, np.broadcast_to(photograph()[..., -channels:], (60, 90, 3)))
    assert picture.format == "PPM"


def test_a_portable_float_map_cut_short_is_refused() -> None:
    assert "broken or cut short" in refusal(b"Pf\n90 60\n-1\n" + bytes(4 * 90 * 59))
