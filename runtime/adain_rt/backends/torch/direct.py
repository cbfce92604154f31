"""A convolution in one Triton kernel that pads, doubles, adds and rectifies, for layers at which cuDNN is slow.

It is an implicit matrix product: rows are pixels, columns are output channels, and the sum runs over taps and input
channels. Inputs and outputs are halves, sums are float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from adain_models.half import LARGEST
from adain_rt.backends.torch.kernels import mirror, strides_of
from adain_rt.backends.torch.maps import CHANNELS

__all__ = ["Direct", "convolve", "convolve_out"]

_STAGES = 4  # how many blocks are loaded ahead
_HOPPER_BYTES = 226 << 10  # shared memory of a program on Hopper, which the interpreter pretends to have
_PROGRAMS = 128  # fewer programs leave multiprocessors idle; blocks are smaller then

_MODES = {"none": 0, "reflect": 1, "replicate": 2}


@dataclass(frozen=True)
class Direct:
    """A convolution's weights, laid out for the kernel.

    Attributes:
        weight: float16 (taps, inputs, outputs); inputs and outputs are whole blocks.
        bias: float32 (outputs,).
        kernel: the number of taps down and across.
        stride: the stride of both axes.
        padding: on each side.
        mode: how to pad: ``reflect``, ``replicate`` or ``none``.
        relu: whether a ReLU follows.
        valid: how many of the inputs belong to taps; the others fill the last block.

    """

    weight: Tensor
    bias: Tensor
    kernel: tuple[int, int]
    stride: int
    padding: int
    mode: str
    relu: bool
    valid: int

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor, stride: int, padding: int, mode: str, *, relu: bool) -> Direct:
        """Return the convolution for weights (O, I, k, k); I and O are multiples of 16."""
        outputs, inputs, rows, columns = weight.shape
        laid = weight.permute(2, 3, 1, 0).reshape(rows * columns, inputs, outputs).contiguous()
        return cls(laid, bias, (rows, columns), stride, padding, mode if padding else "none", relu, inputs)

    @classmethod
    def of_padded(cls, weight: Tensor, bias: Tensor, *, relu: bool) -> Direct:
        """Return the convolution for weights (O, ``CHANNELS``, k, k) and padded maps; a row of taps is read as one."""
        outputs, inputs, rows, columns = weight.shape
        window = -(-columns * inputs // 16) * 16
        laid = weight.new_zeros(rows, window, outputs)
        laid[:, : columns * inputs] = weight.permute(2, 3, 1, 0).reshape(rows, columns * inputs, outputs)
        return cls(laid, bias, (rows, 1), 1, 0, "none", relu, columns * inputs)


@triton.jit
def _convolve(x, weight, bias, skip, modulation, y, out_rows, out_columns, rows, columns, xn, xr, sn, sr, sc, mn,
              XC: tl.constexpr, VALID: tl.constexpr, I: tl.constexpr, O: tl.constexpr, DOWN: tl.constexpr,
              ACROSS: tl.constexpr, STRIDE: tl.constexpr,
              PADDING: tl.constexpr, MODE: tl.constexpr, DOUBLE: tl.constexpr, RELU: tl.constexpr, SKIP: tl.constexpr,
              MODULATE: tl.constexpr, PICTURE: tl.constexpr, MOST: tl.constexpr,
              BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):  # fmt: skip
    n = tl.program_id(2).to(tl.int64)
    pixels = out_rows * out_columns
    pixel = tl.program_id(0) * BM + tl.arange(0, BM)
    within = tl.minimum(pixel, pixels - 1)
    i, j = within // out_columns, within % out_columns
    o = tl.program_id(1) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    x += n * xn
    total = tl.zeros([BM, BN], tl.float32)
    CHUNKS: tl.constexpr = I // BK
    for step in range(DOWN * ACROSS * CHUNKS):
        tap = step // CHUNKS
        first = step % CHUNKS * BK
        down = i * STRIDE + tap // ACROSS - PADDING
        across = j * STRIDE + tap % ACROSS - PADDING
        if MODE > 0:
            down = mirror(down, rows, MODE == 1)
            across = mirror(across, columns, MODE == 1)
        if DOUBLE:
            down, across = down // 2, across // 2
        at = down.to(tl.int64) * xr + across * XC + first
        if VALID < I:
            a = tl.load(x + at[:, None] + k[None, :], mask=(first + k < VALID)[None, :], other=0)
        else:
            a = tl.load(x + at[:, None] + k[None, :])
        b = tl.load(weight + ((tap * I + first + k) * O)[:, None] + o[None, :])
        total = tl.dot(a, b, total)
    total += tl.load(bias + o)[None, :]
    there = (pixel < pixels)[:, None]
    if SKIP:
        at = n * sn + i.to(tl.int64) * sr + j * sc
        total += tl.load(skip + at[:, None] + o[None, :], mask=there, other=0).to(tl.float32)
    if MODULATE:
        gain = tl.load(modulation + n * mn + o)
        total = total * gain[None, :] + tl.load(modulation + n * mn + O + o)[None, :]
    if RELU:
        total = tl.maximum(total, 0.0)
    target = n * pixels + pixel
    if PICTURE:
        total = tl.minimum(tl.maximum(total, 0.0), 255.0)
        total = (total + 8388608.0) - 8388608.0  # a whole number, as in ``kernels``
        tl.store(y + target[:, None] * 3 + o[None, :], total.to(tl.uint8), mask=there & (o < 3)[None, :])
    else:
        total = tl.minimum(tl.maximum(total, -MOST), MOST)
        tl.store(y + target[:, None] * O + o[None, :], total.to(tl.float16), mask=there)


def convolve(
    x: Tensor, by: Direct, *, doubled: bool = False, skip: Tensor | None = None, modulation: Tensor | None = None
) -> Tensor:
    """Return a convolution of maps (N, I, H, W), channels last.

    Args:
        x: float16.
        by: the convolution.
        doubled: whether each pixel is first repeated across and down.
        skip: a map of the output's shape, which is added to the output.
        modulation: float32 (N, 2 O), by whose first half this is multiplied, and whose second half is added.

    """
    (rows, columns), (out_rows, out_columns) = _sizes(x, by, doubled)
    shape = (x.shape[0], by.weight.shape[2], out_rows, out_columns)
    y = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
    _launch(x, by, y, (rows, columns), (out_rows, out_columns), doubled, skip, modulation)
    return y


def convolve_out(x: Tensor, by: Direct, out: Tensor, *, doubled: bool = False) -> None:
    """Write a convolution's output as pictures, uint8 (N, H, W, 3)."""
    _launch(x, by, out, *_sizes(x, by, doubled), doubled)


