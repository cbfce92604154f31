"""The steps between two convolutions in PyTorch's own operators, for any device and for machines without Triton."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from adain_models.adain import channel_statistics
from adain_models.half import LARGEST
from adain_rt.backends.torch.maps import CHANNELS, MIDDLE, Map, Restyle

__all__ = ["between", "enter", "leave", "measure"]


def enter(image: Tensor, padding: int, mode: str, dtype: torch.dtype) -> Tensor:
    """Return pictures, uint8 (N, H, W, 3), as maps (N, ``CHANNELS``, H + 2p, W + 2p), less ``MIDDLE`` and padded.

    Args:
        image: uint8, contiguous.
        padding: p, on each side.
        mode: ``reflect`` or ``replicate``.
        dtype: the maps' type.

    """
    centred = image.permute(0, 3, 1, 2).to(dtype) - MIDDLE
    padded = functional.pad(centred, [padding] * 4, mode)
    return functional.pad(padded, [0, 0, 0, 0, 0, CHANNELS - 3]).contiguous(memory_format=torch.channels_last)


def between(x: Map, padding: int = 0, mode: str = "reflect") -> Tensor:
    """Return a map with all its steps done, padded and channels last; a map of halves is finite.

    Args:
        x: the map.
        padding: p, on each side.
        mode: ``reflect`` or ``replicate``.

    """
    y = _do_steps(x)
    if x.resize > 0:
        y = functional.interpolate(y, scale_factor=2, mode="nearest")
    elif x.resize < 0:
        y = functional.max_pool2d(y, 2)
    if x.tensor.dtype == torch.float16:
        y = y.clamp(-LARGEST, LARGEST)
    y = y.to(x.tensor.dtype)
    if padding:
        y = functional.pad(y, [padding] * 4, mode)
    return y.contiguous(memory_format=torch.channels_last)


def measure(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the means and deviations of each channel, float32 (N, C), of features (N, C, H, W)."""
    return channel_statistics(features.float())


def leave(x: Map, out: Tensor) -> None:
    """Write the first three channels of maps, rounded and clipped to 0..255, into pictures uint8 (N, H, W, 3)."""
    y = x.tensor.float() if x.bias is None else x.tensor.float() + x.bias[:, None, None]
    out.copy_(y[:, :3].permute(0, 2, 3, 1).round().clamp(0, 255))


def _do_steps(x: Map) -> Tensor:
    """Return a map with all its steps done but the resizing, in its own type or float32."""
    y = _join_phases(x.tensor) if x.phases else x.tensor
    if x.bias is not None:
        y = y.float() + x.bias[:, None, None]
    if x.blur:
        y = functional.avg_pool2d(functional.avg_pool2d(y.float(), 2, stride=1), 2, stride=1)
    if x.restyle is not None:
        y = _restyle(y.float(), x.restyle)
    if x.skip is not None:
        y = y.float() + x.skip
    if x.modulation is not None:
        scale, shift = x.modulation[..., None, None].chunk(2, 1)
        y = y.float() * scale + shift
    return y.relu() if x.relu else y


def _join_phases(phases: Tensor) -> Tensor:
    """Return the map whose phases are given."""
    count, channels, rows, columns = phases.shape[0], phases.shape[1] // 4, phases.shape[2] - 1, phases.shape[3] - 1
    whole = phases.new_empty(count, channels, 2 * rows, 2 * columns)
    for number, phase in enumerate(phases.chunk(4, 1)):
        a, b = divmod(number, 2)
        whole[:, :, a::2, b::2] = phase[:, :, a : a + rows, b : b + columns]
    return whole


def _restyle(features: Tensor, to: Restyle) -> Tensor:
    alpha = to.strength[:, None]
    scale, shift = 1 + alpha * (to.style_std / to.std - 1), to.mean + alpha * (to.style_mean - to.mean)
    return (features - to.mean[..., None, None]) * scale[..., None, None] + shift[..., None, None]
