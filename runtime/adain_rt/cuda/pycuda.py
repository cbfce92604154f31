"""CUDA through ``pycuda``: the driver API, on the device's primary context, which PyTorch and TensorRT use as well.

pycuda cannot capture graphs. Where a stream waits for another library's stream, the calling thread waits instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from pycuda import driver

from adain_models.errors import AdainError
from adain_rt.cuda import Copy, Gpu, OutOfGpuMemory

__all__ = ["PyCuda", "open_first"]

_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING, which pycuda does not name


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Raise pycuda's errors as our own; pycuda checks each call itself."""
    try:
        yield
    except driver.MemoryError as error:
        raise OutOfGpuMemory(f"the GPU failed in {error}") from None
    except driver.Error as error:
        raise AdainError(f"the GPU failed in {error}") from None


class PyCuda:
    """Implements ``adain_rt.cuda.Cuda``. pycuda's objects are kept by address or handle."""

    can_capture = False

    def __init__(self, gpu: Gpu, context: Any) -> None:
        self.gpu = gpu
        self._context = context
        self._memory: dict[int, Any] = {}
        self._pinned: dict[int, Any] = {}
        self._streams: dict[int, Any] = {}
        self._events: dict[int, Any] = {}
        self._numbers = count(1)

    @contextmanager
    def current(self) -> Iterator[None]:
        """Push the context, and pop it: pycuda ends the process if a thread ends with a context pushed."""
        with _translate_errors():
            self._context.push()
        try:
            yield
        finally:
            with _translate_errors():
                driver.Context.pop()

    def free_bytes(self) -> int:
        """Return how many bytes are free."""
        with _translate_errors():
            return int(driver.mem_get_info()[0])

    def allocate(self, nbytes: int) -> int:
        """Return new memory on the GPU."""
        with _translate_errors():
            memory = driver.mem_alloc(nbytes)
        self._memory[int(memory)] = memory
        return int(memory)

    def free(self, address: int) -> None:
        """Free memory on the GPU."""
        with _translate_errors():
            self._memory.pop(address).free()

    def allocate_pinned(self, nbytes: int) -> int:
        """Return new pinned memory."""
        try:
            with _translate_errors():
                memory = driver.pagelocked_empty(nbytes, "uint8")
        except OutOfGpuMemory as error:
            raise AdainError(f"the host has too little memory that can be pinned: {error}") from None
        address = int(memory.ctypes.data)
        self._pinned[address] = memory
        return address

    def free_pinned(self, address: int) -> None:
        """Free pinned memory."""
        with _translate_errors():
            self._pinned.pop(address).base.free()

    def copy(self, target: int, source: int, nbytes: int, kind: Copy, stream: int) -> None:
        """Put a copy on a stream."""
        order = self._streams[stream]
        with _translate_errors():
            if kind is Copy.TO_DEVICE:
                driver.memcpy_htod_async(target, self._pinned[source][:nbytes], order)
            elif kind is Copy.TO_HOST:
                driver.memcpy_dtoh_async(self._pinned[target][:nbytes], source, order)
            else:
                driver.memcpy_dtod_async(target, source, nbytes, order)

    def create_stream(self) -> int:
        """Return a new stream."""
        with _translate_errors():
            stream = driver.Stream(_NON_BLOCKING)
        self._streams[stream.handle] = stream
        return int(stream.handle)

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream."""
        del self._streams[stream]

    def synchronize(self, stream: int) -> None:
        """Wait until a stream has done its work."""
        with _translate_errors():
            self._streams[stream].synchronize()

    def create_event(self) -> int:
        """Return a number of our own for a new event, since pycuda does not show its handle."""
        with _translate_errors():
            event = driver.Event(driver.event_flags.DISABLE_TIMING)
        number = next(self._numbers)
        self._events[number] = event
        return number

    def destroy_event(self, event: int) -> None:
        """Destroy an event."""
        del self._events[event]

    def record(self, event: int, stream: int) -> None:
        """Let an event stand for the work on a stream; for another library's stream, wait for all work on the GPU."""
        with _translate_errors():
            if stream not in self._streams:
                driver.Context.synchronize()
            self._events[event].record(self._streams.get(stream))

    def wait(self, stream: int, event: int) -> None:
        """Let a stream wait for an event; for another library's stream, this thread waits."""
        with _translate_errors():
            if stream in self._streams:
                self._streams[stream].wait_for_event(self._events[event])
            else:
                self._events[event].synchronize()

    def capture(self, stream: int, work: Callable[[], None]) -> int:  # noqa: ARG002 - the interface's
        """Refuse: pycuda cannot capture."""
        raise AdainError("pycuda cannot capture CUDA graphs")

    def launch(self, graph: int, stream: int) -> None:  # noqa: ARG002 - the interface's
        """Refuse: there is no graph."""
        raise AdainError("pycuda cannot launch CUDA graphs")

    def destroy_graph(self, graph: int) -> None:
        """Do nothing: there is no graph."""


def open_first() -> PyCuda:
    """Return CUDA on the first GPU.

    Raises:
        AdainError: there is no GPU, or its driver is missing or too old.

    """
    try:
        with _translate_errors():
            driver.init()
            device = driver.Device(0)
            context = device.retain_primary_context()
            major, minor = device.compute_capability()
            version = driver.get_driver_version()
            gpu = Gpu(
                name=device.name(),
                compute_capability=f"{major}.{minor}",
                driver=f"{version // 1000}.{version % 1000 // 10}",
                total_bytes=int(device.total_memory()),
            )
    except AdainError as error:
        raise AdainError(f"no NVIDIA GPU is here, or its driver is missing or too old: {error}") from None
    return PyCuda(gpu, context)
