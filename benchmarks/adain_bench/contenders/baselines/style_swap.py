"""Chen & Schmidt: every patch of the photo's features is exchanged for the most similar one of the style's.

"Fast Patch-based Style Transfer of Arbitrary Style", 2016. Similarity is the normalised cross-correlation of 3x3
patches of relu3_1: a convolution whose filters are the style's patches, each divided by its norm. The photo's patches
are not divided, as in the authors' code (rtqichen/style-swap): it would not change which is best. The paper goes on
with a one-hot map of the best and a transposed convolution, divided by the number of patches at each position. Here the
best is kept while some of the patches at a time are compared, and those chosen are gathered and added where they
overlap by ``fold``: the same sum, without a map of as many channels as there are patches.

Two ways lead back to a picture: the paper's fast one, an inverse network, and the one that it approximates, optimising
the picture until its features are those swapped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, fold, pad, unfold

from adain_bench.contenders.baselines.common import Vgg, check_gradients, initialize, on_device, to_pixels
from adain_models.networks.base import channels_last
from adain_models.training.teacher import relative_distance
from adain_rt.contract import Pixels

__all__ = ["LAYER", "MIN_SIDE", "Patches", "StyleSwap", "inverse_network", "nearest", "patches", "swap"]

LAYER = "relu3_1"
"""Where patches are exchanged, and all that the VGG is to give."""

MIN_SIDE = 12
"""Pixels of a side: three positions of relu3_1."""

_STRIDE = 4
_SIDE = 3
_CORRELATIONS = 2**24
"""Held at a time, 64 MiB in float32."""

_RATE = 0.05  # Adam's, for pictures in 0..1, as in the authors' code
_CALM = 5  # the total variation's weight beside a relative distance, chosen by eye


@dataclass(frozen=True)
class Patches:
    """A style's patches, P of C channels.

    Attributes:
        plain: (9C, P), one a column.
        unit: (P, C, 3, 3), each of norm 1.

    """

    plain: Tensor
    unit: Tensor


def patches(features: Tensor) -> Patches:
    """Return all patches of features, (1, C, h, w)."""
    plain = unfold(features, _SIDE)[0]  # (9C, P)
    norms = torch.linalg.vector_norm(plain, dim=0, dtype=torch.float32).clamp(min=1e-8)
    unit = (plain / norms).to(plain.dtype).T.unflatten(1, (features.shape[1], _SIDE, _SIDE))
    return Patches(plain, unit.contiguous(memory_format=torch.channels_last))


def nearest(features: Tensor, style: Patches, correlations: int = _CORRELATIONS) -> Tensor:
    """Return which of a style's patches is most similar at each position, int64 (L,).

    Args:
        features: (1, C, h, w), of L = (h - 2)(w - 2) patches.
        style: of the same C.
        correlations: to hold at a time, at most, or L where that is more.

    """
    scaled = features / features.amax().clamp(min=1e-8)  # correlations that float16 can hold; the best stays the best
    count = max(1, correlations // ((features.shape[2] - 2) * (features.shape[3] - 2)))
    best, index = conv2d(scaled, style.unit[:count]).max(1)
    for start in range(count, len(style.unit), count):
        other, other_index = conv2d(scaled, style.unit[start : start + count]).max(1)
        better = other > best
        best = torch.where(better, other, best)
        index = torch.where(better, other_index + start, index)
    return index.flatten()


def swap(features: Tensor, style: Patches, correlations: int = _CORRELATIONS) -> Tensor:
    """Return features with each patch exchanged for the style's most similar, overlaps averaged, (1, C, h, w).

    Args:
        features: (1, C, h, w), h and w at least 3.
        style: of the same C.
        correlations: to hold at a time.

    """
    size = features.shape[2:]
    chosen = style.plain[:, nearest(features, style, correlations)][None]  # (1, 9C, L)
    count = fold(torch.ones_like(chosen[:, : _SIDE**2]), size, _SIDE)  # (1, 1, h, w)
    return fold(chosen, size, _SIDE) / count


def inverse_network(channels: int) -> nn.Sequential:
    """Return the inverse of VGG-19 up to relu3_1, (N, C, h, w) to RGB in 0..255, (N, 3, 4h, 4w); random weights.

    The mirror that the authors' code builds, by nearest neighbours where VGG pools. Their batch normalisation behind
    convolutions is left out: once trained it is folded into them.

    Args:
        channels: C, of relu3_1.

    """
    half, quarter = channels // 2, channels // 4
    network = nn.Sequential(
        *_convolution(channels, half), nn.Upsample(scale_factor=2),
        *_convolution(half, half), *_convolution(half, quarter), nn.Upsample(scale_factor=2),
        *_convolution(quarter, quarter), nn.Conv2d(quarter, 3, _SIDE, padding=1),
    )  # fmt: skip
    initialize(network)
    channels_last(network)
    return network


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, _SIDE, padding=1), nn.ReLU()


class StyleSwap:
    """Style swap on a device, with either way back to a picture.

    Args:
        vgg: gives ``LAYER``, and no other; moved to the device. With pooling by averages, optimised pictures are
            calmer; the inverse network of the paper belongs to pooling by maxima.
        device: where it runs.
        dtype: of the networks and patches.
        iterations: of Adam, beginning with the photo; 100 in the authors' code. Without, the inverse network, which
            Table 1 times: its weights are random, so the pictures mean nothing while the time is the method's.

    Raises:
        AdainError: pictures are to be optimised in a dtype in which gradients vanish.

    """

    name = "Chen & Schmidt"
    styles: Literal["unlimited"] = "unlimited"

    def __init__(self, vgg: Vgg, device: torch.device, dtype: torch.dtype, iterations: int | None = None) -> None:
        if iterations is not None:
            check_gradients(self.name, dtype)
        self._vgg = vgg.to(device, dtype)
        self._device, self._dtype = device, dtype
        self._iterations = iterations
        self._inverse = inverse_network(vgg.channels).to(device, dtype)

    @torch.no_grad()
    def encode_style(self, style: Pixels) -> Patches:
        """Return the style's patches, as they are and of norm 1."""
        return patches(self._features(on_device(style, self._device, self._dtype)))

    @torch.no_grad()
    def stylize(self, content: Pixels, style: Patches) -> Pixels:
        """Return a photo in a style, uint8 (H, W, 3) of any size from ``MIN_SIDE``.

        The photo is padded to multiples of 4, its edge repeated, and the picture cropped.
        """
        photo = on_device(content, self._device, self._dtype)
        photo = pad(photo, (0, -content.shape[1] % _STRIDE, 0, -content.shape[0] % _STRIDE), "replicate")
        target = swap(self._features(photo), style)
        made = self._inverse(target) if self._iterations is None else self._optimize(photo, target, self._iterations)
        return to_pixels(made, content)

    @torch.enable_grad()
    def _optimize(self, photo: Tensor, target: Tensor, iterations: int) -> Tensor:
        """Return a picture whose features come near to the target, RGB in 0..255."""
        picture = (photo.float() / 255).requires_grad_()
        adam = torch.optim.Adam([picture], lr=_RATE)
        for _ in range(iterations):
            features = self._features((picture * 255).to(self._dtype)).float()
            loss = relative_distance(features, target.float()).sum() + _CALM * _variation(picture)
            adam.zero_grad()
            torch.autograd.backward(loss)
            adam.step()
            with torch.no_grad():
                picture.clamp_(0, 1)
        return picture.detach() * 255

    def _features(self, pictures: Tensor) -> Tensor:
        features: Tensor = self._vgg(pictures)[LAYER]
        return features


def _variation(pictures: Tensor) -> Tensor:
    """Return the squared differences to the next pixel across and down, the mean of all."""
    across, down = pictures.diff(dim=3), pictures.diff(dim=2)
    return across.square().mean() + down.square().mean()
