"""A network's four graphs in PyTorch, on feature maps whose bias, AdaIN, sums, ReLU, resizing and padding are one step.

Convolutions are PyTorch's, those with a ReLU behind them cuDNN's that do both. Layers of other kinds than are known
here run as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from adain_models import adain
from adain_models.errors import AdainError
from adain_models.half import LARGEST, rounded
from adain_models.lite import Blur, Residual
from adain_models.networks import Network, bias_of
from adain_rt.pytorch import plain
from adain_rt.pytorch.maps import CHANNELS, MIDDLE, Map, Restyle

__all__ = ["FusedNetwork"]

_Step = Callable[[Map], Map]

_PHASES = True
"""Whether a convolution behind a doubling is done at the low size."""

_DIRECT = 0
"""Convolutions of up to so many output channels are our kernel's, others cuDNN's."""


@dataclass(frozen=True)
class _Convolution:
    """A convolution of what is padded already, and the padding.

    Attributes:
        weight: (O, I, k, k), channels last.
        bias: (O,), of the weight's type with a ReLU, else float32.
        stride: of both axes.
        padding: on each side.
        mode: of the padding.
        relu: whether a ReLU is behind it.

    """

    weight: Tensor
    bias: Tensor
    stride: int
    padding: int
    mode: str
    relu: bool

    def of_padded(self, padded: Tensor) -> Map:
        """Return the map; without a ReLU the bias is left to whom reads it, being a pass over memory of its own."""
        stride = [self.stride] * 2
        if not self.relu:
            return Map(nn.functional.conv2d(padded, self.weight, None, stride), bias=self.bias)
        if padded.is_cuda:
            return Map(torch.cudnn_convolution_relu(padded, self.weight, self.bias, stride, [0, 0], [1, 1], 1))
        return Map(nn.functional.conv2d(padded, self.weight, self.bias, stride).relu_())


class FusedNetwork:
    """A network for one device and precision; safe to call from several threads.

    Args:
        network: float32, on the processor; its weights are copied.
        dtype: of the maps, float16 or float32; statistics are float32.
        device: of PyTorch.

    Raises:
        AdainError: a weight is too large for float16.

    """

    def __init__(self, network: Network, dtype: torch.dtype, device: str) -> None:
        folded = network.for_bytes()
        self.channels = network.channels
        self._dtype, self._device = dtype, device
        self._ops = _operators(device)
        self._kernels = _direct_kernels(device, dtype)
        first, *encoder = _without_identities(folded.encoder)
        *decoder, last = _without_identities(folded.decoder)
        relu = bool(encoder) and isinstance(encoder[0], nn.ReLU)
        self._first = self._convolution(_centred(first), relu=relu)
        self._first_direct = self._direct_of_padded(self._first)
        self._encoder = self._steps(encoder[relu:])
        self._decoder = self._steps(decoder)
        self._last_direct = self._direct(_of(last, 16), relu=False)
        self._last = self._steps([_of(last, CHANNELS)])[0]

    def run(self, graph: str, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Compute one of the contract's graphs.

        Args:
            graph: its name.
            inputs: by name, contiguous, on the device.
            outputs: by name, to be written, likewise.

        """
        features = self._features(inputs["image"])
        if graph == "encode":
            for name, values in zip(("mean", "std"), self._ops.measure(features), strict=True):
                outputs[name].copy_(values)
            return
        style = inputs["style_mean"], inputs["style_std"]
        if graph == "stylize_regions":
            stylized = Map(self._by_regions(features, *style, inputs["masks"], inputs["strength"]))
        else:
            given = graph == "stylize_fixed"
            content = (inputs["content_mean"], inputs["content_std"]) if given else self._ops.measure(features)
            mean, std = content
            stylized = Map(features, restyle=Restyle(mean, std, *style, inputs["strength"]))
        for step in self._decoder:
            stylized = step(stylized)
        if self._last_direct is not None:
            x = self._readable(stylized)
            self._kernels.convolve_out(x.tensor, self._last_direct, outputs["stylized"], doubled=x.resize > 0)
            return
        stylized = self._last(stylized)
        if not replace(stylized, bias=None).is_done:
            stylized = self._settled(stylized)
        self._ops.leave(stylized, outputs["stylized"])

    def _features(self, image: Tensor) -> Tensor:
        entered = self._ops.enter(image, self._first.padding, self._first.mode, self._dtype)
        if self._first_direct is not None:
            x = Map(self._kernels.convolve(entered, self._first_direct))
        else:
            x = self._first.of_padded(entered)
        for step in self._encoder:
            x = step(x)
        return self._settled(x).tensor

    def _by_regions(self, features: Tensor, mean: Tensor, std: Tensor, masks: Tensor, strength: Tensor) -> Tensor:
        """Return features stylised by regions, in the reference's own words."""
        exact = features.float()
        weights = adain.region_weights(masks.float(), (exact.shape[2], exact.shape[3]))
        stylized = adain.blend(exact, adain.regional_adain(exact, mean, std, weights), strength)
        if self._dtype == torch.float16:
            stylized = stylized.clamp(-LARGEST, LARGEST)
        return stylized.to(self._dtype, memory_format=torch.channels_last)

    def _settled(self, x: Map) -> Map:
        return x if x.is_done else Map(self._ops.between(x))

    def _steps(self, layers: Iterable[nn.Module]) -> list[_Step]:
        """Return what is done layer by layer, a ReLU together with the convolution before it."""
        steps: list[_Step] = []
        rest = list(layers)
        while rest:
            layer = rest.pop(0)
            if isinstance(layer, nn.Conv2d) and _is_known(layer):
                relu = bool(rest) and isinstance(rest[0], nn.ReLU)
                steps.append(self._convolved(layer, relu=relu))
                del rest[: int(relu)]
            elif isinstance(layer, Residual):
                steps.append(self._residual(layer))
            elif isinstance(layer, Blur):
                steps.append(self._blurred)
            elif isinstance(layer, nn.ReLU):
                steps.append(self._rectified)
            elif isinstance(layer, nn.Upsample) and layer.mode == "nearest" and layer.scale_factor == 2:  # noqa: PLR2004
                if rest and _has_phases(rest[0]) and _PHASES:
                    relu = len(rest) > 1 and isinstance(rest[1], nn.ReLU)
                    steps.append(self._by_phases(rest[0], relu=relu))
                    del rest[: 1 + relu]
                else:
                    steps.append(self._doubled)
            elif isinstance(layer, nn.MaxPool2d) and layer.kernel_size == 2:  # noqa: PLR2004 - sides are even here
                steps.append(self._halved)
            else:
                steps.append(self._as_it_is(layer))
        return steps

    def _readable(self, x: Map) -> Map:
        """Return a map of which nothing but a doubling is left to do."""
        return x if replace(x, resize=0).is_done and x.resize >= 0 else self._settled(x)

    def _convolved(self, layer: nn.Conv2d, *, relu: bool) -> _Step:
        direct = self._direct(layer, relu=relu)
        if direct is not None:

            def step(x: Map) -> Map:
                x = self._readable(x)
                return Map(self._kernels.convolve(x.tensor, direct, doubled=x.resize > 0))

            return step
        convolution = self._convolution(layer, relu=relu)
        return lambda x: convolution.of_padded(self._ops.between(x, convolution.padding, convolution.mode))

    def _by_phases(self, layer: nn.Module, *, relu: bool) -> _Step:
        """Return a doubling and the convolution behind it, done at the low size in 4/9 of the multiplications."""
        assert isinstance(layer, nn.Conv2d)  # noqa: S101 - for the type checker
        four = self._convolution(_phases(layer), relu=relu)

        def step(x: Map) -> Map:
            made = four.of_padded(self._ops.between(x, 1, "replicate"))  # what a doubled picture's reflection is
            return replace(made, phases=True, bias=None if made.bias is None else made.bias[: layer.out_channels])

        return step

    def _residual(self, layer: Residual) -> _Step:
        first, second = self._direct(layer.a, relu=True), self._direct(layer.b, relu=False)
        if first is not None and second is not None:

            def step(x: Map) -> Map:
                skip = self._settled(x).tensor
                return Map(self._kernels.convolve(self._kernels.convolve(skip, first), second, skip=skip))

            return step
        one, two = self._convolution(layer.a, relu=True), self._convolution(layer.b, relu=False)

        def padded_step(x: Map) -> Map:
            padded = self._ops.between(x, one.padding, one.mode)
            skip = padded[:, :, 1:-1, 1:-1]  # what was padded, where it lies
            return replace(two.of_padded(self._ops.between(one.of_padded(padded), two.padding, two.mode)), skip=skip)

        return padded_step

    def _blurred(self, x: Map) -> Map:
        return replace(x if replace(x, bias=None).is_done else self._settled(x), blur=True)

    def _rectified(self, x: Map) -> Map:
        return replace(self._settled(x) if x.resize else x, relu=True)

    def _doubled(self, x: Map) -> Map:
        return replace(self._settled(x) if x.resize else x, resize=1)

    def _halved(self, x: Map) -> Map:
        return replace(self._settled(x) if x.resize else x, resize=-1)

    def _as_it_is(self, layer: nn.Module) -> _Step:
        moved = layer.to(device=self._device, dtype=self._dtype)
        return lambda x: Map(moved(self._settled(x).tensor).contiguous(memory_format=torch.channels_last))

    def _direct(self, layer: nn.Conv2d, *, relu: bool) -> Any:
        """Return a convolution for our own kernel, or ``None`` where cuDNN is to do it."""
        sixteens = layer.in_channels % 16 == 0 and layer.out_channels % 16 == 0
        if self._kernels is None or not sixteens or layer.out_channels > _DIRECT:
            return None
        of = self._convolution(layer, relu=relu)
        return self._kernels.Direct.of(of.weight, of.bias.float(), of.stride, of.padding, of.mode, relu=relu)

    def _direct_of_padded(self, of: _Convolution) -> Any:
        if self._kernels is None or len(of.bias) % 16 or len(of.bias) > _DIRECT:
            return None
        return self._kernels.Direct.of_padded(of.weight, of.bias.float(), relu=of.relu)

    def _convolution(self, layer: nn.Conv2d, *, relu: bool) -> _Convolution:
        weight, bias = layer.weight.detach(), bias_of(layer).detach()
        if self._dtype == torch.float16:
            if not max(weight.abs().max(), bias.abs().max()) <= LARGEST:
                raise AdainError("the network holds a number that is too large for float16: use fp32")
            weight = torch.from_numpy(rounded(weight.numpy()))
        return _Convolution(
            weight=weight.to(device=self._device, dtype=self._dtype).contiguous(memory_format=torch.channels_last),
            bias=bias.to(device=self._device, dtype=self._dtype if relu else torch.float32),
            stride=layer.stride[0],
            padding=int(layer.padding[0]),
            mode=layer.padding_mode,
            relu=relu,
        )


