"""How far the patches of two pictures are apart, as a figure, by all points of a teacher's features."""

from __future__ import annotations

from torch import Tensor, nn

from adain_models.training.patches import project

__all__ = ["Cloud", "cloud", "distance"]

Cloud = Tensor
"""Features as points, projected on orthonormal directions and sorted along each, (C, positions)."""


def cloud(features: Tensor) -> Cloud:
    """Return the features of one picture, (1, C, h, w), projected and sorted."""
    return project(features)[0]


def distance(one: Cloud, other: Cloud) -> float:
    """Return the sliced Wasserstein distance of order 1 between two clouds: see ``adain_models.training.patches``.

    Clouds of unequal size are compared at as many quantiles as the larger has points, between those of the smaller
    linearly.
    """
    points = max(one.shape[1], other.shape[1])
    one, other = (nn.functional.interpolate(each[None], size=points, mode="linear")[0] for each in (one, other))
    return (one - other).abs().mean().item()
