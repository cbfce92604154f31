"""The tones of an underpainting: how long their waves are, how strong they are, and that they stay the same."""

from __future__ import annotations

import numpy as np

from adain_models.underpainting import SIDE, make_tones


def test_waves_are_of_12_to_48_pixels_and_as_strong_at_every_angle():
    power = np.abs(np.fft.fft2(make_tones().astype(np.float64))) ** 2
    down, across = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    frequency, angle = np.hypot(down, across), np.arctan2(down, across) % np.pi
    band = (frequency >= 1 / 48) & (frequency <= 1 / 12)
    assert power[~band].sum() < 1e-6 * power.sum()
    sectors = [power[band & (angle >= k * np.pi / 8) & (angle < (k + 1) * np.pi / 8)].mean() for k in range(8)]
    np.testing.assert_allclose(sectors, np.mean(sectors), rtol=1e-3)


def test_the_mean_is_0_and_the_deviation_1():
    tones = make_tones().astype(np.float64)
    assert tones.shape == (512, 512)
    np.testing.assert_allclose([tones.mean(), tones.std()], [0, 1], atol=1e-6)
    assert abs((tones**3).mean()) < 0.05  # as much light as dark


def test_they_are_the_same_everywhere():
    """A picture looks the same when it is painted again, by any version of NumPy."""
    known = [0.124538, -0.894266, -0.165082]
    np.testing.assert_allclose(make_tones()[[0, 100, 511], [0, 200, 511]], known, atol=1e-5)
