"""The figures of a palette, on pictures whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from adain_bench.quality.palette import colours, tones


def halves(left, right):
    """A picture of two colours."""
    picture = np.zeros((8, 16, 3), np.uint8)
    picture[:, :8], picture[:, 8:] = left, right
    return picture


def test_tones_are_the_deviation_of_luminance():
    assert tones(halves((90, 90, 90), (110, 110, 110))) == pytest.approx(10)
    assert tones(halves((100, 0, 0), (0, 0, 0))) == pytest.approx(0.299 * 50)


def test_colours_are_the_deviation_of_colour_differences_and_no_tone():
    assert colours(halves((90, 90, 90), (110, 110, 110))) == pytest.approx(0, abs=0.01)
    assert colours(halves((200, 100, 100), (200, 100, 100))) == pytest.approx(0, abs=0.01)
    assert colours(halves((0, 0, 100), (0, 0, 0))) == pytest.approx(50 * np.hypot(0.5, 0.081))
