"""Pictures as arrays: padding, counting, and putting the stylised parts into the picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adain_rt import pixels
from adain_rt.contract import Pixels
from adain_rt.pixels import compose, is_smooth, pad


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40))
def test_padding_keeps_the_picture_and_reflects_it(height, width):
    picture = np.random.default_rng(height * 41 + width).integers(0, 256, (1, height, width, 3), np.uint8)
    padded = pad(picture)
    rows, columns = padded.shape[1:3]
    assert rows % 8 == columns % 8 == 0
    assert 16 <= rows < max(height + 8, 17)
    assert 16 <= columns < max(width + 8, 17)
    mirror = lambda i, n: 0 if n == 1 else min(i % (2 * n - 2), (2 * n - 2) - i % (2 * n - 2))  # noqa: E731
    y = [mirror(i, height) for i in range(rows)]
    x = [mirror(i, width) for i in range(columns)]
    assert [pixels.padded(side) for side in (height, width)] == [rows, columns]
    np.testing.assert_array_equal(padded, picture[:, y][:, :, x])


def test_a_picture_of_a_size_that_graphs_take_is_not_copied():
    picture = np.zeros((1, 16, 24, 3), np.uint8)
    assert pad(picture) is picture


def test_the_share_of_the_stylised_picture_is_the_sum_of_the_masks():
    stylized, picture = np.full((1, 1, 4, 3), 200, np.uint8), np.full((1, 1, 4, 3), 100, np.uint8)
    masks = np.array([[[0, 255, 51, 200]], [[0, 255, 51, 100]]], np.uint8)
    composed = compose(stylized, picture, masks)
    assert composed[0, 0, :, 0].tolist() == [100, 200, 140, 200]
    assert stylized.min() == 200  # the input stays as it is


@pytest.mark.parametrize("size", [(16, 24), (13, 21)])
@pytest.mark.parametrize(
    "layout", [np.asfortranarray, lambda a: a[:, ::-1], lambda a: np.broadcast_to(a[:, :1], a.shape)]
)
def test_backends_get_contiguous_memory(size, layout):
    picture = layout(np.random.default_rng(0).integers(0, 256, (1, *size, 3), np.uint8))
    padded = pad(picture)
    assert padded.flags.c_contiguous
    np.testing.assert_array_equal(padded[:, : size[0], : size[1]], picture)


def gradient(height: int = 96, width: int = 128) -> Pixels:
    """A ramp of grey, uint8 (1, H, W, 3)."""
    ramp = np.linspace(40, 200, width).round().astype(np.uint8)
    return np.broadcast_to(ramp[None, None, :, None], (1, height, width, 3)).copy()


def test_gradients_and_faint_noise_are_smooth_and_photographs_are_not(china, flower):
    noise = np.random.default_rng(0).normal(0, 2, gradient().shape)
    assert is_smooth(gradient())
    assert is_smooth((gradient() + noise).round().astype(np.uint8))
    assert not is_smooth(china[None])
    assert not is_smooth(flower[None])


def test_one_smooth_picture_makes_a_batch_smooth(china):
    assert is_smooth(np.concatenate([china[None, :96, :128], gradient()]))


def test_a_picture_too_small_to_tell_is_not_smooth():
    assert not is_smooth(gradient(7, 300))
