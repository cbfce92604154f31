"""Ulyanov et al. and Dumoulin et al.: a network that was trained for its styles makes the picture in one go.

Ulyanov, Vedaldi & Lempitsky, "Improved Texture Networks", CVPR 2017; Dumoulin, Shlens & Kudlur, "A Learned
Representation for Artistic Style", ICLR 2017.

Both are the residual network of Johnson, Alahi & Fei-Fei (ECCV 2016): two strided convolutions, five residual blocks at
a quarter of the size, and back. They differ in more than the normalisation:

- Ulyanov et al. put instance normalisation in place of batch normalisation. Their paper tries it in two generators and
  their code has several; this is their residual one. It widens by transposed convolutions, repeats edges where it
  pads at full size and in residual blocks, and ends with a 3x3 convolution.
- Dumoulin et al. have one scale and one shift of each channel for each style. Their network widens by nearest
  neighbours and convolution, at four times the cost, pads by reflection everywhere, and ends with a 9x9 convolution,
  normalised too, and a sigmoid.

The weights are random: the pictures mean nothing, while the time is the methods'. There is no encoding of a style.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from adain_bench.contenders.baselines.common import initialize, on_device, to_pixels
from adain_models.errors import AdainError
from adain_models.networks.base import channels_last, conv
from adain_rt.contract import Pixels

__all__ = ["MIN_SIDE", "ConditionalInstanceNorm", "FeedForward", "Generator", "dumoulin", "ulyanov"]

MIN_SIDE = 8
"""Pixels of a side: two positions at a quarter of the size, so that there is one to reflect and a deviation."""

_RESIDUALS = 5


class ConditionalInstanceNorm(nn.Module):
    """Instance normalisation with a scale and a shift of each channel for each style.

    With one style it is instance normalisation with an affine map.

    Args:
        channels: C.
        styles: S; ``scale`` and ``shift`` are (S, C).

    """

    def __init__(self, channels: int, styles: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(styles, channels))
        self.shift = nn.Parameter(torch.zeros(styles, channels))

    def forward(self, features: Tensor, style: int) -> Tensor:
        """Return features (N, C, H, W) as one of the styles has them."""
        return nn.functional.instance_norm(features, weight=self.scale[style], bias=self.shift[style])


class _Layer(nn.Module):
    """A convolution, its normalisation if it has one, and what follows."""

    def __init__(self, convolution: nn.Module, norm: ConditionalInstanceNorm | None, then: nn.Module) -> None:
        super().__init__()
        self.convolution, self.norm, self.then = convolution, norm, then

    def forward(self, x: Tensor, style: int) -> Tensor:
        x = self.convolution(x)
        if self.norm is not None:
            x = self.norm(x, style)
        made: Tensor = self.then(x)
        return made


class _Residual(nn.Module):
    """Two layers, added to what went in."""

    def __init__(self, first: _Layer, second: _Layer) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor, style: int) -> Tensor:
        made: Tensor = x + self.second(self.first(x, style), style)
        return made


class Generator(nn.Module):
    """A network that makes pictures of photos in any of its styles; random weights.

    Args:
        styles: how many.
        layers: in order, each called with what came before and the style's number.

    """

    def __init__(self, styles: int, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.styles = styles
        self.layers = nn.ModuleList(layers)
        initialize(self)
        _set_styles_apart(self)
        self.requires_grad_(requires_grad=False)
        channels_last(self)

    def forward(self, photos: Tensor, style: int) -> Tensor:
        """Return pictures, RGB around 0..1, of such photos, (N, 3, H, W), up to multiples of 4 of H and W."""
        x = photos
        for layer in self.layers:
            x = layer(x, style)
        return x


class FeedForward:
    """A generator on a device.

    Args:
        name: as the table has it.
        generator: moved to the device.
        device: where it runs.
        dtype: of everything.

    """

    def __init__(self, name: str, generator: Generator, device: torch.device, dtype: torch.dtype) -> None:
        self.name = name
        self.styles = generator.styles
        self._generator = generator.to(device, dtype)
        self._device, self._dtype = device, dtype

    @torch.inference_mode()
    def stylize(self, content: Pixels, style: int) -> Pixels:
        """Return a photo in a style, uint8 (H, W, 3) of any size from ``MIN_SIDE``.

        Args:
            content: uint8 (H, W, 3).
            style: its number, from 0.

        Raises:
            AdainError: there is no such style.

        """
        if style not in range(self.styles):
            raise AdainError(f"{self.name}: style {style} is not among 0 to {self.styles - 1}")
        made = self._generator(on_device(content, self._device, self._dtype) / 255, style)
        return to_pixels(made * 255, content)


def ulyanov(device: torch.device, dtype: torch.dtype) -> FeedForward:
    """Return the network of one style."""

    def layer(convolution: nn.Conv2d | nn.ConvTranspose2d) -> _Layer:
        return _Layer(convolution, ConditionalInstanceNorm(convolution.out_channels, 1), nn.ReLU())

    def residual() -> _Residual:
        first, second = (nn.Conv2d(128, 128, 3, padding=1, padding_mode="replicate") for _ in range(2))
        return _Residual(layer(first), _Layer(second, ConditionalInstanceNorm(128, 1), nn.Identity()))

    layers = (
        layer(nn.Conv2d(3, 32, 9, padding=4, padding_mode="replicate")),
        layer(nn.Conv2d(32, 64, 3, stride=2, padding=1)),
        layer(nn.Conv2d(64, 128, 3, stride=2, padding=1)),
        *(residual() for _ in range(_RESIDUALS)),
        layer(nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1)),
        layer(nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)),
        _Layer(nn.Conv2d(32, 3, 3, padding=1, padding_mode="replicate"), None, nn.Identity()),
    )
    return FeedForward("Ulyanov et al.", Generator(1, layers), device, dtype)


def dumoulin(device: torch.device, dtype: torch.dtype, styles: int = 32) -> FeedForward:
    """Return the network of some styles, 32 in the paper."""

    def layer(convolution: nn.Conv2d, then: nn.Module, double: bool = False) -> _Layer:
        norm = ConditionalInstanceNorm(convolution.out_channels, styles)
        return _Layer(nn.Sequential(nn.Upsample(scale_factor=2), convolution) if double else convolution, norm, then)

    layers = (
        layer(conv(3, 32, 9), nn.ReLU()),
        layer(conv(32, 64, stride=2), nn.ReLU()),
        layer(conv(64, 128, stride=2), nn.ReLU()),
        *(_Residual(layer(conv(128, 128), nn.ReLU()), layer(conv(128, 128), nn.Identity())) for _ in range(_RESIDUALS)),
        layer(conv(128, 64), nn.ReLU(), double=True),
        layer(conv(64, 32), nn.ReLU(), double=True),
        layer(conv(32, 3, 9), nn.Sigmoid()),
    )
    return FeedForward("Dumoulin et al.", Generator(styles, layers), device, dtype)


@torch.no_grad()
def _set_styles_apart(network: nn.Module, seed: int = 0) -> None:
    """Give every style scales around 1 and shifts around 0 of its own."""
    generator = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, ConditionalInstanceNorm):
            layer.scale.uniform_(0.5, 1.5, generator=generator)
            layer.shift.uniform_(-0.5, 0.5, generator=generator)
