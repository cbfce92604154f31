"""The interface that every network has: an encoder and a decoder, between which AdaIN works."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adain_models.networks.padding import PaddedConv

__all__ = [
    "STRIDE",
    "Decoder",
    "Modulation",
    "Network",
    "Pointwise",
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


class Pointwise(nn.Conv2d):
    """A 1x1 convolution of codes, which begins as a constant.

    It is a matrix; as a convolution its result has the layout of features, so that backends do not convert these.

    Args:
        inputs: the channels that it reads.
        outputs: the channels that it gives.
        constant: what it gives at first.

    """

    def __init__(self, inputs: int, outputs: int, constant: float) -> None:
        self.constant = constant
        super().__init__(inputs, outputs, 1)

    def reset_parameters(self) -> None:
        """Begin as a constant."""
        nn.init.zeros_(self.weight)
        nn.init.constant_(bias_of(self), self.constant)


class Modulation(nn.Module):
    """A scale and a shift for each channel, γ x + β, which depend on the code of the features that AdaIN made.

    Both are affine in the code (feature-wise linear modulation, Perez et al. 2018). AdaIN by itself tells the decoder
    of a style once, at its entrance. With modulations the style also decides what later layers do, as in conditional
    instance normalisation (Dumoulin et al. 2017), but without a second look at the content's statistics.

    Args:
        code: C, half of the numbers in a code.
        channels: of the features that are modulated.
        scale: how many times as large as AdaIN's features these are.

    """

    def __init__(self, code: int, channels: int, scale: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.gain = Pointwise(2 * code, channels, 1)
        self.shift = Pointwise(2 * code, channels, 0)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Modulate features.

        Args:
            x: (N, channels, H, W).
            code: (N, 2C, 1, 1), or (N, 2C, H / scale, W / scale) where it differs from place to place.

        """
        return self.apply_to(x, self.gain(code), self.shift(code))

    def apply_to(self, x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
        """Return γ x + β, given γ and β as they are made of a code, (N, channels, ...) of the code's size."""
        if self.scale > 1 and gain.shape[2] > 1:
            gain, shift = (nn.functional.interpolate(each, scale_factor=self.scale) for each in (gain, shift))
        return x * gain + shift


class Decoder(nn.Sequential):
    """Layers one after another, of which each ``Modulation`` also gets the code of the features."""

    def forward(self, features: Tensor, mean: Tensor, std: Tensor) -> Tensor:  # type: ignore[override]
        """Map features to pictures.

        Args:
            features: (N, C, h, w), as AdaIN made them.
            mean: of each channel, as AdaIN made it: (N, C, 1, 1), or (N, C, h, w) where it differs from place to place.
            std: the deviation, of the same shape.

        """
        code = torch.cat([mean, std], 1)
        for layer in self:
            features = layer(features, code) if isinstance(layer, Modulation) else layer(features)
        return features


class Network(nn.Module):
    """An encoder and a decoder; AdaIN on the features between them makes the style transfer.

    ``encoder`` maps RGB in 0..1, float (N, 3, H, W) with H and W multiples of ``STRIDE`` and at least 16, to
    features (N, ``channels``, H/8, W/8). ``decoder`` maps features and their code back to RGB around 0..1, not clipped.

    What other code needs to know of a topology is asked of the network here. A new topology must give
    ``for_bytes``; the rest has a default.
    """

    architecture: str
    channels: int
    encoder: nn.Sequential
    decoder: Decoder

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
    return PaddedConv(inputs, outputs, kernel, stride, padding=kernel // 2, padding_mode="reflect")


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
