"""The interface over CUDA: that each call is checked, and what is said where there is no GPU."""

from __future__ import annotations

import gc
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from enum import IntEnum
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from cuda.bindings import runtime as bindings
from tests.runtime.fake_cuda import FakeCuda

from adain_models.errors import AdainError
from adain_rt import cuda
from adain_rt.cuda import Copy, OutOfGpuMemory
from adain_rt.cuda.owners import DeviceBuffer, Event, Graph, PinnedBuffer, Stream

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


def test_nothing_installed_is_one_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(cuda, "_is_installed", lambda _: False)
    assert cuda.hindrance() == "there is no access to CUDA; pip install cuda-bindings"


def test_a_broken_installation_is_one_line(monkeypatch):
    monkeypatch.setattr(cuda, "_is_installed", lambda package: package == "pycuda")
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.delitem(sys.modules, "adain_rt.cuda.pycuda", raising=False)
    said = cuda.hindrance()
    assert said is not None
    assert said.startswith("pycuda cannot be loaded (")
    assert "\n" not in said


def test_on_this_machine_what_is_true_is_said():
    """For real: a GPU is opened, or one line says why none is."""
    said = cuda.hindrance()
    if said is None:
        assert cuda.open_cuda().gpu.total_bytes > 0
    else:
        assert said.startswith(
            ("no NVIDIA GPU is here, or its driver is missing or too old: ", "there is no access to CUDA; ")
        )
        assert "\n" not in said
        with pytest.raises(AdainError):
            cuda.open_cuda()


