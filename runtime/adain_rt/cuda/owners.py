"""What is owned on the GPU, each freed once: when it is closed, or else when nobody holds it any more."""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.cuda import Copy, Cuda

__all__ = ["DeviceBuffer", "Event", "Graph", "PinnedBuffer", "Stream", "order"]


class _Owner:
    """Holds a handle and what frees it. At exit nothing is freed: the driver takes all back from a process."""

    def __init__(self, handle: int, free: Callable[[int], None]) -> None:
        self.handle = handle
        self._free = weakref.finalize(self, _free, free, handle)
        self._free.atexit = False

    def close(self) -> None:
        """Free it now; what works on it must have been waited for."""
        self._free()


def _free(free: Callable[[int], None], handle: int) -> None:
    with suppress(AdainError):  # of a lost GPU, which has said so before
        free(handle)


class DeviceBuffer(_Owner):
    """Memory on the GPU. ``handle`` is its address, which is a multiple of 256."""

    def __init__(self, cuda: Cuda, nbytes: int) -> None:
        super().__init__(cuda.allocate(nbytes), cuda.free)
        self.nbytes = nbytes


class PinnedBuffer(_Owner):
    """Memory on the host that the GPU reads and writes by itself, of the shape and type of an array.

    ``array`` is a view of it, and is not to be used after it is closed.
    """

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: str) -> None:
        self.nbytes = math.prod(shape) * np.dtype(dtype).itemsize
        super().__init__(cuda.allocate_pinned(self.nbytes), cuda.free_pinned)
        memory = (ctypes.c_ubyte * self.nbytes).from_address(self.handle)
        self.array: NDArray[Any] = np.frombuffer(memoryview(memory), dtype).reshape(shape)


class Event(_Owner):
    """A point in the work of a stream."""

    def __init__(self, cuda: Cuda) -> None:
        super().__init__(cuda.create_event(), cuda.destroy_event)


class Graph(_Owner):
    """Work that was captured from a stream, to be launched again and again."""

    def __init__(self, cuda: Cuda, stream: Stream, work: Callable[[], None]) -> None:
        super().__init__(cuda.capture(stream.handle, work), cuda.destroy_graph)


class Stream(_Owner):
    """An order in which the GPU works, beside others."""

    def __init__(self, cuda: Cuda) -> None:
        super().__init__(cuda.create_stream(), cuda.destroy_stream)
        self._cuda = cuda
        self._event = Event(cuda)

    def copy(self, target: int, source: int, nbytes: int, kind: Copy) -> None:
        """Put a copy on the stream."""
        self._cuda.copy(target, source, nbytes, kind, self.handle)

    def launch(self, graph: Graph) -> None:
        """Put a graph on the stream."""
        self._cuda.launch(graph.handle, self.handle)

    def wait_for(self, other: int) -> None:
        """Let what comes wait for all that is on another stream now."""
        order(self._cuda, self._event, first=other, then=self.handle)

    def awaited_by(self, other: int) -> None:
        """Let what comes on another stream wait for all that is on this one now."""
        order(self._cuda, self._event, first=self.handle, then=other)

    def synchronize(self) -> None:
        """Wait until the work is done."""
        self._cuda.synchronize(self.handle)


def order(cuda: Cuda, event: Event, *, first: int, then: int) -> None:
    """Let what comes on a stream wait for all that is on another now; handles of any library's streams.

    The event is free again afterwards: who waits does so for what it stood for.
    """
    cuda.record(event.handle, first)
    cuda.wait(then, event.handle)
