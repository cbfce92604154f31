"""Pictures to measure with: noise with the spectrum of photographs, so that no picture has to be at hand."""

from __future__ import annotations

import numpy as np

from adain_rt.contract import Pixels

__all__ = ["picture"]

_DEVIATION = 50.0  # levels of 256, about a photograph's
_SHARED = 0.8  # how much of each channel is the same in all: photographs are mostly light and dark


def picture(size: int, seed: int) -> Pixels:
    """Return uint8 (size, size, 3) whose amplitudes fall as 1/f, as those of natural images do.

    Field, "Relations between the statistics of natural images and the response properties of cortical cells", 1987.

    Args:
        size: of a side in pixels.
        seed: another gives another picture.

    """
    generator = np.random.default_rng(seed)
    across, down = np.fft.rfftfreq(size), np.fft.fftfreq(size)[:, None]
    frequency = np.maximum(np.hypot(across, down), 1 / size)[..., None]
    spectrum = np.fft.rfft2(generator.standard_normal((size, size, 4)), axes=(0, 1)) / frequency
    noise = np.fft.irfft2(spectrum, (size, size), axes=(0, 1))
    noise /= noise.std((0, 1))
    channels = _SHARED**0.5 * noise[..., :1] + (1 - _SHARED) ** 0.5 * noise[..., 1:]
    made: Pixels = np.clip(128 + _DEVIATION * channels, 0, 255).round().astype(np.uint8)
    return made
