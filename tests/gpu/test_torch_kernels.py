"""The PyTorch backend's Triton kernels against the same in PyTorch's operators.

Without a GPU they run in Triton's interpreter, where Triton is installed:
``TRITON_INTERPRET=1 pytest -m gpu tests/gpu/test_torch_kernels.py``.
"""

from __future__ import annotations

import math
import os

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from adain_models.half import LARGEST
from adain_rt.backends.torch import plain
from adain_rt.backends.torch.maps import Map, Restyle

pytestmark = pytest.mark.gpu

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(scope="session", autouse=True)
def _gpu() -> None:
    pytest.importorskip("triton")
    if not INTERPRETED and not torch.cuda.is_available():
        pytest.skip("this PyTorch sees no GPU")


@pytest.fixture(scope="module")
def kernels():
    from adain_rt.backends.torch import kernels

    return kernels


@pytest.fixture(scope="module")
def direct():
    from adain_rt.backends.torch import direct

    return direct


DEVICE = "cpu" if INTERPRETED else "cuda"


def maps(
    count: int, channels: int, rows: int, columns: int, dtype: torch.dtype = torch.float16, seed: int = 0
) -> Tensor:
    """Return maps of random numbers, channels last."""
    numbers = torch.randn(count, channels, rows, columns, generator=torch.Generator().manual_seed(seed))
    return numbers.to(DEVICE, dtype).contiguous(memory_format=torch.channels_last)


