"""CUDA through ``cuda-python``: the runtime API, as its bindings have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from cuda.bindings import runtime

from adain_models.errors import AdainError
from adain_rt.cuda import Copy, Gpu, OutOfGpuMemory

__all__ = ["CudaPython", "checked", "open_first"]

_DEVICE = 0  # the first of those that CUDA_VISIBLE_DEVICES lets be seen

_KINDS = {kind: runtime.cudaMemcpyKind(int(kind)) for kind in Copy}


def checked(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of CUDA, and return what it gives beside its error code: nothing, one value, or a tuple.

    Raises:
        OutOfGpuMemory: it says that memory does not suffice.
        AdainError: it says that anything else is wrong.

    """
    error, *values = function(*arguments)
    if error == runtime.cudaError_t.cudaSuccess:
        return values[0] if len(values) == 1 else tuple(values) or None
    runtime.cudaGetLastError()  # else the next library that asks takes it for its own
    _, name = runtime.cudaGetErrorName(error)
    _, text = runtime.cudaGetErrorString(error)
    line = f"the GPU failed in {function.__name__} ({name.decode()}: {text.decode()})"
    if error == runtime.cudaError_t.cudaErrorMemoryAllocation:
        raise OutOfGpuMemory(line)
    raise AdainError(line)


class CudaPython:
    """The interface's functions; see ``adain_rt.cuda.Cuda``."""

    can_capture = True

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu

    @contextmanager
    def current(self) -> Iterator[None]:
        """Set the calling thread's GPU; what it was is restored, for the other libraries there."""
        before = checked(runtime.cudaGetDevice)
        checked(runtime.cudaSetDevice, _DEVICE)  # even if it is the same: this makes its context, which TensorRT needs
        try:
            yield
        finally:
            if before != _DEVICE:
                checked(runtime.cudaSetDevice, before)

    def free_bytes(self) -> int:
        """Return how much memory is left."""
        free, _ = checked(runtime.cudaMemGetInfo)
        return int(free)

    def allocate(self, nbytes: int) -> int:
        """Return new memory on the GPU."""
        return int(checked(runtime.cudaMalloc, nbytes))

    def free(self, address: int) -> None:
        """Give it back."""
        checked(runtime.cudaFree, address)

    def allocate_pinned(self, nbytes: int) -> int:
        """Return new pinned memory."""
        try:
            return int(checked(runtime.cudaHostAlloc, nbytes, runtime.cudaHostAllocDefault))
        except OutOfGpuMemory as error:
            raise AdainError(f"the host has too little memory that can be pinned: {error}") from None

    def free_pinned(self, address: int) -> None:
        """Give it back."""
        checked(runtime.cudaFreeHost, address)

    def copy(self, target: int, source: int, nbytes: int, kind: Copy, stream: int) -> None:
        """Put a copy on a stream."""
        checked(runtime.cudaMemcpyAsync, target, source, nbytes, _KINDS[kind], stream)

    def create_stream(self) -> int:
        """Return a new stream."""
        return int(checked(runtime.cudaStreamCreateWithFlags, runtime.cudaStreamNonBlocking))

    def destroy_stream(self, stream: int) -> None:
        """Destroy it."""
        checked(runtime.cudaStreamDestroy, stream)

    def synchronize(self, stream: int) -> None:
        """Wait for it."""
        checked(runtime.cudaStreamSynchronize, stream)

    def create_event(self) -> int:
        """Return a new event."""
        return int(checked(runtime.cudaEventCreateWithFlags, runtime.cudaEventDisableTiming))

    def destroy_event(self, event: int) -> None:
        """Destroy it."""
        checked(runtime.cudaEventDestroy, event)

    def record(self, event: int, stream: int) -> None:
        """Record it."""
        checked(runtime.cudaEventRecord, event, stream)

    def wait(self, stream: int, event: int) -> None:
        """Let a stream wait for it."""
        checked(runtime.cudaStreamWaitEvent, stream, event, 0)

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """Capture what ``work`` puts on a stream; what other threads do meanwhile is theirs."""
        checked(runtime.cudaStreamBeginCapture, stream, runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        try:
            work()
        except BaseException:
            with suppress(AdainError):  # the capture is spoilt, which is what it says
                checked(runtime.cudaGraphDestroy, checked(runtime.cudaStreamEndCapture, stream))
            raise
        graph = checked(runtime.cudaStreamEndCapture, stream)
        try:
            return int(checked(runtime.cudaGraphInstantiate, graph, 0))
        finally:
            checked(runtime.cudaGraphDestroy, graph)

    def launch(self, graph: int, stream: int) -> None:
        """Put a graph on a stream."""
        checked(runtime.cudaGraphLaunch, graph, stream)

    def destroy_graph(self, graph: int) -> None:
        """Destroy it."""
        checked(runtime.cudaGraphExecDestroy, graph)


def open_first() -> CudaPython:
    """Return CUDA on the first GPU.

    Raises:
        AdainError: there is no GPU, or no driver for it.

    """
    try:
        checked(runtime.cudaGetDeviceCount)
        facts = checked(runtime.cudaGetDeviceProperties, _DEVICE)
        version = checked(runtime.cudaDriverGetVersion)
    except AdainError as error:
        raise AdainError(f"no NVIDIA GPU is here, or its driver is missing or too old: {error}") from None
    return CudaPython(
        Gpu(
            name=bytes(facts.name).split(b"\0")[0].decode(),
            compute_capability=f"{facts.major}.{facts.minor}",
            driver=f"{version // 1000}.{version % 1000 // 10}",
            total_bytes=int(facts.totalGlobalMem),
        )
    )
