"""Adaptive Instance Normalization, written to be read: the reference that every other path is compared with.

Huang & Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization", ICCV 2017. A style is
its *code*, the mean and the deviation of each of C feature channels. The variance is the unbiased one (divisor n - 1)
with 1e-5 under the root, for content and style alike, as in the public PyTorch implementation whose weights ``vgg19``
loads; the original Torch code divides by n.

Shapes: N pictures, C channels, R regions, H x W positions. Every function keeps the dtype of its features.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = [
    "EPSILON",
    "adain",
    "blend",
    "blend_codes",
    "channel_statistics",
    "measure_regions",
    "region_statistics",
    "region_weights",
    "regional_adain",
    "regional_code",
]

EPSILON = 1e-5


def channel_statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the deviation of each channel over its positions.

    Args:
        features: float (N, C, H, W), with at least two positions.

    Returns:
        mean and std, each (N, C).

    """
    flat = features.flatten(2)  # (N, C, HW)
    return flat.mean(2), (flat.var(2, correction=1) + EPSILON).sqrt()


def adain(
    features: Tensor, style_mean: Tensor, style_std: Tensor, content: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Return features whose channel statistics are the style's: (f - μc) / σc · σs + μs (equation 8 of the paper).

    Args:
        features: float (N, C, H, W).
        style_mean: (N, C).
        style_std: (N, C).
        content: mean and std, each (N, C), to use in place of the features' own.

    """
    mean, std = channel_statistics(features) if content is None else content
    normalized = (features - _spatial(mean)) / _spatial(std)
    return normalized * _spatial(style_std) + _spatial(style_mean)


def blend(features: Tensor, target: Tensor, strength: Tensor) -> Tensor:
    """Return (1 - α) · features + α · target, the paper's content-style trade-off (equation 14).

    Args:
        features: float (N, C, H, W).
        target: the same shape, the features after AdaIN.
        strength: α of each picture, (N,), from 0 to 1.

    """
    alpha = strength[:, None, None, None]
    return (1 - alpha) * features + alpha * target


def blend_codes(content: Tensor, style: Tensor, strength: Tensor) -> Tensor:
    """Return the statistics that features have after ``adain`` and ``blend``: (1 - α) · content + α · style.

    Args:
        content: the features' own means, or deviations, (N, ..., C).
        style: the same of the style.
        strength: α of each picture, (N,), from 0 to 1.

    """
    alpha = strength.reshape(-1, *[1] * (content.ndim - 1))
    return (1 - alpha) * content + alpha * style


def region_weights(masks: Tensor, size: Sequence[int]) -> Tensor:
    """Return how much each region counts at each feature position.

    The masks are averaged down to the features' size, then divided by their sum wherever that is positive. A position
    under no mask belongs to no region.

    Args:
        masks: float (N, R, H, W), from 0 (outside) to 255 (inside).
        size: height and width of the features; H and W are multiples of them.

    Returns:
        (N, R, *size), of which the sum over R is 1 or 0 at every position.

    """
    height, width = size
    coverage = torch.nn.functional.adaptive_avg_pool2d(masks, (height, width))
    total = coverage.sum(1, keepdim=True)
    return torch.where(total > 0, coverage / total.clamp(min=EPSILON), 0)


def measure_regions(features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the statistics of each region are made of. Every position is weighed by its share in the region.

    Args:
        features: float (N, C, H, W).
        weights: (N, R, H, W), from ``region_weights``.

    Returns:
        The sum of the weights, (N, R); the mean, (N, R, C); and the sum of squared differences from it, (N, R, C).

    """
    weights = weights.unsqueeze(2)  # (N, R, 1, H, W)
    features = features.unsqueeze(1)  # (N, 1, C, H, W)
    total = weights.sum((3, 4))  # (N, R, 1)
    mean = (weights * features).sum((3, 4)) / total.clamp(min=EPSILON)  # (N, R, C)
    return total.squeeze(2), mean, (weights * (features - _spatial(mean)).square()).sum((3, 4))


def region_statistics(features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean and the deviation of each channel over each region, (N, R, C) each.

    For a mask of zeros and ones they are ``channel_statistics`` of the positions inside. The divisor of the variance is
    the sum of the weights less 1, but never below 1, so that a region of a single position has the deviation of a flat
    one.

    Args:
        features: float (N, C, H, W).
        weights: (N, R, H, W), from ``region_weights``.

    """
    total, mean, m2 = measure_regions(features, weights)
    return mean, (m2 / (total - 1).clamp(min=1).unsqueeze(2) + EPSILON).sqrt()


def regional_adain(
    features: Tensor,
    style_mean: Tensor,
    style_std: Tensor,
    weights: Tensor,
    content: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """Return AdaIN by regions: each has content statistics and a style of its own.

    Where the weights sum to 0 the features are kept.

    Args:
        features: float (N, C, H, W).
        style_mean: (N, R, C).
        style_std: (N, R, C).
        weights: (N, R, H, W), from ``region_weights``.
        content: mean and std, each (N, R, C), to use in place of the regions' own.

    """
    mean, std = region_statistics(features, weights) if content is None else content
    weights = weights.unsqueeze(2)  # (N, R, 1, H, W)
    centered = features.unsqueeze(1) - _spatial(mean)  # (N, R, C, H, W)
    stylized = centered * _spatial(style_std / std) + _spatial(style_mean)
    outside = 1 - weights.sum(1)  # (N, 1, H, W)
    return (weights * stylized).sum(1) + outside * features


def regional_code(
    content: tuple[Tensor, Tensor], styles: tuple[Tensor, Tensor], weights: Tensor, strength: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the code at each position after ``regional_adain`` and ``blend``: mean and deviation, (N, C, H, W) each.

    Where the weights sum to 0 it is the mean of the regions' codes, so that it is the same in any part of a picture.

    Args:
        content: means and deviations of the regions, (N, R, C) each.
        styles: the same of the styles.
        weights: (N, R, H, W), from ``region_weights``.
        strength: α of each picture, (N,), from 0 to 1.

    """
    shares = (weights + EPSILON) / (weights + EPSILON).sum(1, keepdim=True)
    mean, std = (
        (shares.unsqueeze(2) * _spatial(blend_codes(own, style, strength))).sum(1)
        for own, style in zip(content, styles, strict=True)
    )
    return mean, std


def _spatial(statistics: Tensor) -> Tensor:
    """Give per-channel values two trailing axes, to meet feature maps: (..., C) -> (..., C, 1, 1)."""
    return statistics[..., None, None]
