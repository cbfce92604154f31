"""The tones of an underpainting: how long their waves are, how strong they are, and that they stay the same."""

from __future__ import annotations

import numpy as np

from adain_models.underpainting import SIDE, make_tones


def test_waves_are_of_12_to_48_pixels_and_of_every_direction():
    power = np.abs(np.fft.fft2(make_tones().astype(np.float64))) ** 2
    down, across = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    frequency, angle = np.hypot(down, across), np.arctan2(down, across) % np.pi
    band = (frequency >= 1 / 48) & (frequency <= 1 / 12)
    assert power[~band].sum() < 0.05 * power.sum()  # where the strokes turn, they have other waves
    sectors = [power[(angle >= k * np.pi / 6) & (angle < (k + 1) * np.pi / 6)].sum() for k in range(6)]
    np.testing.assert_allclose(sectors, np.mean(sectors), rtol=0.15)


def test_strokes_have_a_direction_in_most_places():
    """By the structure tensor over 32 pixels: 0 has no direction, and 1 has a single one. Noise has some 0.25."""
    down, across = np.gradient(make_tones().astype(np.float64))
    products = [down * down, across * across, down * across]
    rows, columns, mixed = (each.reshape(16, 32, 16, 32).mean((1, 3)) for each in products)
    coherence = np.sqrt((rows - columns) ** 2 + 4 * mixed**2) / (rows + columns)
    assert np.median(coherence) > 0.6
    turns = np.arctan2(2 * mixed, columns - rows)
    assert np.abs(np.exp(1j * turns).mean()) < 0.2  # and it is another one elsewhere


def test_the_mean_is_0_and_the_deviation_1():
    tones = make_tones().astype(np.float64)
    assert tones.shape == (512, 512)
    np.testing.assert_allclose([tones.mean(), tones.std()], [0, 1], atol=1e-6)
    assert abs((tones**3).mean()) < 0.05  # as much light as dark


def test_they_are_the_same_everywhere():
    """A picture looks the same when it is painted again, by any version of NumPy."""
    known = [0.554996, 0.259648, 0.287321]
    np.testing.assert_allclose(make_tones()[[0, 100, 511], [0, 200, 511]], known, atol=1e-5)
