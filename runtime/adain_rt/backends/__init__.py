"""What runs the graphs. Each backend is a module of this package behind one small protocol."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.backends import hindrances as _hindrances

__all__ = [
    "AUTO",
    "BACKENDS",
    "Backend",
    "BackendSpec",
    "DeviceBackend",
    "Settings",
    "candidates",
    "choose",
    "open_backend",
]

AUTO = "auto"


class Backend(Protocol):
    """Runs the graphs of one model directory; safe to call from several threads."""

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Return the outputs of one of the contract's graphs, in the contract's order.

        Raises:
            AdainError: the graph is missing, damaged or another one, or memory does not suffice.

        """

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return what the export wrote into a graph: model, weights_sha256, contract, channels, precision.

        Raises:
            AdainError: the graph is missing, damaged or another one.

        """


@runtime_checkable
class DeviceBackend(Backend, Protocol):
    """A backend that also runs the graphs on arrays in a GPU's memory."""

    def run_on_device(
        self, graph: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None = None, stream: int | None = None
    ) -> tuple[Any, ...]:
        """Return the outputs of a graph on arrays that speak DLPack or ``__cuda_array_interface__``, without a copy.

        Args:
            graph: one of the contract's.
            inputs: by name; NumPy's arrays are copied.
            outputs: arrays to write into, by name; new ones are made for the others.
            stream: the handle of the CUDA stream in whose order the work is done; without it, it is done on return.

        Raises:
            AdainError: an array does not fit, or as ``run``.

        """


@dataclass(frozen=True)
class Settings:
    """How a backend runs.

    Attributes:
        threads: of the processor; ``None`` leaves it to the backend. Backends on a GPU take no notice.
        engines: the folder of TensorRT's engines; ``None`` is the cache, where engines are built when they lack.
        trust_engines: whether to load an engine whose bytes are not those of its manifest.
        cuda_graph: whether a GPU replays its work for a size as one recorded graph.

    """

    threads: int | None = None
    engines: Path | None = None
    trust_engines: bool = False
    cuda_graph: bool = True


@dataclass(frozen=True)
class BackendSpec:
    """A backend: the module and class that implement it, and what hinders it here.

    Attributes:
        module: where it is.
        backend: the class's name.
        summary: what it is for.
        hindrance: returns why it cannot run here, or ``None``; quickly, and without raising.
        waste: its precisions, each with how many bytes of the host's memory it takes at most for each that a graph's
            tensors need (measured). It is below 1 where fused kernels never make some of them, and 0 on a GPU, whose
            own memory the backend minds.
        auto: whether ``auto`` may take it.
        on_device: whether it is a ``DeviceBackend``, and replays a size's work as a CUDA graph of its own.

    """

    module: str
    backend: str
    summary: str
    hindrance: Callable[[], str | None]
    waste: Mapping[str, float]
    auto: bool = True
    on_device: bool = False


_ON_GPU = {"fp16": 0.0, "fp32": 0.0}

BACKENDS = {
    "tensorrt": BackendSpec(
        module="adain_rt.backends.tensorrt.backend",
        backend="TensorRtBackend",
        summary="NVIDIA GPUs, engines built for the GPU at hand",
        hindrance=partial(_hindrances.tensorrt, "tensorrt"),
        waste=_ON_GPU,
        on_device=True,
    ),
    "tensorrt-rtx": BackendSpec(
        module="adain_rt.backends.tensorrt.backend",
        backend="TensorRtRtxBackend",
        summary="NVIDIA GPUs, engines built anywhere",
        hindrance=partial(_hindrances.tensorrt, "tensorrt-rtx"),
        waste=_ON_GPU,
        on_device=True,
    ),
    "onnxruntime-cuda": BackendSpec(
        module="adain_rt.backends.onnxruntime.cuda",
        backend="OnnxRuntimeCudaBackend",
        summary="NVIDIA GPUs, no engines",
        hindrance=partial(_hindrances.onnxruntime_gpu, "CUDAExecutionProvider"),
        waste=_ON_GPU,
    ),
    "torch": BackendSpec(
        module="adain_rt.backends.torch.backend",
        backend="TorchBackend",
        summary="NVIDIA GPUs, PyTorch's convolutions and our kernels between",
        hindrance=_hindrances.pytorch,
        waste=_ON_GPU,
        on_device=True,
    ),
    "onnxruntime-tensorrt": BackendSpec(
        module="adain_rt.backends.onnxruntime.cuda",
        backend="OnnxRuntimeTensorRtBackend",
        summary="ONNX Runtime's own TensorRT provider",
        hindrance=partial(_hindrances.onnxruntime_gpu, "TensorrtExecutionProvider"),
        waste=_ON_GPU,
        auto=False,
    ),
    "onnxruntime-tensorrt-rtx": BackendSpec(
        module="adain_rt.backends.onnxruntime.cuda",
        backend="OnnxRuntimeTensorRtRtxBackend",
        summary="ONNX Runtime's own TensorRT-RTX provider",
        hindrance=_hindrances.onnxruntime_rtx,
        waste=_ON_GPU,
        auto=False,
    ),
    "openvino": BackendSpec(
        module="adain_rt.backends.openvino",
        backend="OpenVinoBackend",
        summary="the fastest on CPUs",
        hindrance=partial(_hindrances.package, "openvino", "pip install 'adain-rt[openvino]'"),
        waste={"fp32": 1.7, "bf16": 1.7, "int8": 1.4},
    ),
    "onnxruntime": BackendSpec(
        module="adain_rt.backends.onnxruntime.cpu",
        backend="OnnxRuntimeBackend",
        summary="runs on any CPU",
        hindrance=partial(_hindrances.package, "onnxruntime", "pip install onnxruntime"),
        waste={"fp32": 2.1, "int8": 3.7},
    ),
}
"""Every backend by name, the one that ``auto`` prefers first."""


def candidates() -> dict[str, str | None]:
    """Return every backend with ``None``, or why it cannot run here, the preferred first."""
    return {name: spec.hindrance() for name, spec in BACKENDS.items()}


def choose(name: str = AUTO, without: Collection[str] = ()) -> str:
    """Return the name of this backend, or of the first that can run here for ``auto``.

    Args:
        name: of a backend, or ``auto``.
        without: those that ``auto`` passes over.

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
    """Return a backend for the graphs of a directory; they load when they first run.

    Args:
        name: of a backend that can run here.
        directory: where the graphs are, of one model.
        precision: one of the contract's, of these graphs.
        settings: how it runs.

    Raises:
        AdainError: the backend or the processor does not compute in this precision.

    """
    spec = BACKENDS[name]
    if precision not in spec.waste:
        able = " or ".join(each for each, other in BACKENDS.items() if other.auto and precision in other.waste)
        raise AdainError(f"{name} does not compute in {precision}: use another --precision, or --backend {able}")
    backend: Backend = getattr(import_module(spec.module), spec.backend)(directory, precision, settings or Settings())
    return backend
