"""PyTorch's and CuPy's arrays in and out without a copy, in the right order."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from adain_models.errors import AdainError
from adain_rt.contract import GRAPHS

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _torch_has_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch sees no GPU")


class Interface:
    """An array that speaks ``__cuda_array_interface__`` alone."""

    def __init__(self, array: Any, stream: int | None = None) -> None:
        self._array, self._stream = array, stream
        self.shape, self.dtype = tuple(array.shape), array.dtype

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return dict(self._array.__cuda_array_interface__) | {"version": 3, "stream": self._stream}


class Torch:
    """PyTorch's arrays."""

    def put(self, array: np.ndarray) -> Any:
        return torch.from_numpy(array).cuda()

    def get(self, array: Any) -> np.ndarray:
        return torch.as_tensor(array, device="cuda").cpu().numpy()


class TorchInterface(Torch):
    """PyTorch's arrays through the other protocol."""

    def put(self, array: np.ndarray) -> Any:
        made = super().put(array)
        torch.cuda.synchronize()
        return Interface(made)

    def get(self, array: Any) -> np.ndarray:
        return super().get(getattr(array, "_array", array))


class CuPy:
    """CuPy's arrays."""

    def __init__(self) -> None:
        self.cupy = pytest.importorskip("cupy")

    def put(self, array: np.ndarray) -> Any:
        return self.cupy.asarray(array)

    def get(self, array: Any) -> np.ndarray:
        return self.cupy.asnumpy(self.cupy.asarray(array))


@pytest.fixture(params=[Torch, TorchInterface, CuPy])
def library(request) -> Any:
    return request.param()


def same(one: np.ndarray, other: np.ndarray) -> None:
    assert np.abs(one.astype(float) - other.astype(float)).max() <= (2 if one.dtype == np.uint8 else 1e-2)


@pytest.mark.parametrize("graph", GRAPHS)
def test_arrays_give_what_the_host_gives(opened, on_device, library, graph, inputs_of):
    backend = opened(on_device, "fp16")
    for seed in range(3):
        inputs = inputs_of(graph, 128, 192, seed=seed)
        made = backend.run_on_device(graph, {name: library.put(array) for name, array in inputs.items()})
        for one, other in zip(made, backend.run(graph, inputs), strict=True):
            same(library.get(one), other)


def test_an_array_of_the_callers_is_written(opened, on_device, library, inputs_of):
    backend, inputs = opened(on_device, "fp16"), inputs_of("stylize", 128, 192)
    target = library.put(np.zeros_like(inputs["image"]))
    arrays = {name: library.put(array) for name, array in inputs.items()}
    for _ in range(4):  # captured, as all addresses are those of before
        (made,) = backend.run_on_device("stylize", arrays, {"stylized": target})
        assert made is target
        same(library.get(target), backend.run("stylize", inputs)[0])


def test_work_on_the_callers_stream_is_waited_for_and_waits(opened, on_device, inputs_of):
    """Long work makes the picture, and reads the result: both on the caller's stream, with no waiting on the host."""
    backend, stream = opened(on_device, "fp16"), torch.cuda.Stream()
    inputs = inputs_of("stylize", 256, 256)
    style = {name: torch.from_numpy(inputs[name]).cuda() for name in ("style_mean", "style_std", "strength")}
    wanted = backend.run("stylize", inputs)[0]
    source, picture = torch.from_numpy(inputs["image"]).cuda(), torch.zeros(1, 256, 256, 3, dtype=torch.uint8).cuda()
    torch.cuda.synchronize()
    for _ in range(3):
        with torch.cuda.stream(stream):
            picture.zero_()
            torch.cuda._sleep(50_000_000)
            picture.copy_(source)
            (made,) = backend.run_on_device("stylize", style | {"image": picture}, stream=stream.cuda_stream)
            result = torch.as_tensor(made, device="cuda").clone()
        stream.synchronize()
        same(result.cpu().numpy(), wanted)


def test_dlpack_gives_our_arrays_to_pytorch_and_they_live_as_long_as_it_has_them(opened, on_device, inputs_of):
    backend, inputs = opened(on_device, "fp16"), inputs_of("stylize", 128, 192)
    (made,) = backend.run_on_device("stylize", inputs)
    tensor = torch.from_dlpack(made)
    assert tensor.data_ptr() == made.address
    del made
    backend.run_on_device("stylize", inputs_of("stylize", 128, 192, seed=5))
    same(tensor.cpu().numpy(), backend.run("stylize", inputs)[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda picture: picture.float(), "image must be uint8"),
        (lambda picture: picture.permute(0, 2, 1, 3), "image must be"),
        (lambda _: torch.zeros(1, 256, 192, 3, dtype=torch.uint8).cuda()[:, ::2], "must be C-contiguous"),
        (
            lambda _: torch.zeros(1 << 20, dtype=torch.uint8).cuda()[3 : 3 + 73728].view(1, 128, 192, 3),
            "begin at",
        ),
        (lambda picture: picture[..., :2], "image must be"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(opened, on_device, inputs_of, change, said):
    backend, inputs = opened(on_device, "fp16"), inputs_of("stylize", 128, 192)
    with pytest.raises(AdainError, match=said) as caught:
        backend.run_on_device("stylize", inputs | {"image": change(torch.from_numpy(inputs["image"]).cuda())})
    assert "\n" not in str(caught.value)
