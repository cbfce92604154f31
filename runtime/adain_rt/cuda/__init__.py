"""The GPU: memory, streams, events and graphs, through one small interface over CUDA.

``cuda-python`` is behind it, or ``pycuda``. Nothing here is imported until a backend that runs on a GPU asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Protocol

from adain_models.errors import AdainError

__all__ = ["INSTALL", "Copy", "Cuda", "Gpu", "OutOfGpuMemory", "hindrance", "open_cuda"]

INSTALL = "pip install cuda-bindings"


@dataclass(frozen=True)
class Gpu:
    """What a GPU is.

    Attributes:
        name: the product's.
        compute_capability: the architecture, such as ``8.9``.
        driver: the newest version of CUDA that the driver knows, such as ``13.0``.
        total_bytes: its memory.

    """

    name: str
    compute_capability: str
    driver: str
    total_bytes: int


class OutOfGpuMemory(AdainError):  # noqa: N818 - what happened, as MemoryError is none of ours
    """The GPU has less memory left than was asked for."""


class Copy(IntEnum):
    """From where to where bytes are copied; the numbers are CUDA's own (``cudaMemcpyKind``)."""

    TO_DEVICE = 1
    TO_HOST = 2
    ON_DEVICE = 3


class Cuda(Protocol):
    """CUDA's functions on the first GPU that it shows, with addresses and handles as integers.

    They are called within ``current``, but those that free and destroy, which may be called from any thread. All of
    them check what CUDA returns. ``owners`` has what frees by itself.

    Raises:
        OutOfGpuMemory: memory on the GPU does not suffice.
        AdainError: CUDA refuses, or the GPU is lost; the line names its function and error.

    """

    gpu: Gpu
    can_capture: bool

    def current(self) -> AbstractContextManager[None]:
        """Make the GPU the calling thread's, for the length of a ``with`` block."""

    def free_bytes(self) -> int:
        """Return how much memory the GPU has left."""

    def allocate(self, nbytes: int) -> int:
        """Return the address of new memory on the GPU."""

    def free(self, address: int) -> None:
        """Give memory on the GPU back."""

    def allocate_pinned(self, nbytes: int) -> int:
        """Return the address of new memory on the host from which the GPU copies by itself."""

    def free_pinned(self, address: int) -> None:
        """Give such memory back."""

    def copy(self, target: int, source: int, nbytes: int, kind: Copy, stream: int) -> None:
        """Put a copy on a stream; host memory is pinned, and stays as it is until the stream has come past."""

    def create_stream(self) -> int:
        """Return a new stream, which does not wait for the default stream."""

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream once it has done its work."""

    def synchronize(self, stream: int) -> None:
        """Wait until a stream has done its work."""

    def create_event(self) -> int:
        """Return a new event, which orders work and takes no times."""

    def destroy_event(self, event: int) -> None:
        """Destroy an event."""

    def record(self, event: int, stream: int) -> None:
        """Let an event stand for the work that is on a stream now; the stream may be another library's."""

    def wait(self, stream: int, event: int) -> None:
        """Let what is put on a stream from now on wait for an event; the stream may be another library's."""

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """Return the graph of what ``work`` puts on a stream, ready to launch; nothing of it is run."""

    def launch(self, graph: int, stream: int) -> None:
        """Put a graph on a stream."""

    def destroy_graph(self, graph: int) -> None:
        """Destroy a graph."""


_BINDINGS = {
    "cuda.bindings": "adain_rt.cuda.cuda_python",
    "pycuda": "adain_rt.cuda.pycuda",
}
"""What gives access to CUDA, and our module over it; the preferred first."""


def open_cuda() -> Cuda:
    """Return CUDA on the first GPU.

    Raises:
        AdainError: nothing that gives access to CUDA is installed, or there is no GPU.

    """
    for package, module in _BINDINGS.items():
        if _installed(package):
            opened: Cuda = _loaded(package, module).open_first()
            return opened
    raise AdainError(f"there is no access to CUDA: {INSTALL}")


def hindrance() -> str | None:
    """Say why no GPU can be used here, or ``None``; never raises."""
    try:
        open_cuda()
    except Exception as error:  # such as those of a broken installation
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None


def _loaded(package: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except Exception as error:  # of shared libraries that are not there, each in its own way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise AdainError(f"{package} cannot be loaded ({reason}): {INSTALL}") from None


def _installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the package around it
        return False
