"""Training computes with int8's rounding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from adain_models.networks.base import Pointwise
from adain_models.training.rounding import rounded


@pytest.fixture
def x():
    """Numbers from -1 to 1, both of which occur."""
    numbers = 2 * torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    numbers.view(-1)[:2] = torch.tensor([-1, 1])
    return numbers


def test_a_convolution_reads_one_of_256_numbers(x):
    layer = nn.Conv2d(3, 3, 1, bias=False, dtype=torch.float64)
    layer.weight.data = torch.eye(3, dtype=torch.float64)[..., None, None]
    with rounded(layer):
        found = layer(x)
    steps = (found + 1) / 2 * 255
    assert (steps - steps.round()).abs().max() < 1e-9
    assert (found - x).abs().max() <= 1 / 255 + 1e-9
    assert layer(x).equal(x)


def test_the_gradient_passes_as_if_nothing_were_rounded_but_for_the_ends_of_the_range(x):
    layer = nn.Conv2d(3, 4, 3, dtype=torch.float64)
    with rounded(layer):
        found = torch.autograd.grad(layer(x.requires_grad_()).sum(), x)[0]
    wanted = torch.autograd.grad(layer(x).sum(), x)[0]
    apart = (found - wanted).abs() > 1e-12
    assert set(x[apart].tolist()) == {-1, 1}


def test_larger_numbers_do_not_lose_less(x):
    """The gradient of what rounding does to a result is 0 along a common factor of the input and the result."""
    layer = nn.Conv2d(3, 4, 3, bias=False, dtype=torch.float64)
    factor = torch.ones((), dtype=torch.float64, requires_grad=True)
    with rounded(layer):
        found = layer(x * factor) / factor
    assert torch.autograd.grad((found - layer(x)).square().sum(), factor)[0].abs() < 1e-12


def test_a_tensor_of_one_number_stays_as_it_is():
    layer = nn.Conv2d(1, 1, 1)
    flat = torch.full((1, 1, 4, 4), 0.3)
    with rounded(layer):
        assert layer(flat).allclose(nn.functional.conv2d(flat, layer.weight, layer.bias))


def test_what_reads_codes_is_not_rounded(x):
    layer = Pointwise(3, 2, 1).double()
    nn.init.normal_(layer.weight)
    with rounded(layer):
        assert layer(x).equal(nn.functional.conv2d(x, layer.weight, layer.bias))
