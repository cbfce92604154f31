"""Figures of a palette: how strong a picture's tones and colours are. Pictures are uint8 (H, W, 3)."""

from __future__ import annotations

import numpy as np

from adain_bench.quality.brushwork import luminance
from adain_rt.contract import Pixels

__all__ = ["colours", "tones"]

_DIFFERENCES = np.array([[-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]])  # Cb and Cr of RGB: ITU-R BT.601


def tones(picture: Pixels) -> float:
    """Return the standard deviation of luminance, in levels."""
    return float(luminance(picture).std())


def colours(picture: Pixels) -> float:
    """Return how much colours vary, in levels: the root of the sum of the variances of Cb and Cr."""
    return float(np.sqrt((picture @ _DIFFERENCES.T).var((0, 1)).sum()))
