"""What a first painting says of a style's code: the correction that fits the code to one photo.

AdaIN gives features the statistics of the style, but what the decoder makes of them has others, which depend on the
photo: a dark photo comes out darker than the style, a plain one plainer. So the code that a painting turns out to have
is measured, and the difference is added to what was asked for. This module imports no torch: it computes with arrays
and tensors alike.
"""

from __future__ import annotations

from typing import Any

__all__ = ["SHARE", "correct"]

SHARE = 0.4
"""The share of the difference that is added. More leaves less of the photo (docs/explanation/fitting.md)."""

_MOST = 3
"""The most that a measured deviation may be off, as a ratio: a region of few positions has any."""


def correct(style: tuple[Any, Any], made: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return a style's code with a share of what a painting in it lacks: μ + s (μ - μ') and σ (σ / σ')^s.

    Args:
        style: means and deviations, float32 arrays or tensors (..., C).
        made: the same of the painting, from the same encoder.

    """
    (mean, std), (made_mean, made_std) = style, made
    return mean + SHARE * (mean - made_mean), std * (std / made_std).clip(1 / _MOST, _MOST) ** SHARE
