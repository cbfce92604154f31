"""The frozen networks that judge pictures in losses and figures of quality: VGG-19 as Keras publishes it, and VGG-16.

Features are those after a ReLU. Three distances between features are built on them:

- *style*: with code(x) the channel means and deviations, |code(x) - code(style)|² / |code(style)|².
- *texture*: with corr(x) the correlations between channels (the Gram matrix of Gatys et al. 2016, of features after
  instance normalisation), |corr(x) - corr(style)|² / |corr(style)|². Tones, which means and deviations hold, drop out.
- *content*: the mean square difference of features after instance normalisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adain_models.adain import EPSILON
from adain_models.errors import AdainError
from adain_models.files import read_safetensors
from adain_models.networks.base import channels_last

__all__ = ["LAYERS", "MEAN_RGB", "Teacher", "Vgg16", "normalized", "relative_distance", "statistics"]

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu3_4")
"""The layers of style and texture; the last is that of content."""

MEAN_RGB = (123.68, 116.779, 103.939)
"""Of the pictures that VGG-19 was trained on, in 0..255; its input is the difference to it."""


class Teacher(nn.Module):
    """VGG-19 up to relu3_4, padded by zeros as it was trained.

    Args:
        weights: a safetensors file with ``convB_I.weight`` (out, in, 3, 3), its input BGR, and ``convB_I.bias``.

    Raises:
        AdainError: the file is missing, damaged, or holds other tensors.

    """

    network = "VGG-19"
    names: Sequence[str] = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "3_4")
    """Of the convolutions; a pooling by two comes before each block's first."""
    layers: Sequence[str] = LAYERS
    mean: Tensor

    def __init__(self, weights: Path) -> None:
        super().__init__()
        tensors, _ = read_safetensors(weights, "pt")
        self.convolutions = nn.ModuleList()
        inputs = 3
        for name in self.names:
            weight, bias = (self._tensor(tensors, f"conv{name}.{kind}", weights) for kind in ("weight", "bias"))
            if weight.shape[1:] != (inputs, 3, 3) or bias.shape != weight.shape[:1]:
                raise AdainError(
                    f"{weights}: conv{name} is not {self.network}'s: {tuple(weight.shape)} after {inputs} channels"
                )
            layer = nn.Conv2d(inputs, len(weight), 3, padding=1)
            layer.load_state_dict({"weight": weight.flip(1) if name == "1_1" else weight, "bias": bias})
            self.convolutions.append(layer)
            inputs = len(weight)
        self.register_buffer("mean", torch.tensor(MEAN_RGB)[:, None, None], persistent=False)
        self.requires_grad_(requires_grad=False)
        channels_last(self)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Return the features of ``layers``, (N, C, h, w) each, of RGB in 0..1, float (N, 3, H, W)."""
        x = pictures * 255 - self.mean
        features = []
        for name, layer in zip(self.names, self.convolutions, strict=True):
            if name in {"2_1", "3_1", "4_1"}:
                x = nn.functional.max_pool2d(x, 2)
            x = torch.relu(layer(x))
            if f"relu{name}" in self.layers:
                features.append(x)
        return features

    def _tensor(self, tensors: dict[str, Tensor], name: str, source: Path) -> Tensor:
        if name not in tensors:
            raise AdainError(f"{source}: holds no {name}, which {self.network} has")
        return tensors[name]


class Vgg16(Teacher):
    """VGG-16 up to relu4_1, one pooling deeper than ``Teacher``; it gives relu3_1 and relu4_1."""

    network = "VGG-16"
    names = ("1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "4_1")
    layers = ("relu3_1", "relu4_1")


def statistics(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the code, means and deviations (N, 2C), and the correlations between channels (N, C, C), float32.

    The deviation is ``adain.channel_statistics``'s. Both come from one covariance matrix.

    Args:
        features: (N, C, H, W), with at least two positions.

    """
    with torch.autocast(features.device.type, enabled=False):  # bfloat16 would keep two digits of a correlation
        moments: tuple[Tensor, Tensor] = _Moments.apply(features)  # type: ignore[no-untyped-call]
        mean, covariance = moments
        std = (covariance.diagonal(dim1=1, dim2=2) + EPSILON).sqrt()
        return torch.cat([mean, std], 1), covariance / (std[:, :, None] * std[:, None, :])


class _Moments(torch.autograd.Function):
    """Means (N, C) and covariances (N, C, C) of channels over the positions of features (N, C, H, W), at least float32.

    Autograd's own backward of the same formula keeps the features and the centred ones in float32 and walks over both
    several times; this one is a single matrix product in the features' own dtype.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> tuple[Tensor, Tensor]:
        n, c, h, w = ctx.shape = features.shape
        flat = features.permute(0, 2, 3, 1).reshape(n, h * w, c)  # no copy where channels come last
        flat = flat.to(torch.promote_types(flat.dtype, torch.float32))
        mean = flat.mean(1)
        centered = flat - mean[:, None]
        ctx.save_for_backward(centered.to(features.dtype))
        return mean, centered.mT @ centered / (h * w - 1)

    @staticmethod
    def backward(ctx: Any, of_mean: Tensor, of_covariance: Tensor) -> Tensor:
        (centered,) = ctx.saved_tensors
        n, c, h, w = ctx.shape
        both = (of_covariance + of_covariance.mT) / (h * w - 1)
        flat = torch.baddbmm((of_mean / (h * w))[:, None].to(centered.dtype), centered, both.to(centered.dtype))
        return flat.reshape(n, h, w, c).permute(0, 3, 1, 2)


def normalized(features: Tensor) -> Tensor:
    """Return features after instance normalisation, float32 (N, C, H, W)."""
    return nn.functional.instance_norm(features.float())


def relative_distance(x: Tensor, target: Tensor) -> Tensor:
    """Return |x - target|² / |target|² for each of N, (N,), of any (N, ...)."""
    return (x - target).flatten(1).square().sum(1) / target.flatten(1).square().sum(1)
