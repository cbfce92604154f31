"""Whole pictures through a network in PyTorch, as in the paper: the reference for every other path.

A network in float64 (``network.double()``) gives the float64 reference. Pictures are uint8 (N, H, W, 3), RGB, H and W
multiples of 8 and at least 16. A code is a pair of tensors, mean and std, of the network's dtype.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adain_models import adain
from adain_models.networks.base import Network

__all__ = ["Code", "decode", "encode", "features_of", "measure", "stylize", "stylize_regions"]

Code = tuple[Tensor, Tensor]


@torch.no_grad()
def encode(network: Network, pictures: Tensor) -> Code:
    """Return the codes of pictures, (N, C) each."""
    return adain.channel_statistics(features_of(network, pictures))


@torch.no_grad()
def measure(network: Network, pictures: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the statistics of regions are made of, by ``adain.measure_regions``; masks are uint8 (N, R, H, W)."""
    features = features_of(network, pictures)
    return adain.measure_regions(features, adain.region_weights(masks.to(features), features.shape[2:]))


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
    features = features_of(network, pictures)
    content = adain.channel_statistics(features) if content is None else content
    target = adain.blend(features, adain.adain(features, *style, content), strength)
    code = (adain.blend_codes(*pair, strength)[..., None, None] for pair in zip(content, style, strict=True))
    return decode(network, target, *code)


@torch.no_grad()
def stylize_regions(
    network: Network, pictures: Tensor, styles: Code, masks: Tensor, strength: Tensor, content: Code | None = None
) -> Tensor:
    """Return pictures with a style in each region, uint8 (N, H, W, 3).

    Args:
        network: the encoder and the decoder.
        pictures: the contents.
        styles: (N, R, C) each.
        masks: uint8 (N, R, H, W).
        strength: (N,), from 0 to 1.
        content: (N, R, C) each, to use in place of the regions' own statistics.

    """
    features = features_of(network, pictures)
    weights = adain.region_weights(masks.to(features), features.shape[2:])
    content = adain.region_statistics(features, weights) if content is None else content
    target = adain.regional_adain(features, *styles, weights, content)
    code = adain.regional_code(content, styles, weights, strength)
    return decode(network, adain.blend(features, target, strength), *code)


@torch.no_grad()
def features_of(network: Network, pictures: Tensor) -> Tensor:
    """Return the encoder's features of pictures, (N, C, H/8, W/8)."""
    dtype = next(network.parameters()).dtype
    features: Tensor = network.encoder(pictures.permute(0, 3, 1, 2).to(dtype) / 255)
    return features


@torch.no_grad()
def decode(network: Network, features: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Return the pictures that the decoder makes of features with their code, uint8 (N, H, W, 3).

    The shapes are those of ``Decoder.forward``.
    """
    decoded: Tensor = network.decoder(features, mean, std)
    return (decoded.permute(0, 2, 3, 1) * 255).round().clamp(0, 255).to(torch.uint8)
