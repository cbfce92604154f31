"""CUDA through cuda-python: each call is checked, and fits the real bindings."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from enum import IntEnum
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from cuda.bindings import runtime as bindings

from adain_models.errors import AdainError
from adain_rt import cuda
from adain_rt.cuda import Copy, OutOfGpuMemory

Error = IntEnum(
    "Error",
    {
        "cudaSuccess": 0,
        "cudaErrorMemoryAllocation": 2,
        "cudaErrorInsufficientDriver": 35,
        "cudaErrorIllegalAddress": 700,
    },
)
"""Some of CUDA's, by their real numbers."""


class Runtime(ModuleType):
    """In the place of ``cuda.bindings.runtime``: every function succeeds, but for those in ``errors``."""

    cudaError_t = Error  # noqa: N815 - the bindings' name
    cudaMemcpyKind = IntEnum("cudaMemcpyKind", {"HostToDevice": 1, "DeviceToHost": 2, "DeviceToDevice": 3})  # noqa: N815
    cudaStreamCaptureMode = SimpleNamespace(cudaStreamCaptureModeThreadLocal="thread local")  # noqa: N815
    cudaStreamNonBlocking, cudaHostAllocDefault, cudaEventDisableTiming = 1, 0, 2  # noqa: N815

    values = {
        "cudaGetDevice": (0,),
        "cudaGetDeviceCount": (1,),
        "cudaDriverGetVersion": (13040,),
        "cudaMemGetInfo": (5, 9),
        "cudaGetDeviceProperties": (SimpleNamespace(name=b"H200\0\0", major=9, minor=0, totalGlobalMem=141),),
    } | dict.fromkeys(
        [
            "cudaMalloc",
            "cudaHostAlloc",
            "cudaStreamCreateWithFlags",
            "cudaEventCreateWithFlags",
            "cudaStreamEndCapture",
            "cudaGraphInstantiate",
        ],
        (4096,),
    )

    def __init__(self) -> None:
        super().__init__("cuda.bindings.runtime")
        self.called: list[tuple[str, tuple[Any, ...]]] = []
        self.errors: dict[str, Error] = {}

    def cudaGetErrorName(self, error: Error) -> tuple[Error, bytes]:  # noqa: N802
        return Error.cudaSuccess, error.name.encode()

    def cudaGetErrorString(self, _: Error) -> tuple[Error, bytes]:  # noqa: N802
        return Error.cudaSuccess, b"in words"

    def __getattr__(self, name: str) -> Callable[..., tuple[Any, ...]]:
        if not name.startswith("cuda"):
            raise AttributeError(name)

        def function(*arguments: Any) -> tuple[Any, ...]:
            self.called.append((name, arguments))
            values = self.values.get(name, ())
            error = self.errors.get(name, Error.cudaSuccess)
            return (error, *(values if error is Error.cudaSuccess else (None,) * len(values)))

        function.__name__ = name
        return function


@pytest.fixture
def runtime(monkeypatch) -> Runtime:
    """The bindings' runtime API, replaced."""
    fake = Runtime()
    bindings = ModuleType("cuda.bindings")
    bindings.runtime = fake  # type: ignore[attr-defined]
    for name, module in (("cuda", ModuleType("cuda")), ("cuda.bindings", bindings), ("cuda.bindings.runtime", fake)):
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.delitem(sys.modules, "adain_rt.cuda.cuda_python", raising=False)
    monkeypatch.setattr(cuda, "_is_installed", lambda package: package == "cuda.bindings")
    return fake


