"""The pictures to measure with."""

from __future__ import annotations

import numpy as np
import pytest

from adain_bench.measure.inputs import picture


@pytest.mark.parametrize("size", [16, 97, 256])
def test_a_picture_has_the_size_asked_for_and_is_the_same_every_time(size):
    made = picture(size, 3)
    assert (made.shape, made.dtype) == ((size, size, 3), np.uint8)
    assert np.array_equal(made, picture(size, 3))
    assert not np.array_equal(made, picture(size, 4))


def test_amplitudes_fall_as_one_over_the_frequency():
    grey = picture(256, 0).mean(2)
    amplitude = np.abs(np.fft.fft2(grey - grey.mean()))
    frequency = np.hypot(np.fft.fftfreq(256), np.fft.fftfreq(256)[:, None])
    bands = [amplitude[(frequency > low) & (frequency < 2 * low)].mean() for low in (1 / 32, 1 / 16, 1 / 8)]
    assert bands[0] / bands[1] == pytest.approx(2, rel=0.1)
    assert bands[1] / bands[2] == pytest.approx(2, rel=0.1)


def test_channels_are_mostly_alike_but_not_the_same():
    correlations = np.corrcoef(picture(256, 0).reshape(-1, 3).T)[np.triu_indices(3, 1)]
    assert np.all((correlations > 0.6) & (correlations < 0.95))
