"""An underpainting: where it lies, and what becomes of it."""

from __future__ import annotations

import numpy as np
import pytest

from adain_models.underpainting import make_tones
from adain_rt import AdainError, fit, paint
from adain_rt.bands import shrink
from adain_rt.media.pictures import Picture
from adain_rt.style import Style
from adain_rt.transfer import StyleMix, StyleSource, Transfer
from adain_rt.underpainting import Underpainted, underpaint


@pytest.fixture(scope="module")
def style(stylizer) -> Style:
    return Style.load(stylizer.directory / "presets" / "starry-night.safetensors")


def photo(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (64, 640), (700, 30), (1100, 1300)])
@pytest.mark.parametrize("levels", [0.5, 4, 32])
def test_tones_are_added_to_all_channels_and_clipped(size, levels):
    tones = np.tile(make_tones().astype(np.float64), (3, 3))[: size[0], : size[1], None]
    expected = np.clip(photo(*size) + np.rint(np.float32(levels) * tones), 0, 255)
    np.testing.assert_array_equal(underpaint(photo(*size), levels), expected)


def test_a_part_has_the_tones_of_its_place():
    own = photo(900, 1400)
    whole = underpaint(own, 4)
    for part in (slice(3, 700), slice(513, 1400)), (slice(600, 900), slice(0, 9)):
        np.testing.assert_array_equal(Underpainted(own, 4)[part], whole[part])


def test_a_photo_stays_as_it_was_and_so_it_does_without_levels():
    own = photo(30, 40)
    underpaint(own, 4)
    np.testing.assert_array_equal(own, photo(30, 40))
    assert underpaint(own, 0) is own


def test_where_no_mask_is_there_are_no_tones():
    own, masks = photo(40, 60), np.zeros((2, 40, 60), np.uint8)
    masks[0, :20], masks[1, 10:30, :30] = 255, 128
    laid, everywhere = underpaint(own, 8, masks), underpaint(own, 8)
    np.testing.assert_array_equal(laid[:20], everywhere[:20])
    np.testing.assert_array_equal(laid[30:], own[30:])
    half = (own[20:30, :30].astype(float) + everywhere[20:30, :30]) / 2
    np.testing.assert_allclose(laid[20:30, :30], half, atol=1)


def test_a_plain_photo_gets_strokes(stylizer, style):
    """In bands of 8 to 32 pixels there is several times as much as the network draws by itself."""
    plain = np.full((256, 256, 3), 150, np.uint8)

    def strokes(painted):
        cells = painted.mean(2).reshape(32, 8, 32, 8).mean((1, 3))
        return cells[4:-4, 4:-4].std()

    bare, laid = (paint(stylizer, plain, style, underpainting=levels) for levels in (0, 4))
    assert strokes(laid) > 3 * strokes(bare)


def test_it_lies_under_the_smallest_photo_alone(stylizer, style, china):
    small, contents = shrink(shrink(china, 214, 320), 107, 160), []

    class Recorder:
        """Stands for a Stylizer that gives the bare photo back."""

        settings = stylizer.settings

        def stylize(self, content, style, *, strength, masks, progress):
            contents.append(content)
            return content if content.shape[0] > 107 else small

    paint(Recorder(), china, style, strokes=107, underpainting=8, strength=0.5)
    for content, expected in zip(contents, (underpaint(small, 4), shrink(china, 214, 320), china), strict=True):
        np.testing.assert_array_equal(content, expected)


def test_a_strength_weakens_it(stylizer, style, china):
    once = stylizer.stylize(underpaint(china, 2), style, strength=0.5)
    np.testing.assert_array_equal(paint(stylizer, china, style, strength=0.5, underpainting=4), once)
    bare = stylizer.stylize(china, style, strength=0)
    np.testing.assert_array_equal(paint(stylizer, china, style, strength=0), bare)


def test_a_style_is_fitted_to_the_photo_with_it(stylizer, style, china):
    assert fit(stylizer, china, style, underpainting=6) == fit(stylizer, underpaint(china, 6), style, underpainting=0)


def test_a_transfer_has_it(stylizer, style, china):
    mix = StyleMix((StyleSource("a", style),), (1.0,))
    made = Transfer(stylizer, underpainting=2).apply(Picture(china, None, "PNG"), mix)
    fitted = fit(stylizer, china, style, underpainting=2)
    np.testing.assert_array_equal(made.pixels, paint(stylizer, china, fitted, strokes=0, underpainting=2))


@pytest.mark.parametrize("levels", [-1, 32.5, float("nan"), float("inf"), "4", None])
def test_what_is_no_underpainting_is_refused(levels, stylizer, style, china):
    for work in (paint, fit):
        with pytest.raises(AdainError, match="an underpainting has from 0 to 32 levels") as caught:
            work(stylizer, china, style, underpainting=levels)
        assert "`underpainting`" in caught.value.hint