def vector(channels: int, seed: int = 1) -> Tensor:
    return torch.randn(channels, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def code(count: int, channels: int, seed: int) -> Tensor:
    return torch.rand(count, channels, generator=torch.Generator().manual_seed(seed)).to(DEVICE) + 0.1


def near(one: Tensor, other: Tensor) -> None:
    assert one.shape == other.shape
    assert one.is_contiguous(memory_format=torch.channels_last)
    apart = (one.float() - other.float()).abs()
    assert (apart <= 4e-3 * (1 + other.float().abs())).all()


def restyle(count: int, channels: int) -> Restyle:
    mean, std, style_mean, style_std = (code(count, channels, seed) for seed in range(2, 6))
    return Restyle(mean, std, style_mean, style_std, torch.linspace(0.3, 1, count).to(DEVICE))


MAPS = {
    "as it is": lambda: Map(maps(2, 16, 12, 20)),
    "of channels that are no power of two": lambda: Map(maps(1, 24, 12, 20), bias=vector(24)),
    "a bias and a ReLU": lambda: Map(maps(2, 16, 12, 20), bias=vector(16), relu=True),
    "AdaIN": lambda: Map(maps(2, 32, 6, 10), restyle=restyle(2, 32)),
    "a residual branch": lambda: Map(maps(2, 16, 12, 20), bias=vector(16), skip=maps(2, 16, 14, 22)[..., 1:-1, 1:-1]),
    "a residual branch, modulated": lambda: Map(
        maps(2, 24, 6, 10), bias=vector(24), skip=maps(2, 24, 6, 10), modulation=code(2, 100, 7)[:, 30:78], relu=True
    ),
    "doubled": lambda: Map(maps(2, 16, 6, 10), relu=True, resize=1),
    "halved": lambda: Map(maps(2, 16, 12, 20), bias=vector(16), relu=True, resize=-1),
    "blurred and doubled": lambda: Map(maps(1, 16, 10, 12), bias=vector(16), blur=True, relu=True, resize=1),
    "phases": lambda: Map(maps(2, 64, 7, 9), phases=True, bias=vector(16), relu=True),
    "phases, doubled": lambda: Map(maps(1, 64, 7, 9), phases=True, resize=1),
    "float32": lambda: Map(maps(2, 16, 12, 20, torch.float32), bias=vector(16), relu=True, resize=1),
}


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize(("padding", "mode"), [(0, "reflect"), (2, "reflect"), (1, "replicate")])
def test_what_is_done_between_convolutions(kernels, name, padding, mode):
    x = MAPS[name]()
    near(kernels.between(x, padding, mode), plain.between(x, padding, mode))


def test_no_convolution_reads_what_is_infinite(kernels):
    infinite = torch.full((1, 8, 4, 4), math.inf, dtype=torch.float16, device=DEVICE)
    made = kernels.between(Map(infinite.contiguous(memory_format=torch.channels_last), bias=vector(8)), 1)
    assert (made == LARGEST).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize(("padding", "mode"), [(1, "reflect"), (2, "reflect"), (2, "replicate")])
def test_the_way_in(kernels, dtype, padding, mode):
    image = torch.randint(256, (2, 16, 24, 3), dtype=torch.uint8, device=DEVICE)
    made = kernels.enter(image, padding, mode, dtype)
    assert torch.equal(made, plain.enter(image, padding, mode, dtype))


@pytest.mark.parametrize("bias", [None, 40.0])
def test_the_way_out(kernels, bias):
    x = Map(maps(2, 8, 16, 24) * 200, bias=None if bias is None else vector(8) * bias)
    made, wanted = (torch.zeros(2, 16, 24, 3, dtype=torch.uint8, device=DEVICE) for _ in range(2))
    kernels.leave(x, made)
    plain.leave(x, wanted)
    assert torch.equal(made, wanted)


@pytest.mark.filterwarnings("ignore:Conversion of an array:DeprecationWarning")  # by Triton's interpreter
@pytest.mark.parametrize(("channels", "rows", "columns"), [(16, 2, 2), (24, 9, 50), (128, 40, 33)])
def test_the_statistics_of_channels(kernels, channels, rows, columns):
    features = maps(2, channels, rows, columns) + 100
    for made, wanted in zip(kernels.measure(features), plain.measure(features.double()), strict=True):
        torch.testing.assert_close(made, wanted, rtol=1e-4, atol=1e-4)


CONVOLUTIONS = {
    "of stride 2": (16, 32, 3, 2, 1, "reflect", False, True, False),
    "with a residual sum, modulated": (32, 32, 3, 1, 1, "reflect", False, False, True),
    "of a doubled map": (64, 32, 3, 1, 2, "replicate", True, True, False),
    "of what is padded": (48, 16, 5, 1, 0, "reflect", False, True, False),
    "of many channels": (128, 128, 3, 1, 1, "reflect", False, True, False),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution(direct, name):
    inputs, outputs, kernel, stride, padding, mode, doubled, relu, residual = CONVOLUTIONS[name]
    x, bias = maps(2, inputs, 12, 10), vector(outputs)
    weight = maps(outputs, inputs, kernel, kernel, seed=3) / (inputs * kernel**2) ** 0.5
    wanted = functional.interpolate(x.float(), scale_factor=2, mode="nearest") if doubled else x.float()
    wanted = functional.conv2d(functional.pad(wanted, [padding] * 4, mode), weight.float(), bias, stride)
    skip = maps(*wanted.shape, seed=4) if residual else None
    modulation = code(2, 100, 7)[:, 20 : 20 + 2 * outputs] if residual else None
    if skip is not None and modulation is not None:
        gain, shift = modulation[..., None, None].chunk(2, 1)
        wanted = (wanted + skip) * gain + shift
    by = direct.Direct.of(weight, bias, stride, padding, mode, relu=relu)
    made = direct.convolve(x, by, doubled=doubled, skip=skip, modulation=modulation)
    near(made, wanted.relu() if relu else wanted)


@pytest.mark.parametrize("kernel", [3, 5])
def test_the_first_convolution(direct, kernels, kernel):
    image = torch.randint(256, (2, 16, 24, 3), dtype=torch.uint8, device=DEVICE)
    entered = kernels.enter(image, kernel // 2, "reflect", torch.float16)
    weight, bias = maps(16, 8, kernel, kernel, seed=3) / (100 * kernel), vector(16)
    by = direct.Direct.of_padded(weight, bias, relu=True)
    near(direct.convolve(entered, by), functional.conv2d(entered.float(), weight.float(), bias).relu())


def test_the_last_convolution(direct):
    x, weight, bias = maps(2, 16, 20, 16), maps(16, 16, 5, 5, seed=3), 9 * vector(16) + 100
    out = torch.zeros(2, 16, 12, 3, dtype=torch.uint8, device=DEVICE)
    direct.convolve_out(x, direct.Direct.of(weight, bias, 1, 0, "reflect", relu=False), out)
    wanted = functional.conv2d(x.float(), weight.float(), bias)[:, :3].permute(0, 2, 3, 1).round().clamp(0, 255)
    assert (out.float() - wanted).abs().max() <= 1
