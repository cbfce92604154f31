"""Half precision: its largest number, and weights rounded to it. This module imports no torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST", "rounded"]

LARGEST = float(np.finfo(np.float16).max)
"""The largest finite half, 65504."""


def rounded(weight: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return weights (O, I, k, k) as halves whose sums over the k x k taps are the weights', to the last digits.

    What rounding takes from one tap of a filter it gives to the next smaller, so that smooth inputs find the filter's
    whole sum.
    """
    taps = weight.reshape(*weight.shape[:2], -1).astype(np.float64)
    order = np.argsort(-np.abs(taps), axis=2, kind="stable")
    left = np.take_along_axis(taps, order, 2)
    halves = np.zeros(left.shape, np.float16)
    carry = np.zeros(left.shape[:2])
    for place in range(left.shape[2]):
        wanted = left[:, :, place] + carry
        halves[:, :, place] = wanted
        carry = wanted - halves[:, :, place]
    whole = np.zeros_like(halves)
    np.put_along_axis(whole, order, halves, 2)
    return whole.reshape(weight.shape)
