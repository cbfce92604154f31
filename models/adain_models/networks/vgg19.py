"""``vgg19``: the networks that the paper released, VGG-19 up to relu4_1 and the decoder that mirrors it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn

from adain_models.errors import AdainError
from adain_models.networks.base import Decoder, Network, Rectified, bias_of, conv, convolution, fold_input, fold_output

__all__ = ["Vgg19", "from_public"]

_PUBLIC_ENCODER = {
    "affine": 0, "conv1_1": 2, "conv1_2": 5, "conv2_1": 9, "conv2_2": 12,
    "conv3_1": 16, "conv3_2": 19, "conv3_3": 22, "conv3_4": 25, "conv4_1": 29,
}  # fmt: skip
_PUBLIC_DECODER = {
    "conv4_1": 1, "conv3_4": 5, "conv3_3": 8, "conv3_2": 11, "conv3_1": 14,
    "conv2_2": 18, "conv2_1": 21, "conv1_2": 25, "conv1_1": 28,
}  # fmt: skip


class Vgg19(Network):
    """AdaIN on 512 channels at an eighth of the size; 7.0 million parameters, 253 GFLOP at 512x512.

    Args:
        width: channels of the first block, 64 in the paper's network; the others follow in proportion.

    """

    architecture = "vgg19"
    style_layers = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.width = width
        one, two, three, self.channels = width, 2 * width, 4 * width, 8 * width
        self.encoder = nn.Sequential(
            OrderedDict(
                affine=_imagenet_affine(),
                **_convolution("1_1", 3, one),
                **_convolution("1_2", one, one),
                pool1=_halve(),
                **_convolution("2_1", one, two),
                **_convolution("2_2", two, two),
                pool2=_halve(),
                **_convolution("3_1", two, three),
                **_convolution("3_2", three, three),
                **_convolution("3_3", three, three),
                **_convolution("3_4", three, three),
                pool3=_halve(),
                **_convolution("4_1", three, self.channels),
            )
        )
        self.decoder = Decoder(
            OrderedDict(
                **_convolution("4_1", self.channels, three),
                double3=_double(),
                **_convolution("3_4", three, three),
                **_convolution("3_3", three, three),
                **_convolution("3_2", three, three),
                **_convolution("3_1", three, two),
                double2=_double(),
                **_convolution("2_2", two, two),
                **_convolution("2_1", two, one),
                double1=_double(),
                **_convolution("1_2", one, one),
                conv1_1=conv(one, 3),
            )
        )

    @classmethod
    def sized_for(cls, tensors: Mapping[str, Tensor]) -> Network:
        """Return a network as wide as these tensors are."""
        first = tensors.get("encoder.conv1_1.bias")
        return cls() if first is None else cls(width=max(1, first.numel()))

    def for_bytes(self) -> Network:
        """Return a copy that reads and writes 0..255, the 1x1 affine and the scaling folded away."""
        folded = deepcopy(self)
        affine = convolution(folded.encoder, "affine")
        fold_input(convolution(folded.encoder, "conv1_1"), affine.weight[:, :, 0, 0] / 255, bias_of(affine))
        fold_output(convolution(folded.decoder, "conv1_1"), 255, 0)
        folded.encoder.affine = nn.Identity()
        return folded

    def rectified(self) -> Iterator[Rectified]:
        """Yield every convolution but the affine and the one that gives the picture."""
        for part_name, part in (("encoder", self.encoder), ("decoder", self.decoder)):
            convolutions = [(name, layer) for name, layer in part.named_children() if isinstance(layer, nn.Conv2d)]
            readers = [*(layer for _, layer in convolutions[1:]), None]
            for (name, layer), reader in zip(convolutions, readers, strict=True):
                if f"relu{name.removeprefix('conv')}" in part._modules:
                    yield Rectified(f"{part_name}.{name}", layer, layer, reader)


def from_public(encoder: Mapping[str, Tensor], decoder: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of the public PyTorch implementation (naoto0804/pytorch-AdaIN) under this project's names.

    Args:
        encoder: the state dict of ``vgg_normalised.pth``, a ``Sequential`` of which modules 0 to 30 are used.
        decoder: the state dict of ``decoder.pth``, a ``Sequential``.

    Raises:
        AdainError: a tensor is missing.

    """
    return _rename("encoder", _PUBLIC_ENCODER, encoder) | _rename("decoder", _PUBLIC_DECODER, decoder)


def _rename(part: str, indices: Mapping[str, int], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a public state dict's tensors under this project's names."""
    renamed = {}
    for name, index in indices.items():
        for kind in ("weight", "bias"):
            if f"{index}.{kind}" not in state:
                raise AdainError(f"these are the weights of another network: the {part} has no {index}.{kind}")
            renamed[f"{part}.{name}.{kind}"] = state[f"{index}.{kind}"]
    return renamed


def _convolution(block: str, inputs: int, outputs: int) -> dict[str, nn.Module]:
    return {f"conv{block}": conv(inputs, outputs), f"relu{block}": nn.ReLU()}


def _halve() -> nn.MaxPool2d:
    return nn.MaxPool2d(2, ceil_mode=True)


def _double() -> nn.Upsample:
    return nn.Upsample(scale_factor=2, mode="nearest")


def _imagenet_affine() -> nn.Conv2d:
    """RGB in 0..1 to what VGG-19 was trained on: BGR in 0..255 less ImageNet's mean colour."""
    affine = nn.Conv2d(3, 3, 1)
    with torch.no_grad():
        affine.weight.copy_(255 * torch.eye(3).flip(0)[:, :, None, None])
        bias_of(affine).copy_(torch.tensor([-103.939, -116.779, -123.68]))
    return affine
