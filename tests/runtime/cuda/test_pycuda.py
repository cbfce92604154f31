"""CUDA through pycuda, with a fake in its place that notes what is done."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adain_models.errors import AdainError
from adain_rt import cuda
from adain_rt.cuda import Copy, OutOfGpuMemory
from adain_rt.cuda.owners import DeviceBuffer

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
