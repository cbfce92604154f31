"""How far the patches of two pictures are apart: a teacher's features as two clouds of points, wherever they are.

Points are projected on orthonormal directions and sorted along each, and what is sorted is compared: the sliced
Wasserstein distance of order 1 (Rabin et al., "Wasserstein barycenter and its application to texture mixing", SSVM
2011; as a loss, Heitz et al., "A sliced Wasserstein loss for neural texture synthesis", CVPR 2021).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor, nn

__all__ = ["QUANTILES", "project", "quantiles", "relative_wasserstein"]

QUANTILES = 128
"""How many numbers ``quantiles`` keeps of each direction."""

_FAINT = 1e-3  # of a deviation; features are of pictures in levels: a plain style has no spread to divide by


def project(features: Tensor) -> Tensor:
    """Return features (N, C, h, w) projected on C directions and sorted along each, float32 (N, C, h w)."""
    n, c, h, w = features.shape
    with torch.autocast(features.device.type, enabled=False):  # bfloat16 would tie many of the points
        points = _directions(c, features.device) @ features.float().reshape(n, c, h * w)
    return points.sort(2)[0]


def quantiles(features: Tensor) -> Tensor:
    """Return the means of 128 equal parts of what ``project`` sorts, (N, C, 128), for features of any size."""
    return nn.functional.adaptive_avg_pool1d(project(features), QUANTILES)


def relative_wasserstein(x: Tensor, target: Tensor) -> Tensor:
    """Return the distance between quantiles, over the mean deviation of the target's, for each of N: (N,)."""
    spread = target - target.mean(2, keepdim=True)
    return (x - target).abs().mean((1, 2)) / spread.abs().mean((1, 2)).clamp(min=_FAINT)


@cache
def _directions(channels: int, device: torch.device) -> Tensor:
    """Return as many orthonormal directions as there are channels, (C, C), always the same."""
    directions: Tensor = torch.linalg.qr(torch.randn(channels, channels, generator=torch.Generator().manual_seed(0)))[0]
    return directions.to(device)
