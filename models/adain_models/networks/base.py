"""The one interface of the networks: an encoder, AdaIN between, a decoder."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn

__all__ = [
    "STRIDE",
    "Network",
    "bias_of",
    "channels_last",
    "conv",
    "convolution",
    "fold_input",
    "fold_output",
]

STRIDE = 8
"""A feature position stands for this many pixels of a side, in every network."""


class Network(nn.Module):
    """An encoder and a decoder; AdaIN on the features between them makes the style transfer.

    ``encoder`` maps RGB in 0..1, float (N, 3, H, W) with H and W multiples of ``STRIDE`` and at least 16, to
    features (N, ``channels``, H/8, W/8). ``decoder`` maps features back to RGB around 0..1, not clipped.
    """

    architecture: str
    channels: int
    encoder: nn.Sequential
    decoder: nn.Sequential

    @classmethod
    def sized_for(cls, tensors: Mapping[str, Tensor]) -> Network:
        """Return a network, its weights not loaded, of the size that these tensors have."""
        del tensors
        return cls()

    @abstractmethod
    def for_bytes(self) -> Network:
        """Return a copy that reads and writes RGB in 0..255.

        What comes before the first convolution, and the scaling at both ends, is folded into the first and the last.
        """


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size (but for its stride), padded by reflection as the paper has it."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, padding_mode="reflect")


def convolution(part: nn.Sequential, name: str) -> nn.Conv2d:
    """Return a convolution of an encoder or decoder by its name."""
    layer = part.get_submodule(name)
    assert isinstance(layer, nn.Conv2d)  # noqa: S101 - for the type checker
    return layer


def channels_last(part: nn.Module) -> None:
    """Lay out the weights of a network, or of a part of one, so that each position's channels are neighbours.

    Convolutions are faster so, above all in bfloat16; their outputs have the layout too.
    """
    for parameter in part.parameters():
        if parameter.ndim == 4:  # noqa: PLR2004 - (O, I, kh, kw)
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def bias_of(layer: nn.Conv2d) -> Tensor:
    """Return a convolution's bias, which all have here."""
    assert layer.bias is not None  # noqa: S101 - for the type checker
    return layer.bias


@torch.no_grad()
def fold_input(layer: nn.Conv2d, matrix: Tensor, offset: Tensor) -> None:
    """Let a convolution read x where it read ``matrix @ x + offset``, x being the channels at one position.

    Exact, since padding by reflection commutes with an affine map of the channels.

    Args:
        layer: changed in place.
        matrix: (I, J), I the layer's input channels.
        offset: (I,).

    """
    weight = layer.weight.double()  # (O, I, kh, kw)
    bias_of(layer).add_((weight.sum((2, 3)) @ offset.double()).to(layer.weight))
    layer.weight.copy_(torch.einsum("oihw,ij->ojhw", weight, matrix.double()))


@torch.no_grad()
def fold_output(layer: nn.Conv2d, scale: float, offset: float) -> None:
    """Let a convolution give ``scale * y + offset`` where it gave y; changed in place."""
    layer.weight.mul_(scale)
    bias_of(layer).mul_(scale).add_(offset)