def _sizes(x: Tensor, by: Direct, doubled: bool) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the sizes (H, W) of what is read and of the output."""
    rows, columns = (length * (1 + doubled) for length in x.shape[2:])
    down, across = by.kernel
    if x.shape[1] == CHANNELS:  # a row of taps is one
        across = down
    size = ((rows + 2 * by.padding - down) // by.stride + 1, (columns + 2 * by.padding - across) // by.stride + 1)
    return (rows, columns), size


def _launch(
    x: Tensor,
    by: Direct,
    y: Tensor,
    size: tuple[int, int],
    out: tuple[int, int],
    doubled: bool,
    skip: Tensor | None = None,
    modulation: Tensor | None = None,
) -> None:
    _, inputs, outputs = by.weight.shape
    pixels = out[0] * out[1]
    block_k = next(each for each in (64, 32, 16) if inputs % each == 0)
    block_n = next(each for each in (128, 64, 32, 16) if outputs % each == 0)
    block_m = 128
    if triton.cdiv(pixels, block_m) * (outputs // block_n) * x.shape[0] < _PROGRAMS:
        block_m, block_n = 64, min(block_n, 64)
    halves = block_k * (block_m + block_n)  # in a stage
    grid = (triton.cdiv(pixels, block_m), outputs // block_n, x.shape[0])
    other = x if skip is None else skip
    changes = by.bias if modulation is None else modulation
    _convolve[grid](
        x, by.weight, by.bias, other, changes, y, *out, *size, *strides_of(x)[:2], *strides_of(other),
        changes.stride(0), XC=x.stride(3),
        VALID=by.valid, I=inputs, O=outputs, DOWN=by.kernel[0], ACROSS=by.kernel[1], STRIDE=by.stride,
        PADDING=by.padding, MODE=_MODES[by.mode], DOUBLE=doubled, RELU=by.relu, SKIP=skip is not None,
        MODULATE=modulation is not None, PICTURE=y.dtype == torch.uint8, MOST=LARGEST,
        BM=block_m, BN=block_n, BK=block_k,
        num_warps=8 if block_m * block_n >= 128 * 128 else 4,
        num_stages=max(1, min(_STAGES, _shared_bytes(x.device.type) // (2 * halves))),
    )  # fmt: skip


@cache
def _shared_bytes(device: str) -> int:
    """Return how much shared memory a program may use; a little stays free."""
    if device != "cuda":
        return _HOPPER_BYTES
    return int(triton.runtime.driver.active.utils.get_device_properties(0)["max_shared_mem"]) - 2048
