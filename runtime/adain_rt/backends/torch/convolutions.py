"""A network's convolutions, cuDNN's and our own, as steps from one feature map to the next; and their weights."""

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

__all__ = ["Convolutions", "ModulatedStep", "Step", "has_phases", "is_known"]

Step = Callable[[Map], Map]

ModulatedStep = Callable[[Map, Tensor | None], Map]
"""A step whose output is modulated by a ``Map.modulation``, if there is one."""

_MOST_OUTPUTS = 128
"""Our kernel computes convolutions of up to this many output channels (measured layer by layer, H200, 512x512)."""

_FIRST_OUTPUTS = 64
"""Our kernel computes the first convolution if it has at least this many output channels (measured likewise)."""

_BLOCK = 16
"""Our kernel takes channels in blocks of this many."""


class Convolutions:
    """Makes the steps for one device and precision.

    Attributes:
        ops: the module of the steps between convolutions: ``kernels`` on a GPU with Triton, else ``plain``.

    Args:
        dtype: the maps' type, float16 or float32.
        device: PyTorch's name of the device.

    """

    def __init__(self, dtype: torch.dtype, device: str) -> None:
        self.dtype, self.device = dtype, device
        self.ops: ModuleType = plain
        self._direct: ModuleType | None = None  # our kernel, which takes halves only
        if device == "cuda" and find_spec("triton") is not None:
            from adain_rt.backends.torch import direct, kernels

            self.ops = kernels
            self._direct = direct if dtype == torch.float16 else None

    def settle(self, x: Map) -> Map:
        """Return the map with all steps done."""
        return x if x.is_done else Map(self.ops.between(x))

    def make_first(self, layer: nn.Conv2d, *, relu: bool) -> Callable[[Tensor], Map]:
        """Return the first convolution, which reads pictures uint8 (N, H, W, 3)."""
        centred = _centre(layer)
        if self._direct is not None and layer.out_channels % _BLOCK == 0 and layer.out_channels >= _FIRST_OUTPUTS:
            direct, weights = self._direct, self._convert_weights(centred, torch.float32)
            by = direct.Direct.of_padded(*weights, relu=relu)
            return lambda image: Map(direct.convolve(self._enter(image, centred), by))
        cudnn = self._make_cudnn(centred, relu=relu)
        return lambda image: cudnn(self._enter(image, centred))

    def make_last(self, layer: nn.Conv2d) -> Callable[[Map, Tensor], None]:
        """Return the last convolution, which writes pictures uint8 (N, H, W, 3)."""
        by = self._make_ours(_widen(layer, _BLOCK), relu=False)
        if by is not None and self._direct is not None:
            direct, ours = self._direct, by

            def write(x: Map, out: Tensor) -> None:
                x = self._settle_for_ours(x)
                direct.convolve_out(x.tensor, ours, out, doubled=x.resize > 0)

            return write
        convolve = self.make_step(_widen(layer, CHANNELS), relu=False)
        return lambda x, out: self.ops.leave(convolve(x), out)

    def make_step(self, layer: nn.Conv2d, *, relu: bool) -> Step:
        """Return a convolution, with the ReLU after it."""
        ours = self._make_ours(layer, relu=relu)
        if ours is not None:
            return lambda x: self._convolve_by_ours(x, ours)
        cudnn = self._make_cudnn(layer, relu=relu)
        return lambda x: cudnn(self.ops.between(x, int(layer.padding[0]), layer.padding_mode))

    def make_phases(self, layer: nn.Conv2d, *, relu: bool) -> Step:
        """Return a doubling with the convolution after it, computed at the low size with 4/9 of the multiplications."""
        cudnn = self._make_cudnn(_split_into_phases(layer), relu=relu)

        def step(x: Map) -> Map:
            made = cudnn(self.ops.between(x, 1, "replicate"))  # equal to the reflection of the doubled map
            return replace(made, phases=True, bias=None if made.bias is None else made.bias[: layer.out_channels])

        return step

    def make_residual(self, layer: Residual) -> ModulatedStep:
        """Return a residual block."""
        one, two = (self._make_ours(each, relu=relu) for each, relu in ((layer.a, True), (layer.b, False)))
        if one is not None and two is not None:

            def by_ours(x: Map, modulation: Tensor | None = None) -> Map:
                x = self.settle(x)
                return self._convolve_by_ours(self._convolve_by_ours(x, one), two, x.tensor, modulation)

            return by_ours
        first, second = self._make_cudnn(layer.a, relu=True), self._make_cudnn(layer.b, relu=False)

        def by_cudnn(x: Map, modulation: Tensor | None = None) -> Map:
            padded = self.ops.between(x, 1)
            skip = padded[:, :, 1:-1, 1:-1]  # the map inside the padding, without a copy
            return replace(second(self.ops.between(first(padded), 1)), skip=skip, modulation=modulation)

        return by_cudnn

    def _enter(self, image: Tensor, layer: nn.Conv2d) -> Tensor:
        entered: Tensor = self.ops.enter(image, int(layer.padding[0]), layer.padding_mode, self.dtype)
        return entered

    def _settle_for_ours(self, x: Map) -> Map:
        """Return the map with all steps done except a doubling, which our kernel does as it reads."""
        return x if x.resize >= 0 and replace(x, resize=0).is_done else self.settle(x)

    def _convolve_by_ours(
        self, x: Map, by: Direct, skip: Tensor | None = None, modulation: Tensor | None = None
    ) -> Map:
        assert self._direct is not None  # noqa: S101 - for the type checker
        x = self._settle_for_ours(x)
        return Map(self._direct.convolve(x.tensor, by, doubled=x.resize > 0, skip=skip, modulation=modulation))

    def _make_ours(self, layer: nn.Conv2d, *, relu: bool) -> Direct | None:
        """Return a convolution for our kernel, or ``None`` if cuDNN computes it."""
        in_blocks = layer.in_channels % _BLOCK == 0 and layer.out_channels % _BLOCK == 0
        if self._direct is None or not in_blocks or layer.out_channels > _MOST_OUTPUTS:
            return None
        how = layer.stride[0], int(layer.padding[0]), layer.padding_mode
        made: Direct = self._direct.Direct.of(*self._convert_weights(layer, torch.float32), *how, relu=relu)
        return made

    def _make_cudnn(self, layer: nn.Conv2d, *, relu: bool) -> Callable[[Tensor], Map]:
        """Return cuDNN's convolution of a padded map; without a ReLU, the bias is left to the next reader of the map.

        A bias by itself costs a pass over memory.
        """
        weight, bias = self._convert_weights(layer, self.dtype if relu else torch.float32)
        stride = list(layer.stride)
        if not relu:
            return lambda padded: Map(nn.functional.conv2d(padded, weight, None, stride), bias=bias)
        if self.device == "cuda":
            return lambda padded: Map(torch.cudnn_convolution_relu(padded, weight, bias, stride, [0, 0], [1, 1], 1))
        return lambda padded: Map(nn.functional.conv2d(padded, weight, bias, stride).relu_())

    def _convert_weights(self, layer: nn.Conv2d, bias_type: torch.dtype) -> tuple[Tensor, Tensor]:
        """Return a layer's weight, of the maps' type and channels last, and its bias.

        Raises:
            AdainError: a number is too large for float16.

        """
        weight, bias = layer.weight.detach(), bias_of(layer).detach()
        if self.dtype == torch.float16:
            if not max(weight.abs().max(), bias.abs().max()) <= LARGEST:
                raise AdainError("the network holds a number that is too large for float16", hint="use fp32")
            weight = torch.from_numpy(rounded(weight.numpy()))
        weight = weight.to(device=self.device, dtype=self.dtype).contiguous(memory_format=torch.channels_last)
        return weight, bias.to(device=self.device, dtype=bias_type)


