"""What the baselines share: VGG-19's features, random weights, pixels to tensors and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from adain_models.errors import AdainError
from adain_models.networks.base import channels_last
from adain_models.training.teacher import MEAN_RGB, Teacher
from adain_rt.contract import Pixels

__all__ = ["Vgg", "check_gradients", "initialize", "on_device", "to_pixels"]

_CONVOLUTIONS = (
    "1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "3_3", "3_4", "4_1", "4_2", "4_3", "4_4", "5_1",
)  # fmt: skip


class Vgg(nn.Module):
    """VGG-19 (Simonyan & Zisserman 2015) as far as the deepest of some layers, padded by zeros, frozen.

    Args:
        layers: names such as ``relu3_1``, from relu1_1 to relu5_1: what ``forward`` returns.
        pooling: between blocks.
        weights: a file of ``adain_models.training.teacher``; ``None`` for random weights, which serve
            where only time counts.
        width: channels of the first block where weights are random.

    Raises:
        AdainError: the weights end before a layer, or are not VGG-19's.

    """

    def __init__(
        self, layers: Sequence[str], pooling: Literal["max", "average"], weights: Path | None = None, width: int = 64
    ) -> None:
        super().__init__()
        self._layers = tuple(layers)
        self._pool = nn.MaxPool2d(2) if pooling == "max" else nn.AvgPool2d(2)
        count = max(_CONVOLUTIONS.index(layer.removeprefix("relu")) for layer in layers) + 1
        self._names = _CONVOLUTIONS[:count]
        self.convolutions = _random(self._names, width) if weights is None else Teacher(weights).convolutions[:count]
        if len(self.convolutions) < count:
            last = _CONVOLUTIONS[len(self.convolutions) - 1]
            raise AdainError(f"{weights}: ends at relu{last}, before relu{self._names[-1]}: choose layers up to there")
        self.channels: int = self.convolutions[-1].get_parameter("bias").numel()
        self.register_buffer("_mean", torch.tensor(MEAN_RGB)[:, None, None], persistent=False)
        self.requires_grad_(requires_grad=False)
        channels_last(self)

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Return the features after the ReLU of each layer, (N, C, h, w), of RGB in 0..255, (N, 3, H, W)."""
        features = {}
        x = pictures - self.get_buffer("_mean")
        for name, convolution in zip(self._names, self.convolutions, strict=True):
            if name.endswith("_1") and name != "1_1":
                x = self._pool(x)
            x = torch.relu(convolution(x))
            if f"relu{name}" in self._layers:
                features[f"relu{name}"] = x
        return features


def _random(names: Sequence[str], width: int) -> nn.ModuleList:
    """Return convolutions of VGG-19's widths: the first block's, twice, four and eight times that."""
    convolutions, inputs = nn.ModuleList(), 3
    for name in names:
        outputs = width * min(8, 2 ** (int(name[0]) - 1))
        convolutions.append(nn.Conv2d(inputs, outputs, 3, padding=1))
        inputs = outputs
    initialize(convolutions)
    return convolutions


@torch.no_grad()
def initialize(network: nn.Module, seed: int = 0) -> None:
    """Give every convolution random weights that keep the scale of activations, and no bias (He et al. 2015).

    Those of transposed convolutions keep it only up to a factor.

    Args:
        network: changed in place.
        seed: of the weights.

    """
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(layer.weight, generator=generator)
            layer.get_parameter("bias").zero_()


def check_gradients(method: str, dtype: torch.dtype) -> None:
    """Refuse to optimise pictures in float16.

    Raises:
        AdainError: gradients would vanish in this dtype.

    """
    if dtype not in {torch.float32, torch.bfloat16}:
        raise AdainError(f"{method} cannot optimise in {dtype}: gradients vanish; take float32 or bfloat16")


def on_device(pixels: Pixels, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return uint8 (H, W, 3) as RGB in 0..255, (1, 3, H, W), its channels last; bytes are what travels."""
    picture = torch.from_numpy(np.ascontiguousarray(pixels)).to(device)
    return picture.permute(2, 0, 1)[None].to(dtype)


def to_pixels(pictures: Tensor, like: Pixels) -> Pixels:
    """Return the first of pictures, RGB around 0..255, as uint8 (H, W, 3), cropped to the size of another."""
    height, width = like.shape[:2]
    picture = pictures[0, :, :height, :width].clamp(0, 255).round().to(torch.uint8)
    made: Pixels = picture.permute(1, 2, 0).contiguous().cpu().numpy()
    return made
