"""Arrays on the GPU, of other libraries and our own, handed over without a copy.

They go through DLPack where a library speaks it, since DLPack defines best which stream waits for which; else through
``__cuda_array_interface__`` (https://numba.readthedocs.io/en/stable/cuda/cuda_array_interface.html).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from adain_models.errors import AdainError
from adain_rt.cuda import Cuda
from adain_rt.cuda.dlpack import CUDA, CUDA_MANAGED, Tensor, export_capsule, read_capsule
from adain_rt.cuda.owners import DeviceBuffer, Event, Stream, order

__all__ = ["ALIGNMENT", "LEGACY_STREAM", "DeviceArray", "borrow", "is_on_device"]

ALIGNMENT = 256
"""An address that TensorRT works on must be a multiple of this."""

LEGACY_STREAM = 1
"""CUDA's default stream, by the number that the protocols give it: 0 is ambiguous there."""

_NO_WAITING = -1
"""What a consumer passes to DLPack in place of a stream if it orders the work itself."""


class DeviceArray:
    """An array on the GPU: C-contiguous, and freed when nobody holds it any more.

    Any library that speaks DLPack or ``__cuda_array_interface__`` takes it without a copy.

    Attributes:
        shape: the array's shape.
        dtype: NumPy's type of its numbers.

    Args:
        cuda: the GPU.
        shape: the array's shape.
        dtype: NumPy's name of the numbers' type.
        stream: the stream that computes the array; ``None`` if the array is ready before anyone receives it.

    """

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: str, stream: int | None) -> None:
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self._cuda = cuda
        self._stream = stream
        self._buffer = DeviceBuffer(cuda, math.prod(shape) * self.dtype.itemsize)

    @property
    def address(self) -> int:
        """The address on the GPU at which the array begins."""
        return self._buffer.handle

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3; ``stream`` is the stream that computes the array, or ``None`` if it is ready."""
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address, False),
            "strides": None,
            "stream": self._stream,
            "version": 3,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        """Return DLPack's name of the first GPU."""
        return CUDA, 0

    def __dlpack__(self, *, stream: int | None = None, **_: Any) -> Any:
        """Return the array as a DLPack capsule; the consumer's stream waits for ours."""
        if self._stream is not None and stream != _NO_WAITING:
            with self._cuda.current():
                then = LEGACY_STREAM if stream is None else stream
                order(self._cuda, Event(self._cuda), first=self._stream, then=then)
        return export_capsule(self._buffer, self.address, self.dtype.str[1:], self.shape)


def is_on_device(array: Any) -> bool:
    """Return whether an object is an array in memory that a GPU works on."""
    if hasattr(array, "__dlpack_device__"):  # first: PyTorch raises below where a tensor has gradients
        return array.__dlpack_device__()[0] in {CUDA, CUDA_MANAGED}
    return hasattr(array, "__cuda_array_interface__")


def borrow(
    name: str, array: Any, dtype: str, shape: tuple[int, ...], stream: Stream, *, written: bool = False
) -> Tensor:
    """Return the memory of another library's array, on which ``stream`` may work from now on.

    The caller releases it when nothing works on it any more.

    Args:
        name: the array's name in errors.
        array: an object that speaks DLPack or ``__cuda_array_interface__``.
        dtype: NumPy's name of the type that it must have.
        shape: the shape that it must have.
        stream: the stream that will work on the array. It waits for the work that computes the array, where the
            array's library names that work.
        written: whether the array will be written.

    Raises:
        AdainError: the array has another type, shape, layout or device, or does not speak either protocol.

    """
    if not is_on_device(array):
        raise AdainError(f"{name} is not an array on the GPU, but {type(array).__name__}")
    if hasattr(array, "__dlpack__"):
        tensor = _by_dlpack(name, array, stream)
    else:
        tensor = _by_interface(name, array, stream, written)
    try:
        _check(name, tensor, np.dtype(dtype), shape)
    except AdainError:
        tensor.release()
        raise
    return tensor


def _by_dlpack(name: str, array: Any, stream: Stream) -> Tensor:
    kind, number = array.__dlpack_device__()
    if kind not in {CUDA, CUDA_MANAGED} or number != 0:
        raise AdainError(f"{name} is on another device (DLPack's {kind}:{number}) than the first GPU")
    try:
        capsule = array.__dlpack__(stream=stream.handle)
    except (BufferError, RuntimeError, TypeError) as error:  # such as for a tensor that needs gradients
        raise AdainError(f"{name} cannot be handed over: {(str(error).splitlines() or [''])[0]}") from None
    return read_capsule(capsule)


def _by_interface(name: str, array: Any, stream: Stream, written: bool) -> Tensor:
    interface = array.__cuda_array_interface__
    address, read_only = interface["data"]
    if interface.get("mask") is not None:
        raise AdainError(f"{name} is a masked array, which is not supported")
    if written and read_only:
        raise AdainError(f"{name} is read-only and cannot be written")
    ready = interface.get("stream")  # None, as before version 3: nothing to wait for is known
    if ready is not None:
        stream.wait_for(ready)
    held = [array]  # keeps the memory until it is released
    return Tensor(
        address=address,
        typestr=interface["typestr"].lstrip("<|="),
        shape=tuple(interface["shape"]),
        strides=interface.get("strides"),
        release=held.clear,
    )


def _check(name: str, facts: Tensor, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    if facts.typestr != dtype.str[1:] or facts.shape != shape:
        raise AdainError(f"{name} must be {dtype.name} {shape}, not {facts.typestr} {facts.shape}")
    if facts.strides is not None and not _is_contiguous(facts.strides, shape, dtype.itemsize):
        raise AdainError(f"{name} must be C-contiguous", hint="pass a contiguous copy")
    if facts.address % ALIGNMENT:
        raise AdainError(f"{name} must begin at a multiple of {ALIGNMENT} bytes", hint="pass a copy of it")


def _is_contiguous(strides: tuple[int, ...], shape: tuple[int, ...], size: int) -> bool:
    """Return whether strides in bytes are those of a C-contiguous array; along an axis of length 1 any stride is."""
    for stride, length in zip(reversed(strides), reversed(shape), strict=True):
        if length != 1 and stride != size:
            return False
        size *= length
    return True