def test_the_light_runtime_loads_nothing_of_it():
    code = (
        "import sys, adain_rt, adain_rt.cli; from adain_rt import Stylizer; "
        "print([name for name in ('cuda', 'pycuda', 'tensorrt', 'tensorrt_rtx', 'torch', 'onnxruntime', "
        "'adain_rt.cuda') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "[]\n"


NUMBERS = count(1 << 20, 256)
LOG: list[Any] = []
"""What was done with pycuda's objects."""


class Allocation:
    """pycuda's memory, but for the memory."""

    def __init__(self) -> None:
        self.address = next(NUMBERS)

    def __int__(self) -> int:
        return self.address

    def free(self) -> None:
        LOG.append(("free", self.address))


class PyCudaStream:
    def __init__(self, flags: int) -> None:
        assert flags == 1
        self.handle = next(NUMBERS)

    def synchronize(self) -> None:
        LOG.append(("synchronize", self.handle))

    def wait_for_event(self, event: PyCudaEvent) -> None:
        LOG.append(("wait", self.handle, event))


class PyCudaEvent:
    def __init__(self, flags: int) -> None:
        assert flags == 2  # without times, which take a GPU's time

    def record(self, stream: PyCudaStream | None) -> None:
        LOG.append(("record", self, stream and stream.handle))

    def synchronize(self) -> None:
        LOG.append(("synchronize event", self))


class Context:
    pushed = 0

    def push(self) -> None:
        Context.pushed += 1

    @staticmethod
    def pop() -> None:
        Context.pushed -= 1

    @staticmethod
    def synchronize() -> None:
        LOG.append(("synchronize all",))


class PyCudaError(Exception):
    pass


class PyCudaMemoryError(PyCudaError):
    pass


def mem_alloc(nbytes: int) -> Allocation:
    if nbytes > 1 << 30:
        raise PyCudaMemoryError("cuMemAlloc failed: out of memory")
    return Allocation()


def noted(name: str) -> Callable[..., None]:
    return lambda *arguments: LOG.append((name, *arguments))


DRIVER = {
    "Error": PyCudaError,
    "MemoryError": PyCudaMemoryError,
    "Stream": PyCudaStream,
    "Event": PyCudaEvent,
    "event_flags": SimpleNamespace(DISABLE_TIMING=2),
    "Context": Context,
    "init": lambda: None,
    "mem_alloc": mem_alloc,
    "mem_get_info": lambda: (5, 9),
    "pagelocked_empty": np.empty,
    "get_driver_version": lambda: 13000,
    "Device": lambda _: SimpleNamespace(
        retain_primary_context=Context,
        compute_capability=lambda: (8, 6),
        name=lambda: "RTX 3090",
        total_memory=lambda: 24,
    ),
} | {name: noted(name) for name in ("memcpy_htod_async", "memcpy_dtoh_async", "memcpy_dtod_async")}
"""In the place of ``pycuda.driver``: notes what is done."""


@pytest.fixture
def driver(monkeypatch) -> Iterator[list[Any]]:
    """``pycuda``, replaced; what was done with it."""
    package, fake = ModuleType("pycuda"), ModuleType("pycuda.driver")
    vars(fake).update(DRIVER)
    package.driver = fake  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", fake)
    monkeypatch.delitem(sys.modules, "adain_rt.cuda.pycuda", raising=False)
    monkeypatch.setattr(cuda, "_is_installed", lambda package: package == "pycuda")
    LOG.clear()
    yield LOG
    assert Context.pushed == 0  # a thread that ends with a context pushed ends the process


def test_pycuda_is_the_other_choice(driver):
    opened = cuda.open_cuda()
    assert opened.gpu == cuda.Gpu("RTX 3090", "8.6", "13.0", 24)
    assert not opened.can_capture
    with opened.current():
        assert Context.pushed == 1
        assert opened.free_bytes() == 5
        with pytest.raises(AdainError, match="cannot capture"):
            opened.capture(1, lambda: None)


def test_pycuda_copies_between_what_it_gave(driver):
    opened = cuda.open_cuda()
    with opened.current():
        device, host, stream = opened.allocate(8), opened.allocate_pinned(8), opened.create_stream()
        opened.copy(device, host, 8, Copy.TO_DEVICE, stream)
        opened.copy(host, device, 8, Copy.TO_HOST, stream)
        opened.copy(device, device + 4, 4, Copy.ON_DEVICE, stream)
    sent, received, moved = driver
    assert (sent[0], sent[1], sent[2].ctypes.data, sent[2].nbytes) == ("memcpy_htod_async", device, host, 8)
    assert (received[0], received[1].ctypes.data, received[2]) == ("memcpy_dtoh_async", host, device)
    assert moved[:4] == ("memcpy_dtod_async", device, device + 4, 4)
    assert {entry[-1].handle for entry in driver} == {stream}


def test_pycuda_waits_on_the_host_for_streams_that_are_not_its_own(driver):
    opened = cuda.open_cuda()
    with opened.current():
        ours, event = opened.create_stream(), opened.create_event()
        opened.record(event, 77)
        opened.wait(ours, event)
        opened.record(event, ours)
        opened.wait(77, event)
    assert [entry[0] for entry in driver] == ["synchronize all", "record", "wait", "record", "synchronize event"]


def test_pycuda_frees_once_and_its_errors_are_ours(driver):
    opened = cuda.open_cuda()
    with opened.current():
        buffer = DeviceBuffer(opened, 8)
        address = buffer.handle
        buffer.close()
        buffer.close()
        with pytest.raises(OutOfGpuMemory, match=r"\Athe GPU failed in cuMemAlloc failed: out of memory\Z"):
            opened.allocate(1 << 40)
    assert driver == [("free", address)]


def test_owners_free_what_they_own_once():
    fake = FakeCuda()
    with fake.current():
        stream = Stream(fake)
        owners = [DeviceBuffer(fake, 8), PinnedBuffer(fake, (2, 2), "float32"), Event(fake)]
        owners.append(Graph(fake, stream, lambda: None))
    # a stream has an event of its own
    assert (len(fake.memory), len(fake.pinned), len(fake.events), len(fake.graphs)) == (1, 1, 2, 1)
    for owner in owners[:2]:
        owner.close()
        owner.close()
    del owners, owner, stream
    gc.collect()
    assert (fake.memory, fake.pinned, fake.events, fake.graphs) == ({}, {}, {}, {})


def test_owners_of_a_lost_gpu_go_quietly(monkeypatch):
    fake = FakeCuda()

    def lost(_: int) -> None:
        raise AdainError("the GPU failed in cudaFree (cudaErrorIllegalAddress: in words)")

    monkeypatch.setattr(fake, "free", lost)
    with fake.current():
        DeviceBuffer(fake, 8).close()


def test_nothing_is_freed_at_exit():
    """The driver takes all back then, and may be gone before."""
    code = (
        "from adain_rt.cuda.owners import DeviceBuffer\n"
        "class Cuda:\n"
        "    allocate = staticmethod(lambda nbytes: 256)\n"
        "    free = staticmethod(lambda address: print('freed'))\n"
        "kept = DeviceBuffer(Cuda(), 8)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert (done.stdout, done.stderr) == ("", "")


def test_the_modules_are_the_interface():
    """What both offer is what ``Cuda`` asks for, and what the fake pretends."""
    wanted = {name for name in vars(cuda.Cuda) if not name.startswith("_")} | {"gpu", "can_capture"}
    offered = {name for name in dir(FakeCuda()) if not name.startswith("_")}
    assert wanted <= offered


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
