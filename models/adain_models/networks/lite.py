"""``lite``: a small residual encoder and decoder, made for CPUs and trained as one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import Tensor, nn

from adain_models.networks.base import (
    Decoder,
    Modulation,
    Network,
    Rectified,
    conv,
    convolution,
    fold_input,
    fold_output,
)
from adain_models.networks.padding import PaddedConv

__all__ = ["Blur", "Lite", "Residual"]


class Lite(Network):
    """AdaIN on 128 channels at an eighth of the size; 1.8 million parameters, 25 GFLOP at 512x512."""

    architecture = "lite"
    channels = 128

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            OrderedDict(
                center=Shift(-0.5),
                conv1=conv(3, 16, kernel=5),
                relu1=nn.ReLU(),
                down1=conv(16, 32, stride=2),
                relu2=nn.ReLU(),
                down2=conv(32, 64, stride=2),
                relu3=nn.ReLU(),
                res1=Residual(64),
                down3=conv(64, 128, stride=2),
                relu4=nn.ReLU(),
                res2=Residual(128),
            )
        )
        self.decoder = Decoder(
            OrderedDict(
                res1=Residual(128),
                style1=Modulation(128, 128),
                res2=Residual(128),
                style2=Modulation(128, 128),
                res3=Residual(128),
                style3=Modulation(128, 128),
                double1=nn.Upsample(scale_factor=2, mode="nearest"),
                up1=enlarged_conv(128, 64),
                blur1=Blur(),
                relu1=nn.ReLU(),
                res4=Residual(64),
                style4=Modulation(128, 64, scale=2),
                double2=nn.Upsample(scale_factor=2, mode="nearest"),
                up2=enlarged_conv(64, 32),
                blur2=Blur(),
                relu2=nn.ReLU(),
                double3=nn.Upsample(scale_factor=2, mode="nearest"),
                up3=enlarged_conv(32, 16, margin=2),
                blur3=Blur(),
                relu3=nn.ReLU(),
                out=nn.Conv2d(16, 3, 5),
                uncenter=Shift(0.5),
            )
        )

    def for_bytes(self) -> Network:
        """Return a copy that reads and writes 0..255, its two shifts and the scaling folded away."""
        folded = deepcopy(self)
        encoder, decoder = folded.encoder, folded.decoder
        fold_input(convolution(encoder, "conv1"), torch.eye(3) / 255, torch.full((3,), -0.5))
        fold_output(convolution(decoder, "out"), 255, 127.5)
        encoder.center, decoder.uncenter = nn.Identity(), nn.Identity()
        return folded

    def rectified(self) -> Iterator[Rectified]:
        """Yield every convolution that a ReLU follows: behind its blur in the decoder, inside a residual block."""
        for name, filter_name, reader_name in _RECTIFIED:
            layer = convolution(self, name)
            before_relu = self.get_submodule(filter_name) if filter_name else layer
            yield Rectified(name, layer, before_relu, convolution(self, reader_name) if reader_name else None)


_RECTIFIED: list[tuple[str, str | None, str | None]] = [  # convolution, filter before the ReLU, only reader behind it
    ("encoder.conv1", None, "encoder.down1"),
    ("encoder.down1", None, "encoder.down2"),
    ("encoder.down2", None, None),  # a residual block adds what it reads to its result
    ("encoder.res1.a", None, "encoder.res1.b"),
    ("encoder.down3", None, None),
    ("encoder.res2.a", None, "encoder.res2.b"),
    ("decoder.res1.a", None, "decoder.res1.b"),
    ("decoder.res2.a", None, "decoder.res2.b"),
    ("decoder.res3.a", None, "decoder.res3.b"),
    ("decoder.up1", "decoder.blur1", None),
    ("decoder.res4.a", None, "decoder.res4.b"),
    ("decoder.up2", "decoder.blur2", "decoder.up3"),
    ("decoder.up3", "decoder.blur3", "decoder.out"),
]


def enlarged_conv(inputs: int, outputs: int, margin: int = 0) -> nn.Conv2d:
    """Return a 3x3 convolution of an enlarged picture, to be followed by ``Blur``.

    Beyond its edge the picture repeats its last pixel. The output is larger than the picture by one pixel on each side,
    which the blur takes away again, and by the margin, for a convolution behind it that does not pad.
    """
    return PaddedConv(inputs, outputs, 3, padding=2 + margin, padding_mode="replicate")


class Blur(nn.Module):
    """The binomial filter [1 2 1] / 4 across and down, two means of two neighbours each way.

    A picture that is doubled by repetition and then blurred is the picture doubled by bilinear interpolation
    (``align_corners=False``). The blur commutes with the convolution between, whose outputs are fewer than its inputs.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, C, H, W) to (N, C, H - 2, W - 2)."""
        if self.training:  # the same in sums of slices, whose backward is several times as fast as a pooling's
            for axis in (2, 2, 3, 3):
                x = x.narrow(axis, 0, x.shape[axis] - 1) + x.narrow(axis, 1, x.shape[axis] - 1)
            return x / 16
        for _ in range(2):
            x = nn.functional.avg_pool2d(x, 2, stride=1)
        return x


class Residual(nn.Module):
    """x + b(relu(a(x))), two 3x3 convolutions of equal width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a = conv(channels, channels)
        self.b = conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, C, H, W) to the same shape."""
        y: Tensor = self.b(torch.relu(self.a(x)))
        return x + y


class Shift(nn.Module):
    """x + a constant."""

    def __init__(self, constant: float) -> None:
        super().__init__()
        self.constant = constant

    def forward(self, x: Tensor) -> Tensor:
        """Map any tensor to the same shape."""
        return x + self.constant
