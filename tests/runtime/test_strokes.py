"""Strokes of one size on photos of any size: which sizes are painted, and what is kept of the photo."""

from __future__ import annotations

import numpy as np
import pytest

from adain_rt import AdainError, paint
from adain_rt.backends import Settings
from adain_rt.bands import shrink
from adain_rt.media.pictures import Picture
from adain_rt.strokes import AT_ONCE, find_sizes, find_smaller
from adain_rt.style import Style
from adain_rt.transfer import StyleMix, StyleSource, Transfer


@pytest.fixture(scope="module")
def style(stylizer, flower) -> Style:
    return stylizer.encode(flower[100:228, 200:328])


class Recorder:
    """Stands for a Stylizer: it keeps what it is asked, and makes every picture brighter."""

    settings = Settings(threads=2)

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.strengths: list[float] = []
        self.contents: list[np.ndarray] = []

    def stylize(self, content, style, *, strength, masks, progress):
        assert masks is None or masks.shape[1:] == content.shape[:2]
        self.shapes.append(content.shape[:2])
        self.strengths.append(strength)
        self.contents.append(content)
        if progress:
            progress(1)
        return content + np.uint8(20)


@pytest.mark.parametrize(
    ("size", "strokes", "sizes"),
    [
        ((427, 640), 512, [(427, 640)]),
        ((600, 600), 512, [(600, 600)]),
        ((640, 640), 512, [(512, 512), (640, 640)]),
        ((1080, 1920), 512, [(512, 910), (1080, 1920)]),
        ((3000, 4000), 512, [(512, 683), (923, 1231), (1664, 2219), (3000, 4000)]),
        ((3000, 4000), AT_ONCE, [(3000, 4000)]),
        ((512, 512), 128, [(128, 128), (256, 256), (512, 512)]),
        ((300, 9000), 512, [(300, 9000)]),
    ],
)
def test_a_photo_is_painted_from_small_to_its_own_size(size, strokes, sizes):
    assert find_sizes(*size, strokes) == sizes


def test_each_painting_begins_with_what_the_smaller_one_changed(china):
    recorder, shares = Recorder(), []
    dark = china // 2
    painted = paint(recorder, dark, None, strokes=107, underpainting=0, strength=0.8, progress=shares.append)
    assert recorder.shapes == [(107, 160), (214, 320), (427, 640)]
    assert recorder.strengths == pytest.approx([0.8, 0.4, 0.4])
    np.testing.assert_array_equal(recorder.contents[1], shrink(dark, 214, 320) + 20)
    np.testing.assert_array_equal(recorder.contents[2], dark + 40)
    np.testing.assert_array_equal(painted, dark + 60)
    assert shares == pytest.approx([1 / 21, 5 / 21, 1], abs=0.01)


def test_a_huge_photo_is_painted_over_a_smaller_one_that_fits_into_memory():
    assert find_smaller(427, 640, 512, 1 << 24) is None
    assert find_smaller(3000, 4000, 512, 1 << 24) == find_sizes(3000, 4000, 512)[-2]
    assert find_smaller(20_000, 20_000, 512, 1 << 24) == (4096, 4096)


def test_a_photo_that_is_small_enough_is_painted_once(stylizer, style, china):
    np.testing.assert_array_equal(paint(stylizer, china, style, underpainting=0), stylizer.stylize(china, style))


def test_large_strokes_are_larger(stylizer, style, china):
    """More of what is drawn beyond the photo is left when both are made an eighth of their size."""

    def coarse(painted):
        change = painted.astype(float) - shrink(shrink(painted, 53, 80), 427, 640)
        return 1 - change.std() / painted.std()

    assert coarse(paint(stylizer, china, style, strokes=128)) > coarse(stylizer.stylize(china, style)) + 0.05


def test_what_no_mask_covers_stays_as_it_is(stylizer, style, china):
    masks = np.zeros((2, 427, 640), np.uint8)
    masks[0, :200, :300], masks[1, 150:300, 250:] = 255, 100
    painted = paint(stylizer, china, [style, style], strokes=200, masks=masks)
    bare = ~masks.any(0)
    np.testing.assert_array_equal(painted[bare], china[bare])
    assert np.abs(painted[:140, :240].astype(int) - china[:140, :240]).mean() > 10


def test_a_transfer_has_strokes(stylizer, style, china):
    mix = StyleMix((StyleSource("a", style),), (1.0,))
    made = Transfer(stylizer, 0.7, strokes=200, fit=False).apply(Picture(china, None, "PNG"), mix)
    np.testing.assert_array_equal(made.pixels, paint(stylizer, china, style, strokes=200, strength=0.7))


@pytest.mark.parametrize("strokes", [-1, 1, 63])
def test_strokes_that_cannot_be_are_refused(strokes, stylizer, style, china):
    with pytest.raises(AdainError, match="at least 64 pixels") as caught:
        paint(stylizer, china, style, strokes=strokes)
    assert "`strokes`" in str(caught.value.hint)
