"""The graphs of the engine contract as PyTorch modules, written for the graph that they export to.

They compute what ``adain_models.adain`` defines, rearranged so that the feature map is read once for its statistics
and touched once for one scale and one shift per channel:

    y = (f - μc) · (1 + α (σs / σc - 1)) + μc + α (μs - μc)

The decoder also gets the code that y has: the shift is its mean, and σc times the scale its deviation.

Subtracting the mean first keeps float32 exact to its last digits where a mean is thousands of deviations.
"""

from __future__ import annotations

from typing import Any

import onnx_ir as ir
import torch
from onnxscript import opset18 as op
from torch import Tensor, nn

from adain_models.adain import EPSILON
from adain_models.networks.base import STRIDE, Network

__all__ = [
    "GRAPH_MODULES",
    "Encode",
    "Measure",
    "Stylize",
    "StylizeFixed",
    "StylizeRegions",
    "StylizeRegionsFixed",
]


class GraphModule(nn.Module):
    """A network that reads and writes uint8 pictures (N, H, W, 3)."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        folded = network.for_bytes()
        self.encoder, self.decoder = folded.encoder, folded.decoder

    def features(self, image: Tensor) -> Tensor:
        """Return the features (N, C, h, w) of uint8 pictures; the cast is the graph's first operator."""
        encoded: Tensor = self.encoder(image.float().permute(0, 3, 1, 2))
        return encoded

    def picture(self, features: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """Return uint8 pictures; the cast is the graph's last operator, of values rounded and within 0..255."""
        decoded: Tensor = self.decoder(features, mean, std)
        return decoded.permute(0, 2, 3, 1).round().clamp(0, 255).to(torch.uint8)


class Encode(GraphModule):
    """image -> mean, std."""

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return the code of each picture."""
        mean, _, std = measure(self.features(image))
        return mean.squeeze((2, 3)), std.squeeze((2, 3))


class Stylize(GraphModule):
    """image, style_mean, style_std, strength -> stylized."""

    def forward(self, image: Tensor, style_mean: Tensor, style_std: Tensor, strength: Tensor) -> Tensor:
        """Return the pictures in a style; the contents' statistics are their own."""
        mean, centered, std = measure(self.features(image))
        alpha = strength.reshape(-1, 1, 1, 1)
        style_mean, style_std = style_mean[:, :, None, None], style_std[:, :, None, None]
        scale, shift = change_of(mean, std, style_mean, style_std, alpha)
        return self.picture(centered * scale + shift, shift, std * scale)


class StylizeFixed(GraphModule):
    """image, style_mean, style_std, content_mean, content_std, strength -> stylized."""

    def forward(
        self,
        image: Tensor,
        style_mean: Tensor,
        style_std: Tensor,
        content_mean: Tensor,
        content_std: Tensor,
        strength: Tensor,
    ) -> Tensor:
        """Return the pictures in a style; the contents' statistics are given."""
        mean, std = content_mean[:, :, None, None], content_std[:, :, None, None]
        style_mean, style_std = style_mean[:, :, None, None], style_std[:, :, None, None]
        alpha = strength.reshape(-1, 1, 1, 1)
        centered = self.features(image) - mean
        scale, shift = change_of(mean, std, style_mean, style_std, alpha)
        return self.picture(centered * scale + shift, shift, std * scale)


class StylizeRegions(GraphModule):
    """image, style_mean, style_std, masks, strength -> stylized."""

    def forward(self, image: Tensor, style_mean: Tensor, style_std: Tensor, masks: Tensor, strength: Tensor) -> Tensor:
        """Return the pictures with a style in each region, as ``adain_models.adain.regional_adain``."""
        features = self.features(image)
        weights = region_weights(masks)
        total, mean, centered, m2 = measure_regions(features, weights)
        variance = m2 / (total - 1).clamp(min=1)
        std = (variance + EPSILON).sqrt()
        alpha = strength.reshape(-1, 1, 1, 1, 1)
        styles = style_mean[:, :, :, None, None], style_std[:, :, :, None, None]
        return self.picture(*restyle_regions(features, weights, centered, std, change_of(mean, std, *styles, alpha)))


class StylizeRegionsFixed(GraphModule):
    """image, style_mean, style_std, content_mean, content_std, masks, strength -> stylized."""

    def forward(
        self,
        image: Tensor,
        style_mean: Tensor,
        style_std: Tensor,
        content_mean: Tensor,
        content_std: Tensor,
        masks: Tensor,
        strength: Tensor,
    ) -> Tensor:
        """Return the pictures with a style in each region; the regions' statistics are given."""
        features = self.features(image)
        weights = region_weights(masks)
        mean, std = content_mean[:, :, :, None, None], content_std[:, :, :, None, None]
        centered = features.unsqueeze(1) - mean
        alpha = strength.reshape(-1, 1, 1, 1, 1)
        styles = style_mean[:, :, :, None, None], style_std[:, :, :, None, None]
        return self.picture(*restyle_regions(features, weights, centered, std, change_of(mean, std, *styles, alpha)))


class Measure(GraphModule):
    """image, masks -> count, mean, m2."""

    def forward(self, image: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return each region's number of positions, their mean, and the sum of squared differences from it."""
        total, mean, _, m2 = measure_regions(self.features(image), region_weights(masks))
        return total.squeeze((2, 3, 4)), mean.squeeze((3, 4)), m2.squeeze((3, 4))


GRAPH_MODULES: dict[str, type[GraphModule]] = {
    "encode": Encode,
    "stylize": Stylize,
    "stylize_fixed": StylizeFixed,
    "stylize_regions": StylizeRegions,
    "stylize_regions_fixed": StylizeRegionsFixed,
    "measure": Measure,
}


@torch.library.custom_op("adain_export::degrees_of_freedom", mutates_args=())
def degrees_of_freedom(features: Tensor) -> Tensor:
    """Return the divisor of the unbiased variance over the positions of features (N, C, H, W), a float32 scalar.

    An operator of its own, so that it exports as the four nodes of ``degrees_of_freedom_onnx``; products of symbolic
    sizes export as arithmetic on the picture's shape.
    """
    return torch.tensor(float(features.shape[2] * features.shape[3] - 1))


@degrees_of_freedom.register_fake
def _(features: Tensor) -> Tensor:
    del features
    return torch.empty(())


def degrees_of_freedom_onnx(features: Any) -> Any:
    """Return what ``degrees_of_freedom`` exports to, traced by the exporter.

    The 1 is subtracted from an integer: OpenVINO takes a cast and a float subtraction for a dequantisation.
    """
    positions: Any = op.ReduceProd(op.Shape(features, start=2), keepdims=0)
    return op.Cast(op.Sub(positions, op.Constant(value_int=1)), to=ir.DataType.FLOAT)


def measure(features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each channel's mean (N, C, 1, 1), the features less it, and the deviation (N, C, 1, 1)."""
    mean = features.mean((2, 3), keepdim=True)
    centered = features - mean
    variance = (centered * centered).sum((2, 3), keepdim=True) / degrees_of_freedom(features)
    return mean, centered, (variance + EPSILON).sqrt()


def region_weights(masks: Tensor) -> Tensor:
    """Return how much each region counts at each feature position, (N, R, 1, h, w), of masks (N, R, H, W)."""
    coverage = nn.functional.avg_pool2d(masks.float(), STRIDE)
    return (coverage / coverage.sum(1, keepdim=True).clamp(min=EPSILON)).unsqueeze(2)


def measure_regions(features: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the statistics of each region of features (N, C, h, w), whose weights are (N, R, 1, h, w).

    Returns:
        The sum of the weights (N, R, 1, 1, 1); the mean (N, R, C, 1, 1); the features less it (N, R, C, h, w); and the
        sum of its squares (N, R, C, 1, 1).

    """
    spread = features.unsqueeze(1)  # (N, 1, C, h, w)
    total = weights.sum((3, 4), keepdim=True)
    mean = (weights * spread).sum((3, 4), keepdim=True) / total.clamp(min=EPSILON)
    centered = spread - mean
    return total, mean, centered, (weights * centered * centered).sum((3, 4), keepdim=True)


def restyle_regions(
    features: Tensor, weights: Tensor, centered: Tensor, std: Tensor, change: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return features (N, C, h, w) with AdaIN in each region, and their code by place, as ``adain.regional_code``.

    Args:
        features: (N, C, h, w).
        weights: (N, R, 1, h, w).
        centered: the features less each region's mean, (N, R, C, h, w).
        std: each region's deviation, (N, R, C, 1, 1).
        change: each region's scale and shift, (N, R, C, 1, 1) each.

    """
    scale, shift = change
    restyled = features + (weights * (centered * scale + shift - features.unsqueeze(1))).sum(1)
    shares = (weights + EPSILON) / (weights + EPSILON).sum(1, keepdim=True)
    return restyled, (shares * shift).sum(1), (shares * (std * scale)).sum(1)


def change_of(mean: Tensor, std: Tensor, style_mean: Tensor, style_std: Tensor, alpha: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scale and the shift of AdaIN at strength ``alpha``, for features less their mean."""
    return 1 + alpha * (style_std / std - 1), mean + alpha * (style_mean - mean)
