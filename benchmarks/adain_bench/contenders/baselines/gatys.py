"""Gatys, Ecker & Bethge: the picture itself is optimised, for each photo and each style anew.

"Image Style Transfer Using Convolutional Neural Networks", CVPR 2016. What is minimised, by L-BFGS, is the total loss
(equation 7) of content (equation 1) and style (equation 5). Its weights are chosen so that each term is a relative
distance, |x - target|² / |target|²: so they mean the same for any VGG, normalised or not, and for pictures of any size.
The picture begins as the photo. The paper pools by averages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from adain_bench.contenders.baselines.common import Vgg, check_gradients, on_device, to_pixels
from adain_models.training.teacher import relative_distance
from adain_rt.contract import Pixels

__all__ = ["CONTENT_LAYER", "MIN_SIDE", "STYLE_LAYERS", "Gatys", "Optimized", "gram"]

CONTENT_LAYER = "relu4_2"
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""The paper's layers."""

MIN_SIDE = 16
"""Pixels that a position of relu5_1 stands for."""

_PAIRS = 10
"""Steps that L-BFGS remembers. With PyTorch's 100, an iteration would take longer and longer for the first hundred, and
the time of a few would say little about that of 500."""


@dataclass(frozen=True)
class Optimized:
    """A picture, uint8 (H, W, 3), and the loss before each iteration: there are as many as were made."""

    picture: Pixels
    losses: tuple[float, ...]


class Gatys:
    """Optimises pictures on a device.

    Args:
        vgg: gives the features of the layers below, and no others; moved to the device.
        iterations: of L-BFGS, each one evaluation of the loss and its gradient. The paper's figures are for 500.
        device: where it runs.
        dtype: of the VGG, float32 or bfloat16; the picture and the Gram matrices are float32.
        style_weight: of the mean of the style terms, where the content term's is 1; chosen by eye.
        content_layer: of the content term.
        style_layers: of the style terms.

    Raises:
        AdainError: the dtype is float16, in which the gradients of these losses vanish.

    """

    name = "Gatys et al."
    styles: Literal["unlimited"] = "unlimited"

    def __init__(
        self,
        vgg: Vgg,
        iterations: int,
        device: torch.device,
        dtype: torch.dtype,
        *,
        style_weight: float = 100,
        content_layer: str = CONTENT_LAYER,
        style_layers: Sequence[str] = STYLE_LAYERS,
    ) -> None:
        check_gradients(self.name, dtype)
        self.iterations = iterations
        self._vgg = vgg.to(device, dtype)
        self._device, self._dtype = device, dtype
        self._style_weight = style_weight
        self._content_layer, self._style_layers = content_layer, tuple(style_layers)

    @torch.no_grad()
    def encode_style(self, style: Pixels) -> dict[str, Tensor]:
        """Return the Gram matrix of each style layer, float32 (1, C, C)."""
        features = self._features(on_device(style, self._device, torch.float32))
        return {layer: gram(features[layer]) for layer in self._style_layers}

    def stylize(self, content: Pixels, style: Mapping[str, Tensor]) -> Pixels:
        """Return a photo in a style, uint8 (H, W, 3) of any size from ``MIN_SIDE``."""
        return self.optimize(content, style).picture

    def optimize(self, content: Pixels, style: Mapping[str, Tensor]) -> Optimized:
        """Return the picture and how the loss fell.

        L-BFGS takes its steps unsearched, so that an iteration is one evaluation. PyTorch's goes along the gradient as
        it is until it has met positive curvature: the change is in units, and the gradient scaled, so that the first
        step is one level of each channel of each pixel on average, whatever the size and the weights.
        """
        photo = on_device(content, self._device, torch.float32)
        with torch.no_grad():
            kept = self._features(photo)[self._content_layer].float()
        change = torch.zeros(photo.shape, device=self._device, requires_grad=True)
        lbfgs = torch.optim.LBFGS(
            [change], max_iter=self.iterations, history_size=_PAIRS, tolerance_grad=0, tolerance_change=0
        )
        losses: list[float] = []
        scale = torch.ones((), device=self._device)

        def evaluate() -> Tensor:
            lbfgs.zero_grad()
            loss = self._loss(photo + photo.numel() * change, kept, style)
            torch.autograd.backward(loss)
            assert change.grad is not None  # noqa: S101 - for the type checker
            if not losses:
                scale.copy_(1 / change.grad.abs().sum())
            change.grad.mul_(scale)
            losses.append(loss.item())
            return loss * scale

        lbfgs.step(evaluate)  # type: ignore[no-untyped-call]  # torch's has no types
        return Optimized(to_pixels(photo + photo.numel() * change.detach(), content), tuple(losses))

    def _loss(self, picture: Tensor, kept: Tensor, style: Mapping[str, Tensor]) -> Tensor:
        features = self._features(picture)
        distances = [relative_distance(gram(features[layer]), style[layer]) for layer in self._style_layers]
        content = relative_distance(features[self._content_layer].float(), kept)
        return (content + self._style_weight * torch.stack(distances).mean(0)).sum()

    def _features(self, pictures: Tensor) -> dict[str, Tensor]:
        features: dict[str, Tensor] = self._vgg(pictures.to(self._dtype))
        return features


def gram(features: Tensor) -> Tensor:
    """Return the Gram matrix (equation 3) over the number of positions, float32 (N, C, C), of (N, C, h, w)."""
    flat = features.float().flatten(2)  # (N, C, hw)
    return flat @ flat.mT / flat.shape[2]
