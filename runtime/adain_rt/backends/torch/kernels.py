"""The functions of ``plain``, each in one Triton kernel, which reads a map once and writes it once.

Arithmetic is float32. A program writes all channels of some pixels; offsets of pixels have 64 bits.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from adain_models.adain import EPSILON
from adain_models.half import LARGEST
from adain_rt.backends.torch.maps import CHANNELS, MIDDLE, Map

__all__ = ["between", "enter", "leave", "measure", "mirror", "strides_of"]

_ELEMENTS = 2048  # that a program writes
_MEASURED = 8192  # elements that a program measures at once
_PARTS = 128  # of a map, each of which a program measures
_JOINED = 8  # channels of which a program joins the parts


@triton.jit
def mirror(place, length, REFLECT: tl.constexpr):
    """Return the place within 0 .. length - 1 that is read for any place, by reflection or replication."""
    if REFLECT:
        place = tl.abs(place)
        return tl.where(place >= length, 2 * length - 2 - place, place)
    return tl.minimum(tl.maximum(place, 0), length - 1)


@triton.jit
def _enter(image, y, rows, columns, PADDING: tl.constexpr, REFLECT: tl.constexpr, MIDDLE: tl.constexpr,
           C: tl.constexpr, PIXELS: tl.constexpr):  # fmt: skip
    n = tl.program_id(1).to(tl.int64)
    wide, high = columns + 2 * PADDING, rows + 2 * PADDING
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    inside = pixel < wide * high
    i = mirror(pixel // wide - PADDING, rows, REFLECT)
    j = mirror(pixel % wide - PADDING, columns, REFLECT)
    c = tl.arange(0, C)
    source = (n * rows + i) * columns + j
    there = inside[:, None] & (c < 3)[None, :]
    value = tl.load(image + source[:, None] * 3 + c[None, :], mask=there, other=MIDDLE).to(tl.float32) - MIDDLE
    target = n * wide * high + pixel
    tl.store(y + target[:, None] * C + c[None, :], value, mask=inside[:, None])


@triton.jit
def _read(x, i, j, xr, xc, bias, mean, scale, shift, skip, sr, sc, gain, add, c, there,
          C: tl.constexpr, PHASES: tl.constexpr, BIAS: tl.constexpr, BLUR: tl.constexpr, RESTYLE: tl.constexpr,
          SKIP: tl.constexpr, MODULATE: tl.constexpr, RELU: tl.constexpr):  # fmt: skip
    """Return the values of pixels (PIXELS, C), with all steps done except the resizing."""
    if PHASES:
        at = (i // 2 + i % 2).to(tl.int64) * xr + (j // 2 + j % 2) * xc + (2 * (i % 2) + j % 2) * C
    else:
        at = i.to(tl.int64) * xr + j * xc
    value = tl.load(x + at[:, None] + c[None, :], mask=there, other=0).to(tl.float32)
    if BLUR:
        value *= 1 / 16
        for tap in tl.static_range(1, 9):
            beside = at + tap // 3 * xr + tap % 3 * xc
            other = tl.load(x + beside[:, None] + c[None, :], mask=there, other=0).to(tl.float32)
            value += other * ((1 + tap // 3 % 2) * (1 + tap % 3 % 2) / 16)  # [1 2 1] times [1 2 1]
    if BIAS:
        value += bias[None, :]
    if RESTYLE:
        value = (value - mean[None, :]) * scale[None, :] + shift[None, :]
    if SKIP:
        at = i.to(tl.int64) * sr + j * sc
        value += tl.load(skip + at[:, None] + c[None, :], mask=there, other=0).to(tl.float32)
    if MODULATE:
        value = value * gain[None, :] + add[None, :]
    if RELU:
        value = tl.maximum(value, 0.0)
    return value


@triton.jit
def _between(x, bias, mean, std, style_mean, style_std, strength, skip, modulation, y, rows, columns,
             xn, xr, xc, sn, sr, sc, mn,
             C: tl.constexpr, LANES: tl.constexpr, PIXELS: tl.constexpr, PADDING: tl.constexpr, REFLECT: tl.constexpr,
             PHASES: tl.constexpr, BIAS: tl.constexpr, BLUR: tl.constexpr, RESTYLE: tl.constexpr, SKIP: tl.constexpr,
             MODULATE: tl.constexpr, RELU: tl.constexpr, RESIZE: tl.constexpr, MOST: tl.constexpr):  # fmt: skip
    """Write y (N, rows + 2p, columns + 2p, C); the strides are those of x and skip, for pictures, rows and pixels."""
    n = tl.program_id(1).to(tl.int64)
    wide, high = columns + 2 * PADDING, rows + 2 * PADDING
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    i = mirror(pixel // wide - PADDING, rows, REFLECT)
    j = mirror(pixel % wide - PADDING, columns, REFLECT)
    c = tl.arange(0, LANES)
    there = (pixel < wide * high)[:, None] & (c < C)[None, :]
    x += n * xn
    skip += n * sn
    offset = tl.zeros([LANES], tl.float32)
    if BIAS:
        offset = tl.load(bias + c, mask=c < C, other=0)
    middle, scale, shift, gain, add = offset, offset, offset, offset, offset
    if RESTYLE:
        at = n * C + c
        alpha = tl.load(strength + n)
        middle = tl.load(mean + at, mask=c < C, other=0)
        scale = 1 + alpha * (tl.load(style_std + at, mask=c < C, other=1) / tl.load(std + at, mask=c < C, other=1) - 1)
        shift = middle + alpha * (tl.load(style_mean + at, mask=c < C, other=0) - middle)
    if MODULATE:
        gain = tl.load(modulation + n * mn + c, mask=c < C, other=0)
        add = tl.load(modulation + n * mn + C + c, mask=c < C, other=0)
    if RESIZE < 0:
        value = _read(x, 2 * i, 2 * j, xr, xc, offset, middle, scale, shift, skip, sr, sc, gain, add, c, there,
                      C, PHASES, BIAS, BLUR, RESTYLE, SKIP, MODULATE, RELU)  # fmt: skip
        for place in tl.static_range(1, 4):
            other = _read(x, 2 * i + place // 2, 2 * j + place % 2, xr, xc, offset, middle, scale, shift, skip, sr, sc,
                          gain, add, c, there, C, PHASES, BIAS, BLUR, RESTYLE, SKIP, MODULATE, RELU)  # fmt: skip
            value = tl.maximum(value, other)
    else:
        if RESIZE > 0:
            i, j = i // 2, j // 2
        value = _read(x, i, j, xr, xc, offset, middle, scale, shift, skip, sr, sc, gain, add, c, there,
                      C, PHASES, BIAS, BLUR, RESTYLE, SKIP, MODULATE, RELU)  # fmt: skip
    value = tl.minimum(tl.maximum(value, -MOST), MOST)
    target = n * wide * high + pixel
    tl.store(y + target[:, None] * C + c[None, :], value, mask=there)


@triton.jit
def _measure_parts(x, means, m2s, positions, columns, each, xn, xr, xc,
                   C: tl.constexpr, LANES: tl.constexpr, POSITIONS: tl.constexpr):  # fmt: skip
    """Write the mean, and the sum of squared differences to it, of each part of the positions: (N, parts, C)."""
    n = tl.program_id(1).to(tl.int64)
    c = tl.arange(0, LANES)
    x += n * xn
    begin = tl.program_id(0) * each
    end = tl.minimum(begin + each, positions)
    total = tl.zeros([POSITIONS, LANES], tl.float32)
    for first in range(0, each, POSITIONS):
        place = begin + first + tl.arange(0, POSITIONS)
        at = (place // columns).to(tl.int64) * xr + place % columns * xc
        there = (place < end)[:, None] & (c < C)[None, :]
        total += tl.load(x + at[:, None] + c[None, :], mask=there, other=0).to(tl.float32)
    middle = tl.sum(total, 0) / (end - begin)
    total = tl.zeros([POSITIONS, LANES], tl.float32)
    for first in range(0, each, POSITIONS):
        place = begin + first + tl.arange(0, POSITIONS)
        at = (place // columns).to(tl.int64) * xr + place % columns * xc
        there = (place < end)[:, None] & (c < C)[None, :]
        value = tl.load(x + at[:, None] + c[None, :], mask=there, other=0).to(tl.float32) - middle[None, :]
        total += tl.where(there, value * value, 0.0)
    at = (n * tl.num_programs(0) + tl.program_id(0)) * C + c
    tl.store(means + at, middle, mask=c < C)
    tl.store(m2s + at, tl.sum(total, 0), mask=c < C)


@triton.jit
def _join_parts(means, m2s, mean, std, positions, parts, each, epsilon,
                C: tl.constexpr, MEASURED: tl.constexpr, PARTS: tl.constexpr):  # fmt: skip
    """Write each channel's mean and deviation, of those of parts (Chan, Golub and LeVeque 1983)."""
    n = tl.program_id(1).to(tl.int64)
    c = tl.program_id(0) * MEASURED + tl.arange(0, MEASURED)
    part = tl.arange(0, PARTS)
    at = ((n * parts + part) * C)[:, None] + c[None, :]
    there = (part < parts)[:, None] & (c < C)[None, :]
    count = tl.minimum(positions - part * each, each).to(tl.float32)[:, None]
    theirs = tl.load(means + at, mask=there, other=0)
    middle = tl.sum(tl.where(there, theirs * count, 0.0), 0) / positions
    apart = theirs - middle[None, :]
    m2 = tl.load(m2s + at, mask=there, other=0) + apart * apart * count
    spread = tl.sqrt(tl.sum(tl.where(there, m2, 0.0), 0) / (positions - 1) + epsilon)
    tl.store(mean + n * C + c, middle, mask=c < C)
    tl.store(std + n * C + c, spread, mask=c < C)


