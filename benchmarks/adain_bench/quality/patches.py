"""How far the patches of two pictures are apart: a teacher's features as two clouds of points, wherever they are."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

__all__ = ["Cloud", "cloud", "distance"]

Cloud = Tensor
"""Features as points, projected on orthonormal directions and sorted along each, (C, positions)."""


def cloud(features: Tensor) -> Cloud:
    """Return the features of one picture, (1, C, h, w), projected and sorted."""
    return (_directions(features.shape[1]) @ features[0].flatten(1)).sort(1)[0]


def distance(one: Cloud, other: Cloud) -> float:
    """Return the sliced Wasserstein distance of order 1 between two clouds.

    It is the mean over directions of the Wasserstein distance of what is projected on them, the mean difference between
    sorted values (Rabin et al., "Wasserstein barycenter and its application to texture mixing", SSVM 2011). Clouds of
    unequal size are compared at as many quantiles as the larger has points, between those of the smaller linearly.
    """
    points = max(one.shape[1], other.shape[1])
    one, other = (torch.nn.functional.interpolate(each[None], size=points, mode="linear")[0] for each in (one, other))
    return (one - other).abs().mean().item()


@cache
def _directions(channels: int) -> Tensor:
    """Return as many orthonormal directions as there are channels, (C, C), always the same."""
    directions: Tensor = torch.linalg.qr(torch.randn(channels, channels, generator=torch.Generator().manual_seed(0)))[0]
    return directions