CALLS: dict[str, tuple[Callable[[Any], Any], tuple[Any, ...]]] = {
    "cudaMemGetInfo": (lambda each: each.free_bytes(), ()),
    "cudaMalloc": (lambda each: each.allocate(7), (7,)),
    "cudaFree": (lambda each: each.free(4096), (4096,)),
    "cudaHostAlloc": (lambda each: each.allocate_pinned(7), (7, 0)),
    "cudaFreeHost": (lambda each: each.free_pinned(4096), (4096,)),
    "cudaMemcpyAsync": (lambda each: each.copy(1, 2, 3, Copy.TO_HOST, 4), (1, 2, 3, 2, 4)),
    "cudaStreamCreateWithFlags": (lambda each: each.create_stream(), (1,)),
    "cudaStreamDestroy": (lambda each: each.destroy_stream(4), (4,)),
    "cudaStreamSynchronize": (lambda each: each.synchronize(4), (4,)),
    "cudaEventCreateWithFlags": (lambda each: each.create_event(), (2,)),
    "cudaEventDestroy": (lambda each: each.destroy_event(5), (5,)),
    "cudaEventRecord": (lambda each: each.record(5, 4), (5, 4)),
    "cudaStreamWaitEvent": (lambda each: each.wait(4, 5), (4, 5, 0)),
    "cudaStreamBeginCapture": (lambda each: each.capture(4, lambda: None), (4, "thread local")),
    "cudaStreamEndCapture": (lambda each: each.capture(4, lambda: None), (4,)),
    "cudaGraphInstantiate": (lambda each: each.capture(4, lambda: None), (4096, 0)),
    "cudaGraphDestroy": (lambda each: each.capture(4, lambda: None), (4096,)),
    "cudaGraphLaunch": (lambda each: each.launch(8, 4), (8, 4)),
    "cudaGraphExecDestroy": (lambda each: each.destroy_graph(8), (8,)),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_function_is_called_and_its_error_is_named(runtime, name):
    opened = cuda.open_cuda()
    call, arguments = CALLS[name]
    call(opened)
    assert (name, arguments) in runtime.called
    runtime.errors[name] = Error.cudaErrorIllegalAddress
    with pytest.raises(AdainError, match=rf"\Athe GPU failed in {name} \(cudaErrorIllegalAddress: in words\)\Z"):
        call(opened)
    assert "cudaGetLastError" in dict(runtime.called)  # so that nobody else trips over it


def test_too_little_memory_has_a_type_of_its_own(runtime):
    opened = cuda.open_cuda()
    runtime.errors["cudaMalloc"] = Error.cudaErrorMemoryAllocation
    with pytest.raises(OutOfGpuMemory):
        opened.allocate(1 << 40)
    runtime.errors["cudaHostAlloc"] = Error.cudaErrorMemoryAllocation
    with pytest.raises(AdainError, match="the host has too little memory that can be pinned") as caught:
        opened.allocate_pinned(1 << 40)
    assert not isinstance(caught.value, OutOfGpuMemory)


def test_the_gpu_is_described(runtime):
    assert cuda.open_cuda().gpu == cuda.Gpu("H200", "9.0", "13.4", 141)
    assert cuda.hindrance() is None


def test_the_threads_gpu_is_set_and_restored(runtime):
    runtime.values = runtime.values | {"cudaGetDevice": (3,)}
    with cuda.open_cuda().current():
        assert runtime.called[-1] == ("cudaSetDevice", (0,))
    assert runtime.called[-1] == ("cudaSetDevice", (3,))


def test_a_capture_that_fails_half_way_is_ended(runtime):
    def work() -> None:
        raise AdainError("half way")

    with pytest.raises(AdainError, match="half way"):
        cuda.open_cuda().capture(4, work)
    assert [name for name, _ in runtime.called[-2:]] == ["cudaStreamEndCapture", "cudaGraphDestroy"]


def test_no_driver_is_one_line(runtime):
    runtime.errors["cudaGetDeviceCount"] = Error.cudaErrorInsufficientDriver
    assert cuda.hindrance() == (
        "no NVIDIA GPU is here, or its driver is missing or too old: "
        "the GPU failed in cudaGetDeviceCount (cudaErrorInsufficientDriver: in words)"
    )
    with pytest.raises(AdainError):
        cuda.open_cuda()


def returned(function: Callable[..., Any]) -> int:
    """How many values a function of the real bindings returns, as its docstring lists them: the error, and others."""
    listed = (inspect.getdoc(function) or "").partition("\nReturns\n-------\n")[2]
    own = re.split(r"^\w[\w ]*\n-{4,}$", listed, maxsplit=1, flags=re.MULTILINE)[0]
    return len(re.findall(r"^(?:cudaError_t$|\w+ : )", own, re.MULTILINE))


def test_every_call_fits_the_real_bindings(runtime):
    """Each function by its name, with its arguments, and as many values as are expected of it."""
    opened = cuda.open_cuda()
    with opened.current():
        for call, _ in CALLS.values():
            call(opened)
    runtime.errors["cudaFree"] = Error.cudaErrorIllegalAddress
    with pytest.raises(AdainError):
        opened.free(4096)
    assert {name for name, _ in runtime.called} >= {*CALLS, "cudaSetDevice", "cudaGetLastError"}
    for name, arguments in runtime.called:
        function = getattr(bindings, name)
        inspect.signature(function).bind(*arguments)
        assert returned(function) == 1 + len(runtime.values.get(name, ())), name


def test_the_real_bindings_have_the_constants_and_say_errors_in_bytes():
    for name in ("cudaStreamNonBlocking", "cudaHostAllocDefault", "cudaEventDisableTiming"):
        assert getattr(bindings, name) == getattr(Runtime, name)
    assert {error.name: int(error) for error in Error}.items() <= {
        name: int(member) for name, member in bindings.cudaError_t.__members__.items()
    }.items()
    assert bindings.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
    assert [bindings.cudaMemcpyKind(int(kind)).name for kind in Copy] == [
        "cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost", "cudaMemcpyDeviceToDevice"
    ]  # fmt: skip
    success = bindings.cudaError_t.cudaSuccess
    assert bindings.cudaGetErrorName(success) == (success, b"cudaSuccess")
    assert bindings.cudaGetErrorString(success) == (success, b"no error")
    properties = bindings.cudaDeviceProp()
    assert all(hasattr(properties, name) for name in ("name", "major", "minor", "totalGlobalMem"))
