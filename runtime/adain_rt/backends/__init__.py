"""What runs the graphs: the table of backends, and how one of them is chosen and opened.

Each backend is a module of this package behind the small protocol ``base.Backend``. It is imported when it is opened.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from importlib import import_module
from pathlib import Path
from weakref import WeakSet

from adain_models.errors import AdainError
from adain_rt.backends.base import Backend, BackendSpec, DeviceBackend, ProfilingBackend, Settings, TrimmableBackend
from adain_rt.backends.hindrances import (
    check_onnxruntime_gpu,
    check_onnxruntime_rtx,
    check_package,
    check_pytorch,
    check_tensorrt,
)
from adain_rt.errors import UnusableBackend
from adain_rt.machine import forks

__all__ = [
    "AUTO",
    "BACKENDS",
    "Backend",
    "BackendSpec",
    "DeviceBackend",
    "ProfilingBackend",
    "Settings",
    "TrimmableBackend",
    "candidates",
    "choose",
    "open_backend",
]

AUTO = "auto"

_GPU_PRECISIONS = ("fp16", "fp32")

BACKENDS = {
    "tensorrt": BackendSpec(
        module="adain_rt.backends.tensorrt.backend",
        backend="TensorRtBackend",
        summary="NVIDIA GPUs, engines built for the GPU at hand",
        hindrance=partial(check_tensorrt, "tensorrt"),
        device="gpu",
        precisions=_GPU_PRECISIONS,
        on_device=True,
    ),
    "tensorrt-rtx": BackendSpec(
        module="adain_rt.backends.tensorrt.backend",
        backend="TensorRtRtxBackend",
        summary="NVIDIA GPUs, engines built anywhere",
        hindrance=partial(check_tensorrt, "tensorrt-rtx"),
        device="gpu",
        precisions=_GPU_PRECISIONS,
        on_device=True,
    ),
    "onnxruntime-cuda": BackendSpec(
        module="adain_rt.backends.onnxruntime.cuda",
        backend="OnnxRuntimeCudaBackend",
        summary="NVIDIA GPUs, no engines",
        hindrance=partial(check_onnxruntime_gpu, "CUDAExecutionProvider"),
        device="gpu",
        precisions=_GPU_PRECISIONS,
    ),
    "torch": BackendSpec(
        module="adain_rt.backends.torch.backend",
        backend="TorchBackend",
        summary="NVIDIA GPUs, PyTorch's convolutions and our kernels between",
        hindrance=check_pytorch,
        device="gpu",
        precisions=_GPU_PRECISIONS,
        on_device=True,
    ),
    "onnxruntime-tensorrt": BackendSpec(
        module="adain_rt.backends.onnxruntime.cuda",
        backend="OnnxRuntimeTensorRtBackend",
        summary="ONNX Runtime's own TensorRT provider",
        hindrance=partial(check_onnxruntime_gpu, "TensorrtExecutionProvider"),
        device="gpu",
        precisions=_GPU_PRECISIONS,
        auto=False,
    ),
    "onnxruntime-tensorrt-rtx": BackendSpec(
        module="adain_rt.backends.onnxruntime.cuda",
        backend="OnnxRuntimeTensorRtRtxBackend",
        summary="ONNX Runtime's own TensorRT-RTX provider",
        hindrance=check_onnxruntime_rtx,
        device="gpu",
        precisions=_GPU_PRECISIONS,
        auto=False,
    ),
    "openvino": BackendSpec(
        module="adain_rt.backends.openvino",
        backend="OpenVinoBackend",
        summary="the fastest on CPUs",
        hindrance=partial(check_package, "openvino", "pip install 'adain-rt[openvino]'"),
        device="cpu",
        precisions=("fp32", "bf16", "int8"),
        host_memory_factor={"fp32": 1.7, "bf16": 1.7, "int8": 1.4},
        profiles=True,
    ),
    "onnxruntime": BackendSpec(
        module="adain_rt.backends.onnxruntime.cpu",
        backend="OnnxRuntimeBackend",
        summary="runs on any CPU",
        hindrance=partial(check_package, "onnxruntime", "pip install onnxruntime"),
        device="cpu",
        precisions=("fp32", "int8"),
        host_memory_factor={"fp32": 2.1, "int8": 3.7},
        profiles=True,
        forks=True,
    ),
}
"""Every backend by name, in the order in which ``auto`` prefers them."""


def candidates() -> dict[str, str | None]:
    """Return every backend's name with the reason why it cannot run here, or ``None``; the preferred come first."""
    return {name: spec.hindrance() for name, spec in BACKENDS.items()}


def choose(name: str = AUTO, without: Collection[str] = ()) -> str:
    """Return the name of a backend that can run here.

    Args:
        name: the backend's name, or ``auto`` for the preferred of those that can run here.
        without: backends that ``auto`` does not choose.

    Raises:
        AdainError: there is no such backend, or it cannot run here.

    """
    if name not in (AUTO, *BACKENDS):
        raise AdainError(f"backend {name!r} is unknown: there are {', '.join((AUTO, *BACKENDS))}")
    asked = [each for each, spec in BACKENDS.items() if spec.auto and each not in without] if name == AUTO else [name]
    hindrances: dict[str, str] = {}
    for each in asked:
        why = BACKENDS[each].hindrance()
        if why is None:
            return each
        hindrances[each] = why
    raise AdainError("; ".join(f"backend {each!r} cannot run here, {why}" for each, why in hindrances.items()))


def open_backend(name: str, directory: Path, precision: str = "fp32", settings: Settings | None = None) -> Backend:
    """Return a backend for the graphs of a directory. Each graph loads when it is opened or first run.

    Args:
        name: a backend that can run here.
        directory: the folder of one model's graphs.
        precision: what to compute in; the graphs must be of this precision.
        settings: how the backend runs.

    Raises:
        UnusableBackend: the backend cannot run on this machine.
        AdainError: the backend or the processor does not compute in this precision.

    """
    _OPENED.check(name)
    spec = BACKENDS[name]
    if precision not in spec.precisions:
        able = " or ".join(each for each, other in BACKENDS.items() if other.auto and precision in other.precisions)
        raise AdainError(
            f"{name} does not compute in {precision}", hint=f"use another `precision`, or `backend` {able}"
        )
    backend: Backend = getattr(import_module(spec.module), spec.backend)(directory, precision, settings or Settings())
    _OPENED.add(name, backend)
    return backend


class _Opened:
    """The backends that this process has opened, and what a fork leaves of them."""

    def __init__(self) -> None:
        self._backends: WeakSet[Backend] = WeakSet()
        self._names: set[str] = set()
        self._lost: set[str] = set()
        forks.watch(self)

    def add(self, name: str, backend: Backend) -> None:
        self._names.add(name)
        self._backends.add(backend)

    def check(self, name: str) -> None:
        """Refuse a backend whose library this process has from its parent, in a state in which it may wait for ever."""
        if name in self._lost:
            raise UnusableBackend(
                f"{name} was used before this process was forked, and does not survive that",
                hint="start processes with multiprocessing.get_context('spawn')",
            )

    def after_fork(self) -> None:
        """Keep what the parent has opened, unused. What one library on a GPU has done, binds all of them."""
        for backend in self._backends:
            forks.keep(backend)
        devices = {BACKENDS[name].device for name in self._names if not BACKENDS[name].forks}
        self._lost.update(name for name, spec in BACKENDS.items() if spec.device in devices and not spec.forks)
        self._names.clear()


_OPENED = _Opened()
