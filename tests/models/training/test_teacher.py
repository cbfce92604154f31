"""The teacher's statistics, and their gradient, which is written by hand."""

from __future__ import annotations

import pytest
import torch

from adain_models.adain import EPSILON
from adain_models.training.teacher import statistics


def reference(features):
    """Return code and correlations by PyTorch's own functions, for one picture's features (1, C, H, W)."""
    flat = features[0].flatten(1)
    std = (flat.var(1) + EPSILON).sqrt()
    return torch.cat([flat.mean(1), std])[None], (torch.cov(flat) / torch.outer(std, std))[None]


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_statistics_and_their_gradient_are_those_of_the_formula(layout):
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(1, 6, 5, 7, generator=generator, dtype=torch.float64) * 3 + 2
    features = features.contiguous(memory_format=layout).requires_grad_()
    ours, theirs = statistics(features), reference(features)
    weights = [torch.randn(each.shape, generator=generator, dtype=torch.float64) for each in theirs]
    gradients = []
    for found in (ours, theirs):
        loss = sum((each * weight).sum() for each, weight in zip(found, weights, strict=True))
        gradients += torch.autograd.grad(loss, features)
    assert torch.allclose(ours[0], theirs[0], rtol=1e-12)
    assert torch.allclose(ours[1], theirs[1], rtol=1e-12)
    assert torch.allclose(*gradients, rtol=1e-10)


def test_a_batch_has_each_pictures_own_statistics():
    features = torch.rand(3, 4, 6, 6, generator=torch.Generator().manual_seed(1))
    code, correlations = statistics(features)
    for n in range(3):
        alone = statistics(features[n : n + 1])
        assert torch.allclose(code[n], alone[0][0], atol=1e-6)
        assert torch.allclose(correlations[n], alone[1][0], atol=1e-5)


def test_channels_that_do_not_vary_correlate_with_none():
    features = torch.full((1, 2, 16, 16), 200.3)
    features[:, 1] = torch.rand(16, 16, generator=torch.Generator().manual_seed(2))
    _, correlations = statistics(features)
    assert correlations[0, 0].abs().max() < 1e-3


def test_bfloat16_features_have_statistics_in_float32_and_a_gradient_in_bfloat16():
    features = torch.rand(1, 4, 16, 16, generator=torch.Generator().manual_seed(3)).bfloat16().requires_grad_()
    code, correlations = statistics(features)
    assert (code.dtype, correlations.dtype) == (torch.float32, torch.float32)
    exact = reference(features.detach().double())
    assert torch.allclose(code.double(), exact[0], atol=1e-5)
    assert torch.allclose(correlations.double(), exact[1], atol=1e-4)
    (code.sum() + correlations.sum()).backward()
    assert features.grad.dtype == torch.bfloat16
    wide = features.detach().double().requires_grad_()
    (gradient,) = torch.autograd.grad(sum(each.sum() for each in reference(wide)), wide)
    assert (features.grad - gradient).norm() < 0.01 * gradient.norm()  # bfloat16 holds 8 bits
