"""A picture optimised pixel by pixel for the losses that the networks are trained on: what is attainable.

Gatys, Ecker & Bethge, "Image Style Transfer Using Convolutional Neural Networks", CVPR 2016, with our losses and Adam.
"""

from __future__ import annotations

import torch
from torch import Tensor

from adain_models.training.losses import Joint
from adain_rt.contract import Pixels

__all__ = ["optimize"]

_RATE = 0.02


def optimize(recipe: Joint, photo: Pixels, style: Pixels, steps: int = 100) -> Pixels:
    """Return a photo in a style, uint8 (H, W, 3), beginning with the photo itself.

    Args:
        recipe: has the teacher and the weights of the losses.
        photo: uint8 (H, W, 3).
        style: uint8 of any size (h, w, 3).
        steps: of Adam.

    """
    original = _tensor(photo) / 255
    target, content = recipe.target(_tensor(style)), recipe.features(original)
    picture = original.clone().requires_grad_()
    adam = torch.optim.Adam([picture], lr=_RATE)
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16):
            terms = recipe.judge(picture, content, target)
        loss = torch.stack([recipe.weights[name] * term for name, term in terms.items()]).sum()
        adam.zero_grad()
        torch.autograd.backward(loss)
        adam.step()
        with torch.no_grad():
            picture.clamp_(0, 1)
    made: Pixels = (picture.detach()[0].permute(1, 2, 0) * 255).round().to(torch.uint8).numpy()
    return made


def _tensor(pixels: Pixels) -> Tensor:
    return torch.tensor(pixels).permute(2, 0, 1)[None]
