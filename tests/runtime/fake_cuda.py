"""A fake GPU: memory and streams on the host.

Work put on a stream is done when somebody waits for it, and not before, so that a result that is read too early is
wrong. Memory is garbage when it is new and when it is freed; whatever touches freed memory fails.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from math import prod
from threading import RLock, get_ident
from typing import Any

import numpy as np

from adain_models.errors import AdainError
from adain_rt.cuda import Copy, Gpu, OutOfGpuMemory

__all__ = ["ALIGNMENT", "FakeArray", "FakeCuda", "patched_dlpack_device"]

_LEGACY = 1
ALIGNMENT = 256
"""An address of the fake GPU is a multiple of this."""


class FakeCuda:
    """The interface of ``adain_rt.cuda.Cuda`` over the host's memory.

    ``calls`` are the names of what was called, in order. ``fail`` names functions that refuse. ``freed_early`` counts
    what was freed while there was work to do.
    """

    def __init__(self, total_bytes: int = 1 << 30, *, can_capture: bool = True) -> None:
        self.gpu = Gpu("Imaginary 9000", "8.9", "13.0", total_bytes)
        self.can_capture = can_capture
        self.calls: list[str] = []
        self.fail: set[str] = set()
        self.freed_early = 0
        self.memory: dict[int, np.ndarray] = {}
        self.pinned: dict[int, np.ndarray] = {}
        self.streams: dict[int, list[Callable[[], None]]] = {_LEGACY: []}
        self.events: dict[int, int | None] = {}
        self.done: set[int] = set()
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.capturing: dict[int, list[Callable[[], None]]] = {}
        self._holders: dict[int, bool] = {}
        self._backing: dict[int, np.ndarray] = {}
        self._numbers = count(1000)
        self._lock = RLock()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let the calling thread in."""
        before = self._holders.get(get_ident(), False)
        self._holders[get_ident()] = True
        try:
            yield
        finally:
            self._holders[get_ident()] = before

    def free_bytes(self) -> int:
        return self.gpu.total_bytes - sum(memory.nbytes for memory in self.memory.values())

    def allocate(self, nbytes: int) -> int:
        with self._call("allocate"):
            if nbytes > self.free_bytes():
                raise OutOfGpuMemory("the GPU failed in cudaMalloc (cudaErrorMemoryAllocation: out of memory)")
            return self._new(self.memory, nbytes)

    def free(self, address: int) -> None:
        """Wait for all streams, as ``cudaFree`` does, but count that there was a need to."""
        with self._lock:
            self.freed_early += any(self.streams.values())
            for stream in list(self.streams):
                self._work_off(stream)
            self.memory.pop(address)[:] = 0xDD

    def allocate_pinned(self, nbytes: int) -> int:
        with self._call("allocate_pinned"):
            return self._new(self.pinned, nbytes)

    def free_pinned(self, address: int) -> None:
        with self._lock:
            self.pinned.pop(address)[:] = 0xDD

    def copy(self, target: int, source: int, nbytes: int, kind: Copy, stream: int) -> None:
        places = {
            Copy.TO_DEVICE: (self.memory, self.pinned),
            Copy.TO_HOST: (self.pinned, self.memory),
            Copy.ON_DEVICE: (self.memory, self.memory),
        }[kind]

        def copy() -> None:
            self.view(target, nbytes, places[0])[:] = self.view(source, nbytes, places[1])

        with self._call("copy"):
            self.put(stream, copy)

    def create_stream(self) -> int:
        with self._call("create_stream"):
            stream = next(self._numbers)
            self.streams[stream] = []
            return stream

    def destroy_stream(self, stream: int) -> None:
        with self._lock:
            self._work_off(stream)
            del self.streams[stream]

    def synchronize(self, stream: int) -> None:
        with self._call("synchronize"):
            assert stream not in self.capturing, "nobody may wait while a stream is captured"
            self._work_off(stream)

    def create_event(self) -> int:
        with self._call("create_event"):
            event = next(self._numbers)
            self.events[event] = None
            return event

    def destroy_event(self, event: int) -> None:
        with self._lock:
            del self.events[event]

    def record(self, event: int, stream: int) -> None:
        with self._call("record"):
            mark = next(self._numbers)
            self.events[event] = mark
            self.put(stream, lambda: self.done.add(mark), (mark,))

    def wait(self, stream: int, event: int) -> None:
        with self._call("wait"):
            mark = self.events[event]
            if mark is not None:
                self.put(stream, lambda: self._reach(mark))

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        with self._call("capture"):
            self.capturing[stream] = []
            try:
                work()
            finally:
                captured = self.capturing.pop(stream)
            graph = next(self._numbers)
            self.graphs[graph] = captured
            return graph

    def launch(self, graph: int, stream: int) -> None:
        with self._call("launch"):
            for work in self.graphs[graph]:
                self.put(stream, work)

    def destroy_graph(self, graph: int) -> None:
        with self._lock:
            del self.graphs[graph]

    def put(self, stream: int, work: Callable[[], None], marks: tuple[int, ...] = ()) -> None:
        """Put work on a stream, or into the graph that is captured from it."""
        with self._lock:
            work.marks = marks  # type: ignore[attr-defined]
            self.capturing.get(stream, self.streams[stream]).append(work)

    def view(self, address: int, nbytes: int, among: Mapping[int, np.ndarray] | None = None) -> np.ndarray:
        """Return the bytes at an address, which must be in memory that is there."""
        for begin, memory in (self.memory if among is None else among).items():
            if begin <= address and address + nbytes <= begin + memory.nbytes:
                return memory[address - begin : address - begin + nbytes]
        raise AssertionError(f"{nbytes} bytes at {address} are not there")

    def _new(self, among: dict[int, np.ndarray], nbytes: int) -> int:
        block = np.full(nbytes + ALIGNMENT, 0xCD, np.uint8)
        address = -(-block.ctypes.data // ALIGNMENT) * ALIGNMENT
        offset = address - block.ctypes.data
        among[address] = block[offset : offset + nbytes]
        self._backing[address] = block  # stays, so that no address comes twice
        return address

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        assert self._holders.get(get_ident()), f"{name} outside of current()"
        with self._lock:
            self.calls.append(name)
            if name in self.fail:
                raise AdainError(f"the GPU failed in {name} (cudaErrorUnknown: unknown error)")
            yield

    def _work_off(self, stream: int) -> None:
        while self.streams[stream]:
            self.streams[stream].pop(0)()

    def _reach(self, mark: int) -> None:
        for stream in list(self.streams):
            if mark not in self.done and any(mark in work.marks for work in self.streams[stream]):
                self._work_off(stream)
        assert mark in self.done


class FakeArray:
    """Another library's array in the fake GPU's memory, made by work on a stream of that library."""

    def __init__(self, cuda: FakeCuda, content: np.ndarray, stream: int = _LEGACY) -> None:
        with cuda.current():
            self.address = cuda.allocate(content.nbytes)
        self.shape, self.dtype = content.shape, content.dtype
        self.strides: tuple[int, ...] | None = None
        self.offset = 0
        self.stream: int | None = stream
        self.read_only = False
        self._cuda = cuda
        kept = np.ascontiguousarray(content).view(np.uint8).reshape(-1).copy()

        def make() -> None:
            cuda.view(self.address, kept.nbytes)[:] = kept

        cuda.put(stream, make)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address + self.offset, self.read_only),
            "strides": self.strides,
            "stream": self.stream,
            "version": 3,
        }

    def numpy(self) -> np.ndarray:
        """What is there when all work on the stream is done."""
        with self._cuda.current():
            self._cuda.synchronize(self.stream or _LEGACY)
        nbytes = prod(self.shape) * self.dtype.itemsize
        return self._cuda.view(self.address, nbytes).view(self.dtype).reshape(self.shape).copy()


def patched_dlpack_device(capsule: Any, device: int) -> None:
    """Let a capsule of NumPy's say that its memory is on another device."""
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    pointer = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))
    ctypes.c_int32.from_address(pointer(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p)).value = device
