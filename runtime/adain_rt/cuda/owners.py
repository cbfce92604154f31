"""Owners of things on the GPU, each freed once: when it is closed, or else when its owner is collected."""

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
    """Holds a handle and the function that frees it. At exit nothing is freed: the driver frees all of a process."""

    def __init__(self, handle: int, free: Callable[[int], None]) -> None:
        self.handle = handle
        self._free = weakref.finalize(self, _free, free, handle)
        self._free.atexit = False

    def close(self) -> None:
        """Free it now; nothing may work on it any more."""
        self._free()


def _free(free: Callable[[int], None], handle: int) -> None:
    with suppress(AdainError):  # of a lost GPU, which has failed with its own error before
        free(handle)


class DeviceBuffer(_Owner):
    """Memory on the GPU. ``handle`` is its address, which is a multiple of 256."""

    def __init__(self, cuda: Cuda, nbytes: int) -> None:
        super().__init__(cuda.allocate(nbytes), cuda.free)
        self.nbytes = nbytes


class PinnedBuffer(_Owner):
    """Memory on the host that the GPU reads and writes by itself, for an array of some shape and type.

    ``array`` is a view of it, which may not be used once the memory is freed.
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
    """Work that was captured from a stream, and can be launched many times."""

    def __init__(self, cuda: Cuda, stream: Stream, work: Callable[[], None]) -> None:
        super().__init__(cuda.capture(stream.handle, work), cuda.destroy_graph)


class Stream(_Owner):
    """A queue of work for the GPU, which runs beside other streams."""

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
        """Let later work on this stream wait for all that is on another stream now."""
        order(self._cuda, self._event, first=other, then=self.handle)

    def awaited_by(self, other: int) -> None:
        """Let later work on another stream wait for all that is on this one now."""
        order(self._cuda, self._event, first=self.handle, then=other)

    def synchronize(self) -> None:
        """Wait until the work is done."""
        self._cuda.synchronize(self.handle)

    def close(self) -> None:
        """Free the stream and its event now; nothing may be under way on it."""
        self._event.close()
        super().close()


def order(cuda: Cuda, event: Event, *, first: int, then: int) -> None:
    """Let later work on the stream ``then`` wait for all that is on the stream ``first`` now.

    Args:
        cuda: the GPU.
        event: any event; it can be used again at once, since the wait keeps what the event stood for.
        first: the handle of a stream of any library.
        then: likewise.

    """
    cuda.record(event.handle, first)
    cuda.wait(then, event.handle)
