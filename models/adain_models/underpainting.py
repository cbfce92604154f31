"""An underpainting: faint uneven tones, of which a network makes strokes where a photo has nothing to paint.

A network of convolutions draws what it finds. In a plain sky it finds nothing, and leaves a smear or a weave of its
own. This module imports no torch.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIDE", "UNDERPAINTING", "make_tones"]

UNDERPAINTING = 3.0
"""The deviation of the tones by default, in levels of 256 (docs/explanation/underpainting.md)."""

SIDE = 512
"""Pixels after which the tones repeat, across and down."""

_SHORTEST, _LONGEST = 12, 48
"""Pixels: the wavelengths of strokes on a picture whose shorter side has 512."""


@cache
def make_tones() -> NDArray[np.float32]:
    """Return the tones, (512, 512): noise of mean 0 and deviation 1 with wavelengths of 12 to 48 pixels.

    All phases are random and all frequencies of the band equally strong. They are made of PCG64's raw numbers, which
    are the same in every version of NumPy.
    """
    frequencies = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    band = (frequencies >= 1 / _LONGEST) & (frequencies <= 1 / _SHORTEST)
    turns = np.random.PCG64(0).random_raw(SIDE * SIDE).reshape(SIDE, SIDE) / 2**64
    turns -= np.roll(turns[::-1, ::-1], 1, (0, 1))  # opposite at opposite frequencies, as those of real tones are
    spectrum = np.zeros(band.shape, np.complex128)
    spectrum[band] = np.exp(2j * np.pi * turns[:, : band.shape[1]][band])
    tones = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    even: NDArray[np.float32] = (tones / tones.std()).astype(np.float32)
    even.setflags(write=False)
    return even
