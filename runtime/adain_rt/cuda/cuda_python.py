"""CUDA through ``cuda-python``, in the runtime API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from cuda.bindings import runtime

from adain_models.errors import AdainError
from adain_rt.cuda import Copy, Gpu, OutOfGpuMemory

__all__ = ["CudaPython", "call", "open_first"]

_DEVICE = 0  # the first of those that CUDA_VISIBLE_DEVICES shows

_KINDS = {kind: runtime.cudaMemcpyKind(int(kind)) for kind in Copy}


def call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of CUDA, and return its results without the error code: ``None``, one value, or a tuple.

    Raises:
        OutOfGpuMemory: the error code says that memory does not suffice.
        AdainError: the error code says that anything else is wrong.

    """
    error, *values = function(*arguments)
    if error == runtime.cudaError_t.cudaSuccess:
        return values[0] if len(values) == 1 else tuple(values) or None
    runtime.cudaGetLastError()  # else the next library that asks takes the error for its own
    _, name = runtime.cudaGetErrorName(error)
    _, text = runtime.cudaGetErrorString(error)
    line = f"the GPU failed in {function.__name__} ({name.decode()}: {text.decode()})"
    if error == runtime.cudaError_t.cudaErrorMemoryAllocation:
        raise OutOfGpuMemory(line)
    raise AdainError(line)


class CudaPython:
    """Implements ``adain_rt.cuda.Cuda``."""

    can_capture = True

    def __init__(self, gpu: Gpu) -> None:
        self.gpu = gpu

    @contextmanager
    def current(self) -> Iterator[None]:
        """Set the calling thread's GPU, and restore the earlier one at the end, for other libraries in the thread."""
        before = call(runtime.cudaGetDevice)
        call(runtime.cudaSetDevice, _DEVICE)  # even if it is the same: this makes the context that TensorRT needs
        try:
            yield
        finally:
            if before != _DEVICE:
                call(runtime.cudaSetDevice, before)

    def free_bytes(self) -> int:
        """Return how many bytes are free."""
        free, _ = call(runtime.cudaMemGetInfo)
        return int(free)

    def allocate(self, nbytes: int) -> int:
        """Return new memory on the GPU."""
        return int(call(runtime.cudaMalloc, nbytes))

    def free(self, address: int) -> None:
        """Free memory on the GPU."""
        call(runtime.cudaFree, address)

    def allocate_pinned(self, nbytes: int) -> int:
        """Return new pinned memory."""
        try:
            return int(call(runtime.cudaHostAlloc, nbytes, runtime.cudaHostAllocDefault))
        except OutOfGpuMemory as error:
            raise AdainError(f"the host has too little memory that can be pinned: {error}") from None

    def free_pinned(self, address: int) -> None:
        """Free pinned memory."""
        call(runtime.cudaFreeHost, address)

    def copy(self, target: int, source: int, nbytes: int, kind: Copy, stream: int) -> None:
        """Put a copy on a stream."""
        call(runtime.cudaMemcpyAsync, target, source, nbytes, _KINDS[kind], stream)

    def create_stream(self) -> int:
        """Return a new stream."""
        return int(call(runtime.cudaStreamCreateWithFlags, runtime.cudaStreamNonBlocking))

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream."""
        call(runtime.cudaStreamDestroy, stream)

    def synchronize(self, stream: int) -> None:
        """Wait until a stream has done its work."""
        call(runtime.cudaStreamSynchronize, stream)

    def create_event(self) -> int:
        """Return a new event."""
        return int(call(runtime.cudaEventCreateWithFlags, runtime.cudaEventDisableTiming))

    def destroy_event(self, event: int) -> None:
        """Destroy an event."""
        call(runtime.cudaEventDestroy, event)

    def record(self, event: int, stream: int) -> None:
        """Let an event stand for the work on a stream."""
        call(runtime.cudaEventRecord, event, stream)

    def wait(self, stream: int, event: int) -> None:
        """Let a stream wait for an event."""
        call(runtime.cudaStreamWaitEvent, stream, event, 0)

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        """Capture what ``work`` puts on a stream; work of other threads is not captured."""
        call(runtime.cudaStreamBeginCapture, stream, runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal)
        try:
            work()
        except BaseException:
            with suppress(AdainError):  # ending a spoilt capture is an error too
                call(runtime.cudaGraphDestroy, call(runtime.cudaStreamEndCapture, stream))
            raise
        graph = call(runtime.cudaStreamEndCapture, stream)
        try:
            return int(call(runtime.cudaGraphInstantiate, graph, 0))
        finally:
            call(runtime.cudaGraphDestroy, graph)

    def launch(self, graph: int, stream: int) -> None:
        """Put a graph on a stream."""
        call(runtime.cudaGraphLaunch, graph, stream)

    def destroy_graph(self, graph: int) -> None:
        """Destroy a graph."""
        call(runtime.cudaGraphExecDestroy, graph)


def open_first() -> CudaPython:
    """Return CUDA on the first GPU.

    Raises:
        AdainError: there is no GPU, or its driver is missing or too old.

    """
    try:
        call(runtime.cudaGetDeviceCount)
        facts = call(runtime.cudaGetDeviceProperties, _DEVICE)
        version = call(runtime.cudaDriverGetVersion)
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
