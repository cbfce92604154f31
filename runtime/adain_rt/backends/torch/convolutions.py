"""A network's convolutions as steps from a feature map to the next, cuDNN's and our own, and their weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from adain_models.errors import AdainError
from adain_models.half import LARGEST, rounded
from adain_models.networks.base import bias_of
from adain_models.networks.lite import Residual
from adain_rt.backends.torch import plain
from adain_rt.backends.torch.maps import CHANNELS, MIDDLE, Map

if TYPE_CHECKING:
    from adain_rt.backends.torch.direct import Direct

__all__ = ["Convolutions", "Step", "has_phases", "is_known"]

Step = Callable[[Map], Map]

_MOST_OUTPUTS, _FIRST_OUTPUTS = 128, 64
"""A convolution of up to so many output channels is our kernel's, and the first one from so many on.

As measured layer by layer on an H200, at 512x512.
"""

_BLOCK = 16
"""Our kernel takes channels by so many."""


class Convolutions:
    """Makes the steps, for one device and precision.

    Attributes:
        ops: what is done between convolutions: ``kernels`` on a GPU, where Triton is, else ``plain``.

    Args:
        dtype: of the maps, float16 or float32.
        device: of PyTorch.

    """

    def __init__(self, dtype: torch.dtype, device: str) -> None:
        self.dtype, self.device = dtype, device
        self.ops: ModuleType = plain
        self._direct: ModuleType | None = None  # which is of halves alone
        if device == "cuda" and find_spec("triton") is not None:
            from adain_rt.backends.torch import direct, kernels

            self.ops = kernels
            self._direct = direct if dtype == torch.float16 else None

    def settled(self, x: Map) -> Map:
        """Return a map of which nothing is left to do."""
        return x if x.is_done else Map(self.ops.between(x))

    def first(self, layer: nn.Conv2d, *, relu: bool) -> Callable[[Tensor], Map]:
        """Return the first convolution, of pictures uint8 (N, H, W, 3)."""
        centred = _centred(layer)
        if self._direct is not None and layer.out_channels % _BLOCK == 0 and layer.out_channels >= _FIRST_OUTPUTS:
            direct, by = self._direct, self._direct.Direct.of_padded(*self._weights(centred, torch.float32), relu=relu)
            return lambda image: Map(direct.convolve(self._entered(image, centred), by))
        cudnn = self._cudnn(centred, relu=relu)
        return lambda image: cudnn(self._entered(image, centred))

    def last(self, layer: nn.Conv2d) -> Callable[[Map, Tensor], None]:
        """Return the last convolution, which writes pictures uint8 (N, H, W, 3)."""
        by = self._ours(_of_channels(layer, _BLOCK), relu=False)
        if by is not None and self._direct is not None:
            direct, ours = self._direct, by

            def write(x: Map, out: Tensor) -> None:
                x = self._readable(x)
                direct.convolve_out(x.tensor, ours, out, doubled=x.resize > 0)

            return write
        convolved = self.step(_of_channels(layer, CHANNELS), relu=False)
        return lambda x, out: self.ops.leave(convolved(x), out)

    def step(self, layer: nn.Conv2d, *, relu: bool) -> Step:
        """Return a convolution, with the ReLU behind it."""
        ours = self._ours(layer, relu=relu)
        if ours is not None:
            return lambda x: self._by_ours(x, ours)
        cudnn = self._cudnn(layer, relu=relu)
        return lambda x: cudnn(self.ops.between(x, int(layer.padding[0]), layer.padding_mode))

    def phases(self, layer: nn.Conv2d, *, relu: bool) -> Step:
        """Return a doubling and the convolution behind it, done at the low size in 4/9 of the multiplications."""
        cudnn = self._cudnn(_phases(layer), relu=relu)

        def step(x: Map) -> Map:
            made = cudnn(self.ops.between(x, 1, "replicate"))  # what a doubled map's reflection is
            return replace(made, phases=True, bias=None if made.bias is None else made.bias[: layer.out_channels])

        return step

    def residual(self, layer: Residual) -> Step:
        """Return a residual block."""
        one, two = (self._ours(each, relu=relu) for each, relu in ((layer.a, True), (layer.b, False)))
        if one is not None and two is not None:

            def by_ours(x: Map) -> Map:
                x = self.settled(x)
                return self._by_ours(self._by_ours(x, one), two, skip=x.tensor)

            return by_ours
        first, second = self._cudnn(layer.a, relu=True), self._cudnn(layer.b, relu=False)

        def by_cudnn(x: Map) -> Map:
            padded = self.ops.between(x, 1)
            skip = padded[:, :, 1:-1, 1:-1]  # what was padded, where it lies
            return replace(second(self.ops.between(first(padded), 1)), skip=skip)

        return by_cudnn

    def _entered(self, image: Tensor, layer: nn.Conv2d) -> Tensor:
        entered: Tensor = self.ops.enter(image, int(layer.padding[0]), layer.padding_mode, self.dtype)
        return entered

    def _readable(self, x: Map) -> Map:
        """Return a map of which nothing but a doubling is left to do, which our kernel does as it reads."""
        return x if x.resize >= 0 and replace(x, resize=0).is_done else self.settled(x)

    def _by_ours(self, x: Map, by: Direct, skip: Tensor | None = None) -> Map:
        assert self._direct is not None  # noqa: S101 - for the type checker
        x = self._readable(x)
        return Map(self._direct.convolve(x.tensor, by, doubled=x.resize > 0, skip=skip))

    def _ours(self, layer: nn.Conv2d, *, relu: bool) -> Direct | None:
        """Return a convolution for our kernel, or ``None`` where cuDNN is to do it."""
        in_blocks = layer.in_channels % _BLOCK == 0 and layer.out_channels % _BLOCK == 0
        if self._direct is None or not in_blocks or layer.out_channels > _MOST_OUTPUTS:
            return None
        how = layer.stride[0], int(layer.padding[0]), layer.padding_mode
        made: Direct = self._direct.Direct.of(*self._weights(layer, torch.float32), *how, relu=relu)
        return made

    def _cudnn(self, layer: nn.Conv2d, *, relu: bool) -> Callable[[Tensor], Map]:
        """Return a convolution of what is padded; without a ReLU its bias is left to whom reads the map next.

        By itself a bias is a pass over memory.
        """
        weight, bias = self._weights(layer, self.dtype if relu else torch.float32)
        stride = list(layer.stride)
        if not relu:
            return lambda padded: Map(nn.functional.conv2d(padded, weight, None, stride), bias=bias)
        if self.device == "cuda":
            return lambda padded: Map(torch.cudnn_convolution_relu(padded, weight, bias, stride, [0, 0], [1, 1], 1))
        return lambda padded: Map(nn.functional.conv2d(padded, weight, bias, stride).relu_())

    def _weights(self, layer: nn.Conv2d, bias_type: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return a layer's weight, of the maps' type and channels last, and its bias.

        Raises:
            AdainError: one is too large for float16.

        """
        weight, bias = layer.weight.detach(), bias_of(layer).detach()
        if self.dtype == torch.float16:
            if not max(weight.abs().max(), bias.abs().max()) <= LARGEST:
                raise AdainError("the network holds a number that is too large for float16: use fp32")
            weight = torch.from_numpy(rounded(weight.numpy()))
        weight = weight.to(device=self.device, dtype=self.dtype).contiguous(memory_format=torch.channels_last)
        return weight, bias.to(device=self.device, dtype=bias_type)


