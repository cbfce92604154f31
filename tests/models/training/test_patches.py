"""The distance between quantiles of projected features, as a loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from adain_models.training.patches import QUANTILES, quantiles, relative_wasserstein


def features(height: int = 32, width: int = 32) -> Tensor:
    return torch.randn(2, 8, height, width, generator=torch.Generator().manual_seed(0))


def test_features_in_other_places_and_of_another_size_are_as_near():
    one = quantiles(features())
    assert one.shape == (2, 8, QUANTILES)
    assert relative_wasserstein(quantiles(features().flip(2)), one).tolist() == pytest.approx([0, 0], abs=1e-6)
    twice = quantiles(features().repeat(1, 1, 2, 1))
    assert relative_wasserstein(twice, one).tolist() == pytest.approx([0, 0], abs=0.01)


def test_it_does_not_change_with_the_features_unit():
    one, other = features(), 1.5 * features().flip(1) + 0.2
    expected = relative_wasserstein(quantiles(one), quantiles(other))
    found = relative_wasserstein(quantiles(10 * one), quantiles(10 * other))
    torch.testing.assert_close(found, expected)
    assert (expected > 0.1).all()


def test_it_sees_what_means_and_correlations_do_not():
    """Two values in place of a bell, of the same mean and deviation and in all channels alike."""

    def standardized(one: Tensor) -> Tensor:
        return ((one - one.mean((2, 3), keepdim=True)) / one.std((2, 3), keepdim=True)).expand(-1, 8, -1, -1)

    bell = features()[:, :1]
    again = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    two, bell, again = map(standardized, (bell.sign(), bell, again))
    assert (relative_wasserstein(quantiles(again), quantiles(bell)) < 0.1).all()
    assert (relative_wasserstein(quantiles(two), quantiles(bell)) > 0.4).all()


def test_a_gradient_leads_to_the_target():
    target = quantiles(2 * features().flip(1) + 1)
    moving = features().requires_grad_()
    adam = torch.optim.Adam([moving], lr=0.05)
    before = relative_wasserstein(quantiles(moving), target).mean().item()
    for _ in range(60):
        adam.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            distance = relative_wasserstein(quantiles(moving), target).mean()
        distance.backward()
        adam.step()
    assert distance.item() < 0.1 * before


def test_a_style_without_any_spread_gives_a_number():
    plain = quantiles(torch.full((1, 8, 32, 32), 3.0))
    assert relative_wasserstein(quantiles(features()[:1]), plain).isfinite().all()
