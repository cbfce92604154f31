"""An underpainting: faint uneven tones, of which a network makes strokes where a photo has nothing to paint.

A network of convolutions draws what it finds. In a plain sky it finds nothing, and leaves a smear or a weave of its
own. This module imports no torch.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIDE", "UNDERPAINTING", "make_tones"]

UNDERPAINTING = 2.0
"""The deviation of the tones by default, in levels of 256 (docs/explanation/underpainting.md)."""

SIDE = 512
"""Pixels after which the tones repeat, across and down."""

_ACROSS = 12, 48
"""Pixels: the wavelengths across strokes, on a picture whose shorter side has 512."""

_TURNS = 128, 384
"""Pixels: the wavelengths of the strokes' direction."""

_DIRECTIONS = 6
"""So many sets of parallel strokes take turns."""

_LENGTH = 16
"""The power of the sine of the angle between a set's strokes and its waves: more makes strokes longer."""

_APART = 3
"""The power to which a set keeps to where the direction is its own."""

_VORTEX = 0.1
"""The strength of the direction's two waves, squared, below which there is no direction, as in the eye of a vortex."""


@cache
def make_tones() -> NDArray[np.float32]:
    """Return the tones, (512, 512): strokes that lie along a current, of mean 0 and deviation 1.

    There are sets of parallel strokes, noise whose waves lie across one direction, and each is strong where the current
    has that direction. They are made of PCG64's raw numbers, which are the same in every version of NumPy.
    """
    numbers = np.random.PCG64(0)
    cosine, sine = (_draw(numbers, *_TURNS) for _ in range(2))  # of twice the direction: strokes have no front
    size = np.sqrt(cosine**2 + sine**2 + _VORTEX)
    cosine, sine = cosine / size, sine / size
    tones = np.zeros((SIDE, SIDE), np.float32)
    for turn in (math.pi * number / _DIRECTIONS for number in range(_DIRECTIONS)):
        near = (1 + math.cos(2 * turn) * cosine + math.sin(2 * turn) * sine) / 2
        tones += near**_APART * _draw(numbers, *_ACROSS, turn)
    even: NDArray[np.float32] = (tones - tones.mean()) / tones.std()
    even.setflags(write=False)
    return even


def _draw(
    numbers: np.random.PCG64, shortest: float, longest: float, direction: float | None = None
) -> NDArray[np.float32]:
    """Return noise of deviation 1, (512, 512).

    Args:
        numbers: the source of its phases.
        shortest: wavelength, in pixels.
        longest: wavelength, in pixels.
        direction: of the strokes that it is to be, as an angle to the rows; without one, all waves are as strong.

    """
    down, across = np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE)
    across = across[across <= 1 / shortest]  # the inverse takes columns that are missing for zeros
    frequency = np.hypot(down[:, None], across)
    rows, columns = np.nonzero((frequency >= 1 / longest) & (frequency <= 1 / shortest))
    phases = 2 * np.pi / 2**64 * numbers.random_raw(len(rows))
    spectrum = np.zeros(frequency.shape, np.complex128)
    spectrum[rows, columns] = np.exp(1j * phases)
    if direction is not None:
        spectrum[rows, columns] *= np.sin(np.arctan2(down[rows], across[columns]) - direction) ** _LENGTH
    noise = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    scaled: NDArray[np.float32] = (noise / noise.std()).astype(np.float32)
    return scaled