def is_known(layer: nn.Module) -> bool:
    """Whether a layer is a convolution that pads by what is in the map, and of none of the rarer kinds."""
    if not isinstance(layer, nn.Conv2d) or layer.groups != 1 or layer.dilation != (1, 1):
        return False
    square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    return square and (layer.padding_mode in {"reflect", "replicate"} or layer.padding == (0, 0))


def has_phases(layer: nn.Module) -> bool:
    """Whether a layer behind a doubling can be done in phases."""
    if not isinstance(layer, nn.Conv2d) or not is_known(layer):
        return False
    return (layer.kernel_size, layer.stride, layer.padding, layer.padding_mode) == ((3, 3), (1, 1), (1, 1), "reflect")


@torch.no_grad()
def _centred(layer: nn.Conv2d) -> nn.Conv2d:
    """Return the convolution that reads ``CHANNELS`` channels of a picture less ``MIDDLE``, and gives the same."""
    centred = _like(layer, CHANNELS, layer.out_channels)
    centred.weight.zero_()[:, : layer.in_channels] = layer.weight
    bias_of(centred).copy_(bias_of(layer).double() + MIDDLE * layer.weight.double().sum((1, 2, 3)))
    return centred


@torch.no_grad()
def _of_channels(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    """Return the convolution that gives so many channels, the first of them those that it gave, the others zeros."""
    wide = _like(layer, layer.in_channels, channels)
    wide.weight.zero_()[: layer.out_channels] = layer.weight
    bias_of(wide).zero_()[: layer.out_channels] = bias_of(layer)
    return wide


@torch.no_grad()
def _phases(layer: nn.Conv2d) -> nn.Conv2d:
    """Return the 2x2 convolution that gives the four phases of what a 3x3 one gives of a doubled map."""
    weight = layer.weight.double()
    four = nn.Conv2d(layer.in_channels, 4 * layer.out_channels, 2)
    four.weight.copy_(torch.cat([_met(_met(weight, a, 2), b, 3) for a in range(2) for b in range(2)]))
    bias_of(four).copy_(bias_of(layer).repeat(4))
    return four


def _met(weight: Tensor, phase: int, axis: int) -> Tensor:
    """Return three taps along an axis as two: those that meet one pixel, doubled, are added."""
    one, two, three = weight.tensor_split(3, axis)
    return torch.cat([one + two, three] if phase else [one, two + three], axis)


def _like(layer: nn.Conv2d, inputs: int, outputs: int) -> nn.Conv2d:
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, padding_mode=layer.padding_mode)
