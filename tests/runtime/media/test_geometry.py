"""Cropping and resizing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from tests.runtime.media.files import (
    Pixels,
    photograph,
)

from adain_models.errors import AdainError
from adain_rt.media.pictures import (
    Picture,
    center_square,
    resize_to,
)


def test_framing_crops_and_resizes_the_alpha_with_the_pixels() -> None:
    alpha = np.zeros((60, 90), np.uint8)
    alpha[:30] = 255
    fitted = Picture(photograph(), alpha, "PNG").fit(30, crop=True)
    assert fitted.alpha is not None
    assert fitted.alpha.shape == (fitted.height, fitted.width) == (30, 30)
    assert fitted.alpha[:14].min() > 250
    assert fitted.alpha[16:].max() < 5


def test_the_visible_part_is_the_rectangle_outside_which_all_is_transparent() -> None:
    alpha = np.zeros((60, 90), np.uint8)
    assert Picture(photograph(), alpha, "PNG").visible_part() is None
    alpha[10:20, 30] = 1
    part = Picture(photograph(), alpha, "PNG").visible_part()
    assert part is not None
    np.testing.assert_array_equal(part.pixels, photograph()[10:20, 30:31])
    opaque = Picture(photograph(), None, "PNG")
    assert opaque.visible_part() is opaque


@pytest.mark.parametrize(
    ("shape", "shorter", "expected"),
    [
        ((60, 90, 3), 30, (30, 45, 3)),
        ((90, 60, 3), 120, (180, 120, 3)),
        ((90, 61), 30, (44, 30)),
        ((16, 4000, 3), 1, (1, 250, 3)),
        ((1, 1), 5, (5, 5)),
        ((60, 90, 3), 60, (60, 90, 3)),
    ],
)
def test_the_shorter_side_becomes_what_is_asked(
    shape: tuple[int, ...], shorter: int, expected: tuple[int, ...]
) -> None:
    assert resize_to(np.zeros(shape, np.uint8), shorter).shape == expected


def test_resizing_averages_what_it_merges() -> None:
    checkers = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert np.abs(resize_to(checkers, 8).astype(int) - 127).max() <= 2


def test_a_picture_too_narrow_for_the_size_is_refused() -> None:
    with pytest.raises(AdainError, match=r"100000 x 1 cannot be resized to a shorter side of 512"):
        resize_to(np.zeros((1, 100_000, 3), np.uint8), 512)


@pytest.mark.parametrize("crop", [lambda pixels: pixels, lambda pixels: pixels[..., 0]])
def test_the_square_is_the_centre(crop: Callable[[Pixels], Pixels]) -> None:
    pixels = crop(photograph())
    assert np.array_equal(center_square(pixels), pixels[:, 15:75])
    assert np.array_equal(center_square(pixels.swapaxes(0, 1)), pixels.swapaxes(0, 1)[15:75])
    assert center_square(pixels).flags.c_contiguous