def is_known(layer: nn.Module) -> bool:
    """Return whether a layer is a convolution that pads by the map's own values, and has no groups or dilation."""
    if not isinstance(layer, nn.Conv2d) or layer.groups != 1 or layer.dilation != (1, 1):
        return False
    square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    return square and (layer.padding_mode in {"reflect", "replicate"} or layer.padding == (0, 0))


def has_phases(layer: nn.Module) -> bool:
    """Return whether a layer after a doubling can be computed in phases."""
    if not isinstance(layer, nn.Conv2d) or not is_known(layer):
        return False
    return (layer.kernel_size, layer.stride, layer.padding, layer.padding_mode) == ((3, 3), (1, 1), (1, 1), "reflect")


@torch.no_grad()
def _centre(layer: nn.Conv2d) -> nn.Conv2d:
    """Return the convolution that gives the same result for a picture of ``CHANNELS`` channels less ``MIDDLE``."""
    centred = _make_like(layer, CHANNELS, layer.out_channels)
    centred.weight.zero_()[:, : layer.in_channels] = layer.weight
    bias_of(centred).copy_(bias_of(layer).double() + MIDDLE * layer.weight.double().sum((1, 2, 3)))
    return centred


@torch.no_grad()
def _widen(layer: nn.Conv2d, channels: int) -> nn.Conv2d:
    """Return the convolution with more output channels, which are zero."""
    wide = _make_like(layer, layer.in_channels, channels)
    wide.weight.zero_()[: layer.out_channels] = layer.weight
    bias_of(wide).zero_()[: layer.out_channels] = bias_of(layer)
    return wide


@torch.no_grad()
def _split_into_phases(layer: nn.Conv2d) -> nn.Conv2d:
    """Return the 2x2 convolution whose output is the four phases of a 3x3 convolution's output for a doubled map."""
    weight = layer.weight.double()
    four = nn.Conv2d(layer.in_channels, 4 * layer.out_channels, 2)
    four.weight.copy_(torch.cat([_merge_taps(_merge_taps(weight, a, 2), b, 3) for a in range(2) for b in range(2)]))
    bias_of(four).copy_(bias_of(layer).repeat(4))
    return four


def _merge_taps(weight: Tensor, phase: int, axis: int) -> Tensor:
    """Return three taps along an axis as two: the two taps that read the same pixel, doubled, are added."""
    one, two, three = weight.tensor_split(3, axis)
    return torch.cat([one + two, three] if phase else [one, two + three], axis)


def _make_like(layer: nn.Conv2d, inputs: int, outputs: int) -> nn.Conv2d:
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, padding_mode=layer.padding_mode)
