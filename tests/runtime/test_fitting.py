"""Styles fitted to a photo: what is painted comes nearer to them, and what else is asked for stays as it was."""

from __future__ import annotations

import numpy as np
import pytest

from adain_models.fitting import correct
from adain_rt import AdainError, fit, paint
from adain_rt.bands import shrink
from adain_rt.media.pictures import Picture
from adain_rt.style import Style
from adain_rt.transfer import StyleMix, StyleSource, Transfer


@pytest.fixture(scope="module")
def style(stylizer, flower) -> Style:
    return stylizer.encode(flower[100:356, 200:456])


@pytest.fixture(scope="module")
def other(stylizer, china) -> Style:
    return stylizer.encode(china[200:, :300])


def distance(made: Style, style: Style) -> float:
    """Return |code(made) - code(style)|² / |code(style)|²."""
    ours, theirs = (np.concatenate([each.mean, each.std]).astype(np.float64) for each in (made, style))
    return float(np.square(ours - theirs).sum() / np.square(theirs).sum())


def test_a_share_of_what_is_lacking_is_added():
    mean, std = correct((np.array([1.0, 2.0]), np.array([1.0, 4.0])), (np.array([0.5, 3.0]), np.array([2.0, 1.0])))
    np.testing.assert_allclose(mean, [1.2, 1.6])
    np.testing.assert_allclose(std, [0.5**0.4, 4 * 3**0.4])  # a ratio of 4 counts as 3


def test_what_is_painted_comes_nearer_to_the_style(stylizer, china, flower):
    style = stylizer.encode(flower)
    fitted = fit(stylizer, china, style)
    plain, better = (stylizer.encode(paint(stylizer, china, each)) for each in (style, fitted))
    assert distance(better, style) < 0.8 * distance(plain, style)
    assert (fitted.model, fitted.weights_sha256, fitted.about) == (style.model, style.weights_sha256, style.about)


def test_each_region_is_measured_by_itself(stylizer, style, other, china):
    masks = np.zeros((2, *china.shape[:2]), np.uint8)
    masks[0, :200], masks[1, 200:] = 255, 255
    fitted = fit(stylizer, china, [style, other], masks=masks)
    painted = stylizer.stylize(china, [style, other], masks=masks)
    for part, asked, found in zip((slice(0, 200), slice(200, None)), (style, other), fitted, strict=True):
        made = stylizer.encode(painted[part])  # beside the border alone a region's features see the other's
        expected = correct((asked.mean, asked.std), (made.mean, made.std))
        assert distance(found, Style(*expected, asked.model, asked.weights_sha256)) < 0.01


def test_the_first_painting_is_small(stylizer, style, china):
    large = np.repeat(np.repeat(china, 3, 0), 3, 1)
    assert fit(stylizer, large, style) == fit(stylizer, shrink(large, 512, 767), style)
    assert fit(stylizer, china, style, size=107) == fit(stylizer, shrink(china, 107, 160), style)
    assert fit(stylizer, china, style) != fit(stylizer, shrink(china, 107, 160), style)


@pytest.mark.parametrize("size", [(1, 1), (9, 700), (3000, 17)])
def test_a_photo_of_any_shape_can_be_fitted_to(size, stylizer, style):
    fitted = fit(stylizer, np.full((*size, 3), 90, np.uint8), style)
    assert np.isfinite(fitted.mean).all()


@pytest.mark.parametrize(
    ("styles", "masks", "said"),
    [
        (2, [], "several styles need a mask each"),
        (0, [], "several styles need a mask each"),
        (2, [(427, 640), (42, 64)], "a mask of shape (42, 64) is not as large as the photo, (427, 640)"),
        (1, [(427, 640), (427, 640)], "1 styles on pictures of"),
    ],
)
def test_what_does_not_go_together_is_refused(styles, masks, said, stylizer, style, china):
    with pytest.raises(AdainError) as refused:
        fit(stylizer, china, [style] * styles, masks=[np.zeros(shape, np.uint8) for shape in masks])
    assert said in str(refused.value)


def test_no_photo_is_refused(stylizer, style):
    with pytest.raises(AdainError, match="a picture is a uint8 array"):
        fit(stylizer, "photo.jpg", style)


def test_a_transfer_fits_to_each_content(stylizer, style, china):
    mix = StyleMix((StyleSource("a", style),), (1.0,))
    made = Transfer(stylizer, 0.7, strokes=200).apply(Picture(china, None, "PNG"), mix)
    fitted = fit(stylizer, china, style, size=200)
    np.testing.assert_array_equal(made.pixels, paint(stylizer, china, fitted, strokes=200, strength=0.7))


def test_without_strength_nothing_is_fitted(stylizer, style, china):
    mix = StyleMix((StyleSource("a", style),), (1.0,))
    made = Transfer(stylizer, 0).apply(Picture(china, None, "PNG"), mix)
    np.testing.assert_array_equal(made.pixels, stylizer.stylize(china, style, strength=0))


def test_where_no_mask_is_the_photo_stays(stylizer, style, china):
    masks = np.zeros((1, *china.shape[:2]), np.uint8)
    masks[0, :, :200] = 255
    mix = StyleMix((StyleSource("a", style),), (1.0,))
    made = Transfer(stylizer).apply(Picture(china, None, "PNG"), mix, masks)
    np.testing.assert_array_equal(made.pixels[:, 200:], china[:, 200:])
