"""The interface that every network has: an encoder and a decoder, between which AdaIN works."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = [
    "STRIDE",
    "Network",
    "Rectified",
    "bias_of",
    "channels_last",
    "conv",
    "convolution",
    "fold_input",
    "fold_output",
]

STRIDE = 8
"""A feature position stands for this many pixels of a side, in every network."""


@dataclass(frozen=True)
class Rectified:
    """A convolution whose output channels go through a ReLU.

    Attributes:
        name: the convolution's name in the network, such as ``encoder.conv1``.
        convolution: the layer itself.
        before_relu: the layer whose output the ReLU reads: the convolution, or a filter between the two.
        reader: the convolution that reads what the ReLU gives; ``None`` where anything else reads it as well.

    """

    name: str
    convolution: nn.Conv2d
    before_relu: nn.Module
    reader: nn.Conv2d | None


class Network(nn.Module):
    """An encoder and a decoder; AdaIN on the features between them makes the style transfer.

    ``encoder`` maps RGB in 0..1, float (N, 3, H, W) with H and W multiples of ``STRIDE`` and at least 16, to
    features (N, ``channels``, H/8, W/8). ``decoder`` maps features back to RGB around 0..1, not clipped.

    What other code needs to know of a topology is asked of the network here. A new topology must give
    ``for_bytes``; the rest has a default.
    """

    architecture: str
    channels: int
    encoder: nn.Sequential
    decoder: nn.Sequential

    style_layers: tuple[str, ...] = ()
    """The encoder's layers that the paper's losses compare, the last of them the features that AdaIN changes.

    Empty for an encoder that was not trained to recognise things: its features cannot judge pictures.
    """

    @classmethod
    def sized_for(cls, tensors: Mapping[str, Tensor]) -> Network:
        """Return a network of the size that these tensors have. Their values are not loaded."""
        del tensors
        return cls()

    @abstractmethod
    def for_bytes(self) -> Network:
        """Return a copy that reads and writes RGB in 0..255.

        What comes before the first convolution, and the scaling at both ends, is folded into the first and the last.
        """

    def rectified(self) -> Iterator[Rectified]:
        """Yield the convolutions that a ReLU follows, in the order of the layers.

        Training watches them for channels that no longer react to anything. The default watches none.
        """
        return iter(())


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps the size, apart from its stride; it pads by reflection, as in the paper."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, padding_mode="reflect")


def convolution(part: nn.Module, name: str) -> nn.Conv2d:
    """Return the convolution of a network, or of a part of one, that has this name."""
    layer = part.get_submodule(name)
    assert isinstance(layer, nn.Conv2d)  # noqa: S101 - for the type checker
    return layer


def channels_last(part: nn.Module) -> None:
    """Lay out the weights of a network, or of a part of one, so that each position's channels are neighbours.

    Convolutions are faster this way, above all in bfloat16; their outputs take on the same layout.
    """
    for parameter in part.parameters():
        if parameter.ndim == 4:  # noqa: PLR2004 - (O, I, kh, kw)
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def bias_of(layer: nn.Conv2d) -> Tensor:
    """Return a convolution's bias. Every convolution of these networks has one."""
    assert layer.bias is not None  # noqa: S101 - for the type checker
    return layer.bias


@torch.no_grad()
def fold_input(layer: nn.Conv2d, matrix: Tensor, offset: Tensor) -> None:
    """Change a convolution that reads ``matrix @ x + offset`` so that it reads x, the channels at one position.

    This is exact, since padding by reflection commutes with an affine map of the channels.

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
    """Change a convolution in place so that it gives ``scale * y + offset`` in place of y."""
    layer.weight.mul_(scale)
    bias_of(layer).mul_(scale).add_(offset)
