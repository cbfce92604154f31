"""The GPU: memory, streams, events and graphs, through one small interface over CUDA.

The interface is implemented over ``cuda-python`` and over ``pycuda``; either is imported when a GPU is first asked for.
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
    """A GPU's description.

    Attributes:
        name: the product's name.
        compute_capability: the architecture, such as ``8.9``.
        driver: the newest version of CUDA that the driver supports, such as ``13.0``.
        total_bytes: the size of its memory.

    """

    name: str
    compute_capability: str
    driver: str
    total_bytes: int


class OutOfGpuMemory(AdainError):  # noqa: N818 - the name says what happened
    """The GPU has less memory left than was asked for."""


class Copy(IntEnum):
    """The direction of a copy; the numbers are CUDA's own (``cudaMemcpyKind``)."""

    TO_DEVICE = 1
    TO_HOST = 2
    ON_DEVICE = 3


class Cuda(Protocol):
    """CUDA's functions on the first GPU that CUDA shows. Addresses and handles are integers.

    Functions that free and destroy may be called from any thread; all others are called within ``current``. Each
    function checks CUDA's error code. ``owners`` has classes that free by themselves.

    Raises:
        OutOfGpuMemory: memory on the GPU does not suffice.
        AdainError: CUDA refuses, or the GPU is lost; the message names CUDA's function and error.

    """

    gpu: Gpu
    can_capture: bool

    def current(self) -> AbstractContextManager[None]:
        """Make the GPU the calling thread's within a ``with`` block."""

    def free_bytes(self) -> int:
        """Return how many bytes of the GPU's memory are free."""

    def allocate(self, nbytes: int) -> int:
        """Return the address of new memory on the GPU."""

    def free(self, address: int) -> None:
        """Free memory on the GPU."""

    def allocate_pinned(self, nbytes: int) -> int:
        """Return the address of new pinned memory on the host, which the GPU reads and writes by itself."""

    def free_pinned(self, address: int) -> None:
        """Free pinned memory."""

    def copy(self, target: int, source: int, nbytes: int, kind: Copy, stream: int) -> None:
        """Put a copy on a stream; host memory must be pinned, and stay unchanged until the copy is done."""

    def create_stream(self) -> int:
        """Return a new stream, which does not wait for the default stream."""

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream whose work is done."""

    def synchronize(self, stream: int) -> None:
        """Wait until a stream has done its work."""

    def create_event(self) -> int:
        """Return a new event, which orders work and does not measure time."""

    def destroy_event(self, event: int) -> None:
        """Destroy an event."""

    def record(self, event: int, stream: int) -> None:
        """Let an event stand for the work that is on a stream now; the stream may be another library's."""

    def wait(self, stream: int, event: int) -> None:
        """Let later work on a stream wait for an event; the stream may be another library's."""

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """Return the graph of the work that ``work`` puts on a stream, ready to launch; the work is not run."""

    def launch(self, graph: int, stream: int) -> None:
        """Put a graph on a stream."""

    def destroy_graph(self, graph: int) -> None:
        """Destroy a graph."""


_BINDINGS = {
    "cuda.bindings": "adain_rt.cuda.cuda_python",
    "pycuda": "adain_rt.cuda.pycuda",
}
"""The packages that give access to CUDA, each with our module over it; the preferred first."""


def open_cuda() -> Cuda:
    """Return CUDA on the first GPU.

    Raises:
        AdainError: no package that gives access to CUDA is installed, or there is no GPU.

    """
    for package, module in _BINDINGS.items():
        if _is_installed(package):
            opened: Cuda = _load(package, module).open_first()
            return opened
    raise AdainError("there is no access to CUDA", hint=INSTALL)


def hindrance() -> str | None:
    """Return why no GPU can be used here, or ``None``; it does not raise."""
    try:
        open_cuda()
    except Exception as error:  # a broken installation raises errors of any type
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None


def _load(package: str, module: str) -> ModuleType:
    try:
        return import_module(module)
    except Exception as error:  # missing shared libraries raise errors of any type
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise AdainError(f"{package} cannot be loaded ({reason})", hint=INSTALL) from None


def _is_installed(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # the package that should hold it is missing
        return False