def _operators(device: str) -> ModuleType:
    """Return what is done between convolutions: Triton's kernels on a GPU, where Triton is."""
    if device == "cuda" and find_spec("triton") is not None:
        from adain_rt.pytorch import kernels

        return kernels
    return plain


def _direct_kernels(device: str, dtype: torch.dtype) -> Any:
    """Return our own convolutions, which are of halves and need Triton, or ``None``."""
    if device != "cuda" or dtype != torch.float16 or find_spec("triton") is None:
        return None
    from adain_rt.pytorch import direct

    return direct


def _without_identities(part: nn.Sequential) -> list[nn.Module]:
    return [layer for layer in part if not isinstance(layer, nn.Identity)]


def _is_known(layer: nn.Conv2d) -> bool:
    """Whether a convolution pads by what its readers can do, and is none of the rarer kinds."""
    square = all(len(set(pair)) == 1 for pair in (layer.kernel_size, layer.stride, layer.padding))
    padded = layer.padding_mode in {"reflect", "replicate"} or layer.padding == (0, 0)
    return square and padded and layer.groups == 1 and layer.dilation == (1, 1)


@torch.no_grad()
def _centred(layer: nn.Module) -> nn.Conv2d:
    """Return the convolution that reads ``CHANNELS`` channels of a picture less ``MIDDLE``, and gives the same."""
    assert isinstance(layer, nn.Conv2d)  # noqa: S101 - every network's first
    centred = _like(layer, CHANNELS, layer.out_channels)
    centred.weight.zero_()[:, : layer.in_channels] = layer.weight
    bias_of(centred).copy_(bias_of(layer).double() + MIDDLE * layer.weight.double().sum((1, 2, 3)))
    return centred


