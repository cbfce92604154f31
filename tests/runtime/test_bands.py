"""Pictures resized in bands of rows."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from adain_rt.bands import add_change, shrink


def test_a_change_is_enlarged_alike_everywhere(china, flower):
    """It is added in bands of rows; here it is added at once, in float64, by an own bilinear filter."""
    photo, smaller = china[:421], shrink(china[:421], 199, 311)
    painted = shrink(flower[:421], 199, 311)
    change = painted.astype(np.float64) - smaller
    for axis, length in ((0, 421), (1, 640)):
        places = ((np.arange(length) + 0.5) * change.shape[axis] / length - 0.5).clip(0, change.shape[axis] - 1)
        below = np.floor(places).astype(int)
        share = (places - below).reshape([-1 if each == axis else 1 for each in range(3)])
        above = (below + 1).clip(max=change.shape[axis] - 1)
        change = np.take(change, below, axis) * (1 - share) + np.take(change, above, axis) * share
    made = np.concatenate([band for _, band in add_change(photo, smaller, painted)])
    apart = np.abs(made - (photo + change).clip(0, 255))
    assert apart.max() <= 0.501  # what rounding leaves


def test_a_photo_is_shrunk_in_bands_as_at_once(china):
    for height, width in ((400, 600), (131, 77), (1, 1)):
        for canvas in (china, china[..., 0]):
            at_once = Image.fromarray(canvas).resize((width, height), Image.Resampling.LANCZOS)
            assert np.abs(shrink(canvas, height, width).astype(int) - np.asarray(at_once)).max() <= 1


@pytest.mark.parametrize("threads", [2, 3, 64])
def test_several_threads_make_the_same(china, flower, threads):
    small = shrink(china, 300, 450)
    assert np.array_equal(shrink(china, 300, 450, threads), small)
    one, several = (list(add_change(china, small, flower[:300, :450], count)) for count in (1, threads))
    assert [rows for rows, _ in several] == [rows for rows, _ in one]
    assert np.array_equal(np.concatenate([band for _, band in several]), np.concatenate([band for _, band in one]))
