"""Random weights with which a network makes pictures out of pictures, for times and agreement without trained ones."""

from __future__ import annotations

import torch
from torch import nn

from adain_models.networks.base import Network, bias_of
from adain_rt.contract import Pixels

__all__ = ["randomize"]

_CENTER, _SPREAD = 0.2, 1.0  # of what a convolution gives: most of it passes a ReLU
_PICTURE_CENTER, _PICTURE_SPREAD = 0.5, 0.25  # of the last one's, RGB in 0..1


@torch.no_grad()
def randomize(network: Network, picture: Pixels, seed: int = 0) -> None:
    """Give a network random weights, scaled layer by layer so that neither activations nor pictures are flat.

    PyTorch's own initial weights fade out over nineteen layers, and others grow until all is black and white: then
    everything agrees with everything.

    Args:
        network: changed in place; its encoder and decoder are convolutions in a row, without residual sums.
        picture: uint8 (H, W, 3), on which the scales are measured.
        seed: of the weights.

    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]
    for layer in [*network.encoder, *network.decoder]:
        if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
            layer.weight.normal_(generator=generator)
            bias_of(layer).zero_()
            out = layer(x)
            mean, std = out.mean((0, 2, 3)), out.std((0, 2, 3)) + 1e-3
            center, spread = (_PICTURE_CENTER, _PICTURE_SPREAD) if layer is last else (_CENTER, _SPREAD)
            layer.weight.mul_((spread / std)[:, None, None, None])
            bias_of(layer).copy_(center - mean * spread / std)
        x = layer(x)