@triton.jit
def _leave(x, bias, y, pixels, columns, xn, xr, xc, BIAS: tl.constexpr, PIXELS: tl.constexpr):
    n = tl.program_id(1).to(tl.int64)
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    c = tl.arange(0, 4)
    there = (pixel < pixels)[:, None] & (c < 3)[None, :]
    at = n * xn + (pixel // columns).to(tl.int64) * xr + pixel % columns * xc
    value = tl.load(x + at[:, None] + c[None, :], mask=there, other=0).to(tl.float32)
    if BIAS:
        value += tl.load(bias + c, mask=c < 3, other=0)[None, :]
    value = tl.minimum(tl.maximum(value, 0.0), 255.0)
    value = (value + 8388608.0) - 8388608.0  # 2^23: the sum has no fraction bits, and so is rounded, halves to even
    tl.store(y + (n * pixels + pixel)[:, None] * 3 + c[None, :], value.to(tl.uint8), mask=there)


def enter(image: Tensor, padding: int, mode: str, dtype: torch.dtype) -> Tensor:
    """Return the same as ``plain.enter``."""
    count, rows, columns, _ = image.shape
    y = _new(count, CHANNELS, rows + 2 * padding, columns + 2 * padding, dtype, image)
    pixels = _ELEMENTS // CHANNELS
    grid = (triton.cdiv(y.shape[2] * y.shape[3], pixels), count)
    _enter[grid](image, y, rows, columns, padding, mode == "reflect", float(MIDDLE), CHANNELS, pixels)
    return y


def between(x: Map, padding: int = 0, mode: str = "reflect") -> Tensor:
    """Return the same as ``plain.between``."""
    count, channels = len(x.tensor), x.channels
    rows, columns = x.size
    y = _new(count, channels, rows + 2 * padding, columns + 2 * padding, x.tensor.dtype, x.tensor)
    skip = x.tensor if x.skip is None else x.skip
    restyle: Any = x.restyle
    codes = [y] * 5 if restyle is None else [
        restyle.mean, restyle.std, restyle.style_mean, restyle.style_std, restyle.strength
    ]  # fmt: skip
    modulation = y if x.modulation is None else x.modulation
    lanes = triton.next_power_of_2(channels)
    pixels = max(1, _ELEMENTS // lanes)
    _between[triton.cdiv(y.shape[2] * y.shape[3], pixels), count](
        x.tensor, y if x.bias is None else x.bias, *codes, skip, modulation, y, rows, columns,
        *strides_of(x.tensor), *strides_of(skip), modulation.stride(0),
        C=channels, LANES=lanes, PIXELS=pixels, PADDING=padding, REFLECT=mode == "reflect",
        PHASES=x.phases, BIAS=x.bias is not None, BLUR=x.blur, RESTYLE=restyle is not None, SKIP=x.skip is not None,
        MODULATE=x.modulation is not None, RELU=x.relu, RESIZE=x.resize,
        MOST=LARGEST if y.dtype == torch.float16 else torch.finfo(torch.float32).max,
    )  # fmt: skip
    return y


def measure(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return the same as ``plain.measure``.

    Few programs would leave most multiprocessors idle, so the positions are measured in parts.
    """
    count, channels, rows, columns = features.shape
    positions = rows * columns
    lanes = triton.next_power_of_2(channels)
    at_once = max(1, _MEASURED // lanes)
    each = at_once * triton.cdiv(positions, at_once * _PARTS)
    parts = triton.cdiv(positions, each)
    means, m2s = torch.empty(2, count, parts, channels, device=features.device)
    mean, std = torch.empty(2, count, channels, device=features.device)
    strides = strides_of(features)
    _measure_parts[parts, count](features, means, m2s, positions, columns, each, *strides, channels, lanes, at_once)
    grid = (triton.cdiv(channels, _JOINED), count)
    _join_parts[grid](means, m2s, mean, std, positions, parts, each, EPSILON, channels, _JOINED, _PARTS)
    return mean, std


def leave(x: Map, out: Tensor) -> None:
    """Do the same as ``plain.leave``."""
    count, rows, columns, _ = out.shape
    pixels = _ELEMENTS // 4
    bias = out if x.bias is None else x.bias
    grid = (triton.cdiv(rows * columns, pixels), count)
    _leave[grid](x.tensor, bias, out, rows * columns, columns, *strides_of(x.tensor), x.bias is not None, pixels)


def _new(count: int, channels: int, rows: int, columns: int, dtype: torch.dtype, like: Tensor) -> Tensor:
    shape = (count, channels, rows, columns)
    return torch.empty(shape, dtype=dtype, device=like.device, memory_format=torch.channels_last)


def strides_of(x: Tensor) -> tuple[int, int, int]:
    """Return the strides of pictures, rows and pixels."""
    return x.stride(0), x.stride(2), x.stride(3)
