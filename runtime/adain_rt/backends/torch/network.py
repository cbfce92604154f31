"""A network's graphs in PyTorch, on feature maps whose steps are done as the next convolution reads them.

Layers of kinds that are not known here run as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from adain_models import adain
from adain_models.half import LARGEST
from adain_models.networks.base import Modulation, Network, Pointwise, bias_of
from adain_models.networks.lite import Blur, Residual
from adain_rt.backends.torch.convolutions import Convolutions, ModulatedStep, Step, has_phases, is_known
from adain_rt.backends.torch.maps import Map, Restyle

__all__ = ["FusedNetwork"]


@dataclass(frozen=True)
class _Modulated:
    """A step, and which columns of all modulations its output gets; ``layer`` says how they are spread over places."""

    step: ModulatedStep
    columns: slice
    layer: Modulation


class FusedNetwork:
    """A network for one device and precision; safe to call from several threads.

    Args:
        network: float32, on the CPU; its weights are copied.
        dtype: the maps' type, float16 or float32; statistics are float32.
        device: PyTorch's name of the device.

    Raises:
        AdainError: a weight is too large for float16.

    """

    def __init__(self, network: Network, dtype: torch.dtype, device: str) -> None:
        folded = network.for_bytes()
        self.channels = network.channels
        self._convolutions = Convolutions(dtype, device)
        self._ops = self._convolutions.ops
        first, *encoder = _drop_identities(folded.encoder)
        *decoder, last = _drop_identities(folded.decoder)
        assert isinstance(first, nn.Conv2d)  # noqa: S101 - as in every network
        assert isinstance(last, nn.Conv2d)  # noqa: S101
        relu = _is_relu(encoder)
        self._first = self._convolutions.make_first(first, relu=relu)
        self._modulations: list[Modulation] = []
        self._encoder = self._make_steps(encoder[relu:])
        self._decoder = self._make_steps(decoder)
        self._matrix, self._constant = self._join_modulations()
        self._last = self._convolutions.make_last(last)

    def run(self, graph: str, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        """Compute one of the contract's graphs.

        Args:
            graph: its name.
            inputs: tensors by name, contiguous, on the device.
            outputs: tensors by name, contiguous, on the device, which are written.

        """
        x = self._first(inputs["image"])
        for step in self._encoder:
            x = self._do(step, x)
        features = self._convolutions.settle(x).tensor
        if graph == "encode":
            for name, values in zip(("mean", "std"), self._ops.measure(features), strict=True):
                outputs[name].copy_(values)
            return
        if graph == "measure":
            for name, values in zip(("count", "mean", "m2"), _measure(features, inputs["masks"]), strict=True):
                outputs[name].copy_(values)
            return
        x, modulations = self._stylize(features, inputs)
        for step in self._decoder:
            x = self._do(step, x, modulations)
        self._last(x, outputs["stylized"])

    def _stylize(self, features: Tensor, inputs: Mapping[str, Tensor]) -> tuple[Map, Tensor | None]:
        """Return features after AdaIN, and what modulations make of their code, if the network has any."""
        styles, strength = (inputs["style_mean"], inputs["style_std"]), inputs["strength"]
        content = (inputs["content_mean"], inputs["content_std"]) if "content_mean" in inputs else None
        if "masks" in inputs:
            return self._stylize_regions(features, styles, inputs["masks"], strength, content)
        mean, std = content or self._ops.measure(features)
        style_mean, style_std = styles
        styled = Map(features, restyle=Restyle(mean, std, style_mean, style_std, strength))
        if not self._modulations:
            return styled, None
        alpha = strength[:, None]
        code = torch.cat([torch.lerp(mean, style_mean, alpha), torch.lerp(std, style_std, alpha)], 1)
        return styled, nn.functional.linear(code, self._matrix, self._constant)

    def _stylize_regions(
        self,
        features: Tensor,
        styles: tuple[Tensor, Tensor],
        masks: Tensor,
        strength: Tensor,
        content: tuple[Tensor, Tensor] | None,
    ) -> tuple[Map, Tensor | None]:
        """Return the same by regions, with the functions of the reference; modulations differ from place to place."""
        exact = features.float()
        weights = adain.region_weights(masks.float(), exact.shape[2:])
        content = content or adain.region_statistics(exact, weights)
        stylized = adain.blend(exact, adain.regional_adain(exact, *styles, weights, content), strength)
        styled = Map(_to_finite(stylized, features.dtype))
        if not self._modulations:
            return styled, None
        code = torch.cat(adain.regional_code(content, styles, weights, strength), 1).permute(0, 2, 3, 1)
        return styled, nn.functional.linear(code, self._matrix, self._constant)

    def _do(self, step: Step | _Modulated, x: Map, modulations: Tensor | None = None) -> Map:
        """Return the output of a step.

        Args:
            step: the step.
            x: what it reads.
            modulations: float32 (N, columns), or (N, h, w, columns) where the code differs from place to place.

        """
        if not isinstance(step, _Modulated):
            return step(x)
        assert modulations is not None  # noqa: S101 - there are some, since this is one
        own = modulations[..., step.columns]
        if own.ndim == 2:  # noqa: PLR2004 - (N, columns)
            return step.step(x, own)
        settled = self._convolutions.settle(step.step(x, None)).tensor
        changed = step.layer.apply_to(settled.float(), *own.permute(0, 3, 1, 2).chunk(2, 1))
        return Map(_to_finite(changed, settled.dtype))

    def _join_modulations(self) -> tuple[Tensor, Tensor]:
        """Return the matrices of all modulations, one below the other, float32 (columns, 2C), and their constants."""
        if not self._modulations:
            return torch.empty(0), torch.empty(0)
        device = self._convolutions.device
        matrix, constant = (
            torch.cat(each).detach().to(device)
            for each in zip(*((part.weight[:, :, 0, 0], bias_of(part)) for part in self._matrices()), strict=True)
        )
        return matrix, constant

    def _make_steps(self, layers: Sequence[nn.Module]) -> list[Step | _Modulated]:
        """Return a step for each layer.

        A ReLU joins the convolution before it, a modulation the residual block before it, and a doubling the phases
        after it.
        """
        steps: list[Step | _Modulated] = []
        rest = list(layers)
        while rest:
            layer = rest.pop(0)
            if _doubles(layer) and rest and has_phases(rest[0]):
                layer = rest.pop(0)
                steps.append(self._convolutions.make_phases(layer, relu=_is_relu(rest)))  # type: ignore[arg-type]
                del rest[: _is_relu(rest)]
            elif is_known(layer):
                steps.append(self._convolutions.make_step(layer, relu=_is_relu(rest)))  # type: ignore[arg-type]
                del rest[: _is_relu(rest)]
            elif rest and isinstance(rest[0], Modulation):
                steps.append(self._make_modulated(layer, rest.pop(0)))
            else:
                steps.append(self._make_step(layer))
        return steps

    def _make_modulated(self, block: nn.Module, layer: nn.Module) -> _Modulated:
        """Return the step of a residual block with the modulation behind it."""
        assert isinstance(block, Residual)  # noqa: S101 - as in every network
        assert isinstance(layer, Modulation)  # noqa: S101
        begin = sum(part.out_channels for part in self._matrices())
        self._modulations.append(layer)
        end = sum(part.out_channels for part in self._matrices())
        return _Modulated(self._convolutions.make_residual(block), slice(begin, end), layer)

    def _matrices(self) -> Iterator[Pointwise]:
        """Yield the matrices of all modulations, the scales' and the shifts' by turns."""
        for each in self._modulations:
            yield from (each.gain, each.shift)

    def _make_step(self, layer: nn.Module) -> Step:
        """Return the step of a layer that is not a known convolution."""
        if isinstance(layer, Residual):
            block = self._convolutions.make_residual(layer)
            return lambda x: block(x, None)
        if isinstance(layer, Blur):
            return self._blur
        if isinstance(layer, nn.ReLU):
            return lambda x: replace(self._settle_resize(x), relu=True)
        if _doubles(layer):
            return lambda x: replace(self._settle_resize(x), resize=1)
        if isinstance(layer, nn.MaxPool2d) and layer.kernel_size == 2:  # noqa: PLR2004 - sides are even here
            return lambda x: replace(self._settle_resize(x), resize=-1)
        moved = layer.to(device=self._convolutions.device, dtype=self._convolutions.dtype)
        settle = self._convolutions.settle
        return lambda x: Map(moved(settle(x).tensor).contiguous(memory_format=torch.channels_last))

    def _blur(self, x: Map) -> Map:
        return replace(x if replace(x, bias=None).is_done else self._convolutions.settle(x), blur=True)

    def _settle_resize(self, x: Map) -> Map:
        return self._convolutions.settle(x) if x.resize else x


def _measure(features: Tensor, masks: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what the statistics of regions are made of, with the functions of the reference."""
    return adain.measure_regions(features.float(), adain.region_weights(masks.float(), features.shape[2:]))


def _to_finite(features: Tensor, dtype: torch.dtype) -> Tensor:
    """Return features of a type, channels last; halves are finite."""
    if dtype == torch.float16:
        features = features.clamp(-LARGEST, LARGEST)
    return features.to(dtype, memory_format=torch.channels_last)


def _drop_identities(part: nn.Sequential) -> list[nn.Module]:
    return [layer for layer in part if not isinstance(layer, nn.Identity)]


def _is_relu(layers: Sequence[nn.Module]) -> bool:
    """Return whether the first of some layers is a ReLU."""
    return bool(layers) and isinstance(layers[0], nn.ReLU)


def _doubles(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Upsample) and layer.mode == "nearest" and layer.scale_factor == 2  # noqa: PLR2004
