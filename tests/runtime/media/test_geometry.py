"""Cropping and resizing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image
from tests.runtime.media.files import (
    Pixels,
    photograph,
)

from adain_models.errors import AdainError
from adain_rt.media.pictures import (
    Picture,
    center_square,
    frame,
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
    """It has few pixels itself; what counts is the size that it would have, and the error says both."""
    with pytest.raises(AdainError, match=r"100000 x 1 pixels would have 51200000 x 512 .* 89,478,485 pixels are the"):
        resize_to(np.zeros((1, 100_000, 3), np.uint8), 512)


@pytest.mark.parametrize(
    ("shape", "size", "crop", "max_size", "expected"),
    [
        ((60, 90, 3), 0, False, 45, (30, 45, 3)),
        ((90, 60), 0, False, 45, (45, 30)),
        ((60, 90, 3), 0, False, 90, (60, 90, 3)),
        ((60, 90, 3), 0, False, 1000, (60, 90, 3)),  # nothing is enlarged
        ((60, 90, 3), 120, False, 1000, (120, 180, 3)),  # but what is asked for
        ((60, 90, 3), 120, False, 90, (60, 90, 3)),
        ((60, 90, 3), 30, False, 90, (30, 45, 3)),
        ((60, 90, 3), 0, True, 30, (30, 30, 3)),
        ((65_537, 1, 3), 64, False, 4096, (4096, 1, 3)),
        ((65_537, 1, 3), 0, False, 4096, (4096, 1, 3)),
    ],
)
def test_the_longer_side_is_bounded_after_the_shorter_one_was_set(
    shape: tuple[int, ...], size: int, crop: bool, max_size: int, expected: tuple[int, ...]
) -> None:
    assert frame(np.zeros(shape, np.uint8), size, crop, max_size).shape == expected


def test_a_bounded_picture_is_resized_once_and_its_alpha_with_it() -> None:
    pixels = photograph()
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    fitted = Picture(pixels, alpha, "PNG").fit(512, crop=False, max_size=30)
    once = Image.fromarray(pixels).resize((fitted.width, fitted.height), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(fitted.pixels, np.array(once))
    assert max(fitted.pixels.shape) == 30
    assert fitted.alpha is not None
    assert fitted.alpha.shape == fitted.pixels.shape[:2]


@pytest.mark.parametrize("crop", [lambda pixels: pixels, lambda pixels: pixels[..., 0]])
def test_the_square_is_the_centre(crop: Callable[[Pixels], Pixels]) -> None:
    pixels = crop(photograph())
    assert np.array_equal(center_square(pixels), pixels[:, 15:75])
    assert np.array_equal(center_square(pixels.swapaxes(0, 1)), pixels.swapaxes(0, 1)[15:75])
    assert center_square(pixels).flags.c_contiguous
