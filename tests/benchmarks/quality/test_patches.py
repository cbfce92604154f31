"""The distance between clouds of features, where it is known."""

from __future__ import annotations

import pytest
import torch

from adain_bench.quality.patches import cloud, distance


def some(height=12, width=16, channels=8):
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(1))


def test_features_in_other_places_are_the_same_cloud():
    features = some()
    moved = features.flatten(2)[:, :, torch.randperm(192, generator=torch.Generator().manual_seed(0))].view_as(features)
    assert distance(cloud(moved), cloud(features)) == pytest.approx(0, abs=1e-6)


def test_a_shift_of_all_is_its_mean_length_over_the_directions():
    """Along orthonormal directions a shift's squared parts sum up to its squared length."""
    features, shift = some(), torch.arange(8.0)
    moved = features + shift[:, None, None]
    parts = (cloud(moved) - cloud(features))[:, 0]
    assert parts.square().sum().item() == pytest.approx(shift.square().sum().item(), rel=1e-4)
    assert distance(cloud(moved), cloud(features)) == pytest.approx(parts.abs().mean().item(), rel=1e-4)


def test_a_distance_is_that_of_sorted_projections_in_float64():
    one, other = some(), 2 * some().flip(1) + 1
    directions = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(0)))[0].double()
    sorted_ones = [(directions @ x[0].double().flatten(1)).sort(1)[0] for x in (one, other)]
    expected = (sorted_ones[0] - sorted_ones[1]).abs().mean().item()
    assert distance(cloud(one), cloud(other)) == pytest.approx(expected, rel=1e-5)


def test_pictures_of_other_sizes_are_compared_by_their_quantiles():
    features = some()
    twice = features.repeat(1, 1, 2, 1)
    assert distance(cloud(twice), cloud(features)) < 0.02
    assert distance(cloud(twice + 1), cloud(features)) == pytest.approx(
        distance(cloud(features + 1), cloud(features)), rel=0.02
    )
