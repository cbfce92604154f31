"""Samples of any depth, sign and type, as 8 bits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from adain_rt.contract import Pixels

__all__ = ["Scale", "choose_float_scale", "reduce_samples"]

_BLOCK = 1 << 21
"""The samples that are reduced at once, so that a large picture is never in memory as floating-point numbers."""


class Scale(NamedTuple):
    """The values that become black and white."""

    black: float
    white: float


def choose_float_scale(samples: NDArray[Any]) -> tuple[Scale, str | None]:
    """Return the scale of floating-point samples (H, W, C): from 0 to 1, or as much more as the values need.

    Returns:
        the scale, and a remark if it is not from 0 to 1.

    """
    low, high = 0.0, 1.0
    for rows in _blocks(samples.shape):
        finite = samples[rows][np.isfinite(samples[rows])]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if (low, high) == (0, 1):
        return Scale(0, 1), None
    return Scale(low, high), f"holds values beyond 0 to 1; {low:.4g} becomes black and {high:.4g} white"


def reduce_samples(
    samples: NDArray[Any], scale: Scale, *, alpha: Scale | None = None, associated: bool = False, inverted: bool = False
) -> Pixels:
    """Return samples as 8 bits, rounded. What is beyond the scale, or infinite, is clipped; NaN is the scale's black.

    Args:
        samples: (H, W, C), the alpha last if there is one.
        scale: of the colours.
        alpha: the scale of the alpha; ``None`` if there is none.
        associated: whether the colours are multiplied by the alpha; they are divided by it.
        inverted: whether the scale's black is white.

    Returns:
        uint8 (H, W, C).

    """
    reduced = np.empty(samples.shape, np.uint8)
    colors = samples.shape[2] - (alpha is not None)
    for rows in _blocks(samples.shape):
        share = _scaled(samples[rows, :, :colors], scale)
        if inverted:
            share = 1 - share
        if alpha is not None:
            cover = _scaled(samples[rows, :, colors:], alpha)
            reduced[rows, :, colors:] = np.rint(255 * cover)
            if associated:
                share = np.divide(share, cover, out=np.zeros_like(share), where=cover > 0).clip(0, 1)
        reduced[rows, :, :colors] = np.rint(255 * share)
    return reduced


def _blocks(shape: tuple[int, ...]) -> Iterator[slice]:
    """Yield the rows of (H, W, C), in blocks."""
    step = max(1, _BLOCK // math.prod(shape[1:]))
    yield from (slice(start, start + step) for start in range(0, shape[0], step))


def _scaled(samples: NDArray[Any], scale: Scale) -> NDArray[np.float64]:
    """Return samples as 0 (black) to 1 (white)."""
    with np.errstate(invalid="ignore"):  # of NaN and infinity
        half = samples.astype(np.float64) / 2  # the range itself may be more than a float holds
        share = (half - scale.black / 2) / (scale.white / 2 - scale.black / 2)
    return np.nan_to_num(share, copy=False, nan=0.0).clip(0, 1)
