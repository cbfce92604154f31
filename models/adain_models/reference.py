"""Whole pictures through a network in PyTorch, as the paper has it: what every other path is compared with.

A network in float64 (``network.double()``) gives the float64 reference. Pictures are uint8 (N, H, W, 3), RGB, H and W
multiples of 8 and at least 16. A code is a pair of tensors, mean and std, of the network's dtype.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adain_models import adain
from adain_models.networks.base import Network

__all__ = ["Code", "encode", "stylize", "stylize_regions"]

Code = tuple[Tensor, Tensor]


@torch.no_grad()
def encode(network: Network, pictures: Tensor) -> Code:
    """Return the codes of pictures, (N, C) each."""
    return adain.channel_statistics(_features(network, pictures))


@torch.no_grad()
def stylize(network: Network, pictures: Tensor, style: Code, strength: Tensor, content: Code | None = None) -> Tensor:
    """Return pictures in a style, uint8 (N, H, W, 3).

    Args:
        network: the encoder and the decoder.
        pictures: the contents.
        style: (N, C) each.
        strength: (N,), from 0 to 1.
        content: (N, C) each, to use in place of the pictures' own statistics.

    """
    features = _features(network, pictures)
    return _picture(network, adain.blend(features, adain.adain(features, *style, content), strength))


@torch.no_grad()
def stylize_regions(network: Network, pictures: Tensor, styles: Code, masks: Tensor, strength: Tensor) -> Tensor:
    """Return pictures with a style in each region, uint8 (N, H, W, 3).

    Args:
        network: the encoder and the decoder.
        pictures: the contents.
        styles: (N, R, C) each.
        masks: uint8 (N, R, H, W).
        strength: (N,), from 0 to 1.

    """
    features = _features(network, pictures)
    weights = adain.region_weights(masks.to(features), (features.shape[2], features.shape[3]))
    target = adain.regional_adain(features, *styles, weights)
    return _picture(network, adain.blend(features, target, strength))


def _features(network: Network, pictures: Tensor) -> Tensor:
    dtype = next(network.parameters()).dtype
    features: Tensor = network.encoder(pictures.permute(0, 3, 1, 2).to(dtype) / 255)
    return features


def _picture(network: Network, features: Tensor) -> Tensor:
    decoded: Tensor = network.decoder(features)
    return (decoded.permute(0, 2, 3, 1) * 255).round().clamp(0, 255).to(torch.uint8)
