"""Training with int8's rounding, so that a network learns to do without what its int8 form loses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from adain_models.networks.base import Pointwise

__all__ = ["rounded"]

_STEPS = 255  # between the least and the largest of a tensor's 256 numbers


@contextmanager
def rounded(network: nn.Module) -> Iterator[None]:
    """Let the 2D convolutions of a network read what int8 leaves of their inputs.

    That is the nearest of 256 numbers, evenly from the least to the largest of the tensor. The gradient passes as if
    nothing were rounded (the straight-through estimator, Bengio et al. 2013; for int8, Jacob et al., "Quantization and
    training of neural networks for efficient integer-arithmetic-only inference", CVPR 2018), but it knows that what is
    lost grows with the range (Esser et al., "Learned step size quantization", ICLR 2020). Without that, larger numbers
    seem to lose less, and grow: some hundredfold in ten thousand steps. Weights stay as they are: they have a scale for
    each channel in int8, and lose little. What reads codes stays as well: it is not int8.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and not isinstance(layer, Pointwise)]
    hooks = [layer.register_forward_pre_hook(_round) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _round(layer: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    del layer
    (x,) = inputs
    least, largest = x.amin(), x.amax()  # in PyTorch 2.11 aminmax has no gradient
    step = (largest - least).clamp(min=torch.finfo(x.dtype).tiny) / _STEPS
    with torch.no_grad():
        steps = (x - least).div_(step)
        lost = steps.round().sub_(steps)  # in steps
    return x + lost * step
