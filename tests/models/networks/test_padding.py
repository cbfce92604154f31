"""Convolutions pad the same way in training as outside of it."""

from __future__ import annotations

import pytest
import torch

from adain_models.networks.padding import PaddedConv


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (5, 1, 2), (3, 2, 1), (3, 1, 4)])
def test_training_pads_as_pytorch_does(mode, kernel, stride, padding):
    layer = PaddedConv(3, 4, kernel, stride, padding, padding_mode=mode, dtype=torch.float64)
    x = torch.randn(2, 3, 6, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    found = []
    for training in (True, False):
        y = layer.train(training)(x)
        weights = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).reshape(y.shape)
        found.append((y, *torch.autograd.grad((weights * y.sin()).sum(), (x, layer.weight, layer.bias))))
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_half_precision_and_the_layout_of_channels_stay():
    layer = PaddedConv(8, 8, 3, padding=1, padding_mode="reflect", dtype=torch.bfloat16)
    x = torch.randn(1, 8, 5, 5).bfloat16().contiguous(memory_format=torch.channels_last).requires_grad_()
    y = layer(x)
    (gradient,) = torch.autograd.grad(y.float().square().sum(), x)
    for each in (y, gradient):
        assert each.dtype == torch.bfloat16
        assert each.is_contiguous(memory_format=torch.channels_last)
