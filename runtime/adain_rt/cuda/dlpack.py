"""DLPack: arrays handed from library to library without a copy.

The layout is the unversioned structure of https://dmlc.github.io/dlpack/latest/c_api.html, which all libraries still
return by default. It is read and written with ctypes: ``cuda-core`` has a reader but no writer, and would be one more
package to install.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adain_models.errors import AdainError

__all__ = ["CUDA", "CUDA_MANAGED", "Tensor", "export_capsule", "read_capsule"]

CUDA, CUDA_MANAGED = 2, 13
"""The device types, ``kDLCUDA`` and ``kDLCUDAManaged``, whose memory the GPU reaches by its address."""

_NAME, _USED = b"dltensor", b"used_dltensor"  # a capsule's names; CPython keeps pointers to them
_CODES = {0: "i", 1: "u", 2: "f", 6: "b"}  # kDLInt, kDLUInt, kDLFloat, kDLBool


class _Device(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int32), ("id", ctypes.c_int32))


class _DataType(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16))


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


class _Managed(ctypes.Structure):
    pass


# PyDLL's kind of function: called with the interpreter's lock held, which some deleters count on
_Deleter = ctypes.PYFUNCTYPE(None, ctypes.POINTER(_Managed))
_Managed._fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter))

_Destructor = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)


def _function(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """Return a function of CPython with its types; those of ``ctypes.pythonapi`` are shared with all libraries."""
    made: Callable[..., Any] = ctypes.PYFUNCTYPE(result, *arguments)((name, ctypes.pythonapi))
    return made


_new = _function("PyCapsule_New", ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, _Destructor)
_is_valid = _function("PyCapsule_IsValid", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)
_pointer = _function("PyCapsule_GetPointer", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)
_rename = _function("PyCapsule_SetName", ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)


@dataclass
class Tensor:
    """The content of a capsule.

    Attributes:
        address: where it begins on the GPU.
        typestr: NumPy's type string without the byte order.
        shape: the shape.
        strides: in bytes; ``None`` for a C-contiguous array.
        release: gives the memory back to its library. It is called once, when nothing works on the memory any more.

    """

    address: int
    typestr: str
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    release: Callable[[], None]


def read_capsule(capsule: Any) -> Tensor:
    """Consume a capsule.

    Raises:
        AdainError: the object is not a capsule, was consumed before, or holds numbers of an unknown kind.

    """
    if not _is_valid(id(capsule), _NAME):
        raise AdainError(f"{type(capsule).__name__} is not a DLPack capsule, or was used before")
    managed = _Managed.from_address(_pointer(id(capsule), _NAME))
    tensor = managed.tensor
    kind = _CODES.get(tensor.dtype.code)
    if kind is None or tensor.dtype.lanes != 1:
        raise AdainError(f"DLPack's numbers of code {tensor.dtype.code} in {tensor.dtype.lanes} lanes are unknown")
    size = tensor.dtype.bits // 8
    _rename(id(capsule), _USED)

    def release() -> None:
        if managed.deleter:
            managed.deleter(ctypes.byref(managed))

    return Tensor(
        address=(tensor.data or 0) + tensor.byte_offset,
        typestr=f"{kind}{size}",
        shape=tuple(tensor.shape[: tensor.ndim]),
        strides=tuple(stride * size for stride in tensor.strides[: tensor.ndim]) if tensor.strides else None,
        release=release,
    )


def export_capsule(owner: object, address: int, typestr: str, shape: tuple[int, ...]) -> Any:
    """Return a capsule of C-contiguous memory on the first GPU, which keeps its owner alive until it is given back."""
    kind, size = typestr[0], int(typestr[1:])
    code = next(code for code, letter in _CODES.items() if letter == kind)
    dimensions = (ctypes.c_int64 * len(shape))(*shape)
    tensor = _Tensor(address, _Device(CUDA, 0), len(shape), _DataType(code, size * 8, 1), dimensions, None, 0)
    managed = _Managed(tensor, None, _GIVE_BACK)
    place = ctypes.addressof(managed)
    _lent[place] = (owner, managed, dimensions)
    return _new(place, _NAME, _DROP)


_lent: dict[int, tuple[object, ...]] = {}
"""The objects that must live until the consumer gives a capsule back, by the address of its structure."""


def _give_back(managed: Any) -> None:
    _lent.pop(ctypes.addressof(managed.contents), None)


def _drop(capsule: int) -> None:
    """Give back a capsule that was never consumed."""
    if _is_valid(capsule, _NAME):
        _lent.pop(_pointer(capsule, _NAME), None)


_GIVE_BACK, _DROP = _Deleter(_give_back), _Destructor(_drop)
