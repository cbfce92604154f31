"""The peak signal-to-noise ratio of two arrays, in decibels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["psnr"]


def psnr(made: NDArray[Any], expected: NDArray[Any], peak: float = 255.0) -> float:
    """Return the peak signal-to-noise ratio in decibels, infinite where the two are equal.

    Args:
        made: the numbers to judge.
        expected: the numbers to compare them with, of the same shape.
        peak: the largest value that such a number can have; 255 for pictures.

    """
    error = np.square(made.astype(np.float64) - expected).mean()
    return float(10 * np.log10(peak**2 / error)) if error else float("inf")
