from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.linalg import sqrtm

from adain_rt.color import coral, keep_chroma

Pixels = NDArray[np.uint8]

pictures = arrays(np.uint8, st.tuples(st.integers(1, 6), st.integers(1, 6), st.just(3)))


def coral_by_the_formula(style: Pixels, content: Pixels) -> NDArray[np.float64]:
    """The transfer in full matrices of pixels, with SciPy's matrix square root."""

    def normalised(picture: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        flat = picture.reshape(-1, 3).T.astype(np.float64)
        mean, std = flat.mean(axis=1, keepdims=True), flat.std(axis=1, ddof=1, keepdims=True)
        return (flat - mean) / std, mean, std

    xs, _, _ = normalised(style)
    xc, mean, std = normalised(content)
    cs, cc = xs @ xs.T + np.eye(3), xc @ xc.T + np.eye(3)
    moved = sqrtm(cc).real @ np.linalg.inv(sqrtm(cs).real) @ xs * std + mean
    return np.clip(moved.T.reshape(style.shape), 0, 255)


def ycbcr(pixels: Pixels) -> NDArray[np.float64]:
    """JFIF's equations, 8-bit full range, without the offset of 128."""
    matrix = [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
    return pixels.astype(np.float64) @ np.array(matrix).T


def test_coral_is_the_published_formula_where_the_pictures_are_of_one_size(china: Pixels, flower: Pixels) -> None:
    assert np.abs(coral(flower, china) - coral_by_the_formula(flower, china)).max() <= 0.5 + 1e-6


def test_coral_of_a_few_pixels_is_the_published_formula_with_its_unbiased_deviation() -> None:
    rng = np.random.default_rng(3)
    style, content = rng.integers(60, 200, (2, 2, 3), np.uint8), rng.integers(100, 150, (1, 4, 3), np.uint8)
    assert np.abs(coral(style, content) - coral_by_the_formula(style, content)).max() <= 0.5 + 1e-6


def test_coral_does_not_depend_on_how_many_pixels_the_content_has(china: Pixels, flower: Pixels) -> None:
    larger = np.tile(china, (3, 3, 1))
    assert np.abs(coral(flower, larger).astype(int) - coral(flower, china)).max() <= 1


def test_coral_of_a_picture_with_itself_is_that_picture(china: Pixels) -> None:
    assert np.array_equal(coral(china, china), china)


def test_coral_gives_the_style_the_mean_deviation_and_correlation_of_the_content() -> None:
    rng = np.random.default_rng(0)
    mix = np.array([[20, 9, 4], [0, 15, 6], [0, 0, 10]])
    content = np.rint(rng.standard_normal((200, 200, 3)) @ mix + [110, 130, 150]).astype(np.uint8)
    style = np.rint(rng.standard_normal((200, 200, 3)) * [10, 25, 30] + 128).clip(0, 255).astype(np.uint8)
    recolored = coral(style, content).reshape(-1, 3)
    assert recolored.mean(axis=0) == pytest.approx(content.reshape(-1, 3).mean(axis=0), abs=0.1)
    assert np.cov(recolored.T) == pytest.approx(np.cov(content.reshape(-1, 3).T), abs=2)


def test_coral_of_a_flat_style_is_the_mean_colour_of_the_content(china: Pixels) -> None:
    flat = np.full((5, 7, 3), [10, 20, 30], np.uint8)
    assert np.array_equal(coral(flat, china), np.broadcast_to(np.rint(china.mean(axis=(0, 1))), flat.shape))


def test_coral_towards_a_flat_content_is_its_colour(china: Pixels) -> None:
    flat = np.full((5, 7, 3), [10, 20, 30], np.uint8)
    assert np.array_equal(coral(china, flat), np.broadcast_to(flat[0, 0], china.shape))


def test_coral_of_grey_pictures_stays_grey(china: Pixels, flower: Pixels) -> None:
    grey_style, grey_content = (np.repeat(picture[..., :1], 3, axis=2) for picture in (flower, china))
    assert np.ptp(coral(grey_style, grey_content), axis=2).max() <= 1


@given(style=pictures, content=pictures)
def test_coral_of_any_two_pictures_has_the_shape_of_the_style_and_warns_of_nothing(
    style: Pixels, content: Pixels
) -> None:
    recolored = coral(style, content)
    assert recolored.shape == style.shape
    assert recolored.dtype == np.uint8


def test_the_chroma_is_the_contents_and_the_luma_the_stylised_pictures(china: Pixels, flower: Pixels) -> None:
    content = china // 4 + 96  # soft colours, which exist at the lumas below
    stylized = flower // 3 + 85
    result = ycbcr(keep_chroma(content, stylized))
    assert np.abs(result[..., 0] - ycbcr(stylized)[..., 0]).max() <= 0.5 + 1e-3
    assert np.abs(result[..., 1:] - ycbcr(content)[..., 1:]).max() <= 0.5 + 1e-3


@given(content=pictures, data=st.data())
def test_the_luma_is_kept_and_the_hue_never_turns_whatever_the_colours(content: Pixels, data: st.DataObject) -> None:
    stylized = data.draw(arrays(np.uint8, content.shape))
    result = ycbcr(keep_chroma(content, stylized))
    assert np.abs(result[..., 0] - ycbcr(stylized)[..., 0]).max() <= 0.5 + 1e-3
    (b, r), (old_b, old_r) = np.moveaxis(result[..., 1:], 2, 0), np.moveaxis(ycbcr(content)[..., 1:], 2, 0)
    # Rounding moves Cb and Cr by half a level at most, across a chroma of 182 at most.
    assert np.abs(b * old_r - r * old_b).max() <= 0.75 * 182
    assert (b * old_b + r * old_r).min() >= -0.75 * 182
    assert (np.hypot(b, r) - np.hypot(old_b, old_r)).max() <= 0.75


def test_vivid_colours_fade_near_white_where_clipping_would_darken_them() -> None:
    blue, near_white = np.full((1, 1, 3), [0, 0, 255], np.uint8), np.full((1, 1, 3), 250, np.uint8)
    assert keep_chroma(blue, near_white)[0, 0].tolist() == [249, 249, 255]


@pytest.mark.parametrize("level", [0, 255])
def test_black_and_white_stay_black_and_white(china: Pixels, level: int) -> None:
    flat = np.full_like(china, level)
    assert np.array_equal(keep_chroma(china, flat), flat)


def test_a_picture_keeps_its_own_chroma_and_luma_exactly(china: Pixels) -> None:
    assert np.array_equal(keep_chroma(china, china), china)


def test_a_grey_content_gives_a_grey_picture(china: Pixels) -> None:
    grey = np.repeat(china[..., :1], 3, axis=2)
    assert np.ptp(keep_chroma(grey, china), axis=2).max() == 0


def test_pictures_larger_than_one_piece_are_worked_on_whole() -> None:
    rng = np.random.default_rng(1)
    content, stylized = rng.integers(0, 256, (2, 500, 700, 3), dtype=np.uint8)
    middle = slice(90, 97)
    assert np.array_equal(keep_chroma(content, stylized)[middle], keep_chroma(content[middle], stylized[middle]))