@torch.no_grad()
def _of(layer: nn.Module, channels: int) -> nn.Conv2d:
    """Return the convolution that gives so many channels, the first of them those that it gave, the others zeros."""
    assert isinstance(layer, nn.Conv2d)  # noqa: S101 - every network's last
    wide = _like(layer, layer.in_channels, channels)
    wide.weight.zero_()[: layer.out_channels] = layer.weight
    bias_of(wide).zero_()[: layer.out_channels] = bias_of(layer)
    return wide


def _has_phases(layer: nn.Module) -> bool:
    """Whether a convolution behind a doubling can be done in phases."""
    return (
        isinstance(layer, nn.Conv2d) and _is_known(layer) and layer.kernel_size == (3, 3) and layer.stride == (1, 1)
        and layer.padding == (1, 1) and layer.padding_mode == "reflect"
    )  # fmt: skip


@torch.no_grad()
def _phases(layer: nn.Conv2d) -> nn.Conv2d:
    """Return the 2x2 convolution that gives the four phases of what a 3x3 one gives of a doubled picture."""
    weight = layer.weight.double()
    phases = []
    for a in range(2):
        rows = _met(weight, a, 2)
        phases += [_met(rows, b, 3) for b in range(2)]
    four = nn.Conv2d(layer.in_channels, 4 * layer.out_channels, 2)
    four.weight.copy_(torch.cat(phases))
    bias_of(four).copy_(bias_of(layer).repeat(4))
    return four


def _met(weight: Tensor, phase: int, axis: int) -> Tensor:
    """Return three taps along an axis as two: those that meet one pixel, doubled, are added."""
    one, two, three = weight.tensor_split(3, axis)
    return torch.cat([one + two, three] if phase else [one, two + three], axis)


def _like(layer: nn.Conv2d, inputs: int, outputs: int) -> nn.Conv2d:
    kernel, stride, padding = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, padding_mode=layer.padding_mode)
