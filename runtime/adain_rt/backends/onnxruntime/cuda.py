"""ONNX Runtime on NVIDIA GPUs: its CUDA provider, and its two TensorRT providers for those who ask for them."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_models.files import explain, sha256_of
from adain_models.weights import store
from adain_rt.backends import Settings
from adain_rt.backends.base import UnusableBackend, check_there, failure
from adain_rt.backends.onnxruntime.cpu import OnnxRuntimeBackend, first_line, open_session, quiet_options
from adain_rt.backends.onnxruntime.quiet import onnxruntime
from adain_rt.backends.tensorrt.profiles import DEFAULTS
from adain_rt.contract import GRAPHS, TensorSpec, graph_file

__all__ = ["OnnxRuntimeCudaBackend", "OnnxRuntimeTensorRtBackend", "OnnxRuntimeTensorRtRtxBackend"]

_LOG = logging.getLogger("adain_rt")

_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_TENSORRT_RTX = "NvTensorRTRTXExecutionProvider"
_RTX_PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"

_BINDINGS = 8
"""Of how many sizes the memory is kept; beside those that are captured."""

_CAPTURES = 16
"""How many sizes of a graph are captured at most: ONNX Runtime frees none of them before the session."""


class _OnGpu(OnnxRuntimeBackend):
    """What the three have in common: the graphs, in fp32 or fp16, and that it is the GPU which runs them.

    Args:
        directory: the folder of the graphs.
        precision: ``fp32`` or ``fp16``.
        settings: of which the CUDA graph counts.

    """

    provider = ""

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        super().__init__(directory, precision, settings)
        self._precision = precision
        self._cuda_graph = settings.cuda_graph
        _load_cuda()

    def _providers(self, graph: str) -> list[tuple[str, dict[str, str]]] | None:
        """Return what runs a graph, the preferred first, with its options."""
        raise NotImplementedError

    def _options(self, graph: str) -> onnxruntime.SessionOptions:
        del graph
        return quiet_options()

    def _open(self, graph: str) -> onnxruntime.InferenceSession:
        path = self._directory / graph_file(graph)
        check_there(path)
        providers = self._providers(graph)
        if providers is not None and self.provider not in onnxruntime.get_available_providers():
            raise UnusableBackend(f"the ONNX Runtime here has no {self.provider}: pip install onnxruntime-gpu")
        model = path if self._precision == "fp32" else _in_half(self._directory, graph)
        session = open_session(path, graph, model, self._options(graph), providers)
        if self.provider not in session.get_providers():
            raise UnusableBackend(f"ONNX Runtime cannot use its {self.provider} here; are CUDA and cuDNN installed?")
        return session


class OnnxRuntimeCudaBackend(_OnGpu):
    """The CUDA provider. A graph's memory is bound for a size; what comes a second time is captured and replayed.

    One picture is computed at a time, as ONNX Runtime asks where graphs are captured.
    """

    provider = _CUDA

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        super().__init__(directory, precision, settings)
        self._bindings: dict[str, _Bindings] = {}
        self._running = Lock()

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph, as the protocol says."""
        session = self._session(graph)
        with self._running:
            try:
                bindings = self._bindings.setdefault(graph, _Bindings(session, graph, captures=self._cuda_graph))
                return bindings.run(inputs)
            except Exception as error:
                raise failure("ONNX Runtime", graph, error, first_line(error), inputs) from None

    def _open(self, graph: str) -> onnxruntime.InferenceSession:
        try:
            return super()._open(graph)
        except UnusableBackend:
            raise
        except AdainError as error:
            if not self._cuda_graph:
                raise
            self._cuda_graph = False
            session = super()._open(graph)  # which fails again where something else is wrong
            _LOG.warning("CUDA graphs are not used: %s", error)
            return session

    def _providers(self, graph: str) -> list[tuple[str, dict[str, str]]]:
        del graph
        return [(_CUDA, _cuda_options(self._precision, captures=self._cuda_graph))]


class OnnxRuntimeTensorRtBackend(_OnGpu):
    """The TensorRT provider; the engines that it builds are kept."""

    provider = _TENSORRT

    def _providers(self, graph: str) -> list[tuple[str, dict[str, str]]]:
        folder = _cache_folder(self._directory, self._precision)
        options = {
            "device_id": "0",
            "trt_fp16_enable": str(int(self._precision == "fp16")),  # else TensorRT 10 refuses numbers in half
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": folder,
            "trt_timing_cache_enable": "1",
            "trt_timing_cache_path": folder,
            "trt_cuda_graph_enable": "0",  # it does not say which of several sizes it would replay
            **_profile("trt", graph, _channels(self._directory, graph)),
        }
        return [(_TENSORRT, options), (_CUDA, _cuda_options(self._precision, captures=False))]


class OnnxRuntimeTensorRtRtxBackend(_OnGpu):
    """The TensorRT-RTX provider, a plugin; what it compiles on the GPU is kept. It cares for CUDA graphs itself."""

    provider = _TENSORRT_RTX

    def _providers(self, graph: str) -> None:
        """Return nothing: a plugin is named in the session's options."""

    def _options(self, graph: str) -> onnxruntime.SessionOptions:
        _register_rtx()
        devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == _TENSORRT_RTX]
        if not devices:
            raise UnusableBackend("ONNX Runtime's TensorRT-RTX provider sees no GPU")
        options = quiet_options()
        options.add_provider_for_devices(
            devices[:1],
            {
                "nv_runtime_cache_path": _cache_folder(self._directory, self._precision),
                "enable_cuda_graph": str(int(self._cuda_graph)),
                **_profile("nv", graph, _channels(self._directory, graph)),
            },
        )
        return options


@dataclass(frozen=True)
class _Bound:
    """Memory on the GPU for a graph's inputs and outputs of one size."""

    binding: Any
    inputs: dict[str, Any]
    outputs: list[Any]


class _Bindings:
    """What is bound for each size of one graph, the last used last, and which of it is captured under which number."""

    def __init__(self, session: onnxruntime.InferenceSession, graph: str, *, captures: bool) -> None:
        self._session = session
        self._spec = GRAPHS[graph]
        self._channels = int(session.get_modelmeta().custom_metadata_map["channels"])
        self._captures = captures
        self._numbers: dict[tuple[tuple[int, ...], ...], int] = {}
        self._bound: OrderedDict[tuple[tuple[int, ...], ...], _Bound] = OrderedDict()

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        shapes = tuple(inputs[tensor.name].shape for tensor in self._spec.inputs)
        again = shapes in self._bound
        if not again:
            self._bound[shapes] = self._bind(shapes)
        self._bound.move_to_end(shapes)
        if again and self._captures and len(self._numbers) < _CAPTURES:
            self._numbers.setdefault(shapes, len(self._numbers) + 1)  # 0 is ONNX Runtime's own
        self._forget()
        bound = self._bound[shapes]
        for tensor in self._spec.inputs:
            _check_type(tensor, inputs[tensor.name])
            bound.inputs[tensor.name].update_inplace(np.ascontiguousarray(inputs[tensor.name]))
        options = onnxruntime.RunOptions()
        if self._captures:
            options.add_run_config_entry("gpu_graph_id", str(self._numbers.get(shapes, -1)))  # -1 is for this run only
        self._session.run_with_iobinding(bound.binding, options)
        return tuple(output.numpy() for output in bound.outputs)

    def _bind(self, shapes: tuple[tuple[int, ...], ...]) -> _Bound:
        sizes: dict[str | int, int] = {"C": self._channels}
        for tensor, shape in zip(self._spec.inputs, shapes, strict=True):
            sizes |= dict(zip(tensor.shape, shape, strict=True))
        binding = self._session.io_binding()
        inputs = {tensor.name: _on_gpu(tensor, shape) for tensor, shape in zip(self._spec.inputs, shapes, strict=True)}
        outputs = [
            _on_gpu(tensor, tuple(sizes.get(size, size) for size in tensor.shape)) for tensor in self._spec.outputs
        ]
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for tensor, value in zip(self._spec.outputs, outputs, strict=True):
            binding.bind_ortvalue_output(tensor.name, value)
        return _Bound(binding, inputs, outputs)

    def _forget(self) -> None:
        """Drop what was not used for longest; what is captured has its addresses fixed."""
        free = [shapes for shapes in self._bound if shapes not in self._numbers]
        for shapes in free[:-_BINDINGS]:
            del self._bound[shapes]


def _on_gpu(tensor: TensorSpec, shape: tuple[Any, ...]) -> Any:
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(shape), np.dtype(tensor.dtype).type, "cuda", 0)


def _check_type(tensor: TensorSpec, array: NDArray[Any]) -> None:
    """Refuse numbers of another type: bound memory takes the bytes as they are."""
    if array.dtype != tensor.dtype:
        raise TypeError(f"{tensor.name} must be {tensor.dtype}, not {array.dtype}")


def _cuda_options(precision: str, *, captures: bool) -> dict[str, str]:
    half = precision == "fp16"
    return {
        "device_id": "0",
        "prefer_nhwc": str(int(half)),  # tensor cores read channels last; without them it only costs
        "use_tf32": "0",  # fp32 means it: TF32 has three digits
        "cudnn_conv_algo_search": "HEURISTIC",  # cuDNN's own advice; trying each would be anew for each size
        "cudnn_conv_use_max_workspace": "1",
        "do_copy_in_default_stream": "1",  # copies wait for what computes, as the next needs their memory
        "arena_extend_strategy": "kSameAsRequested",  # doubling would take memory that larger pictures need
        "enable_cuda_graph": str(int(captures)),
    }


def _profile(prefix: str, graph: str, channels: int) -> dict[str, str]:
    """Return the options that tell a TensorRT provider for which sizes to build: as our own engines' first profile."""
    tensors = [(tensor.name, DEFAULTS[0].shapes(tensor, channels)) for tensor in GRAPHS[graph].inputs]
    return {
        f"{prefix}_profile_{bound}_shapes": ",".join(
            f"{name}:{'x'.join(map(str, shapes[place]))}" for name, shapes in tensors
        )
        for place, bound in enumerate(("min", "opt", "max"))
    }


def _channels(directory: Path, graph: str) -> int:
    path = directory / graph_file(graph)
    metadata = open_session(path, graph, path, quiet_options(), ["CPUExecutionProvider"]).get_modelmeta()
    return int(metadata.custom_metadata_map["channels"])


def _cache_folder(directory: Path, precision: str) -> str:
    """Return where a provider keeps what it makes of a model; weights tell models apart, as its own names may not."""
    weights = directory / store.WEIGHTS_NAME
    folder = store.cache_dir() / "onnxruntime" / f"{sha256_of(weights)[:16]}-{precision}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AdainError(f"{folder}: cannot be made ({explain(error)})") from None
    return str(folder)


def _in_half(directory: Path, graph: str) -> bytes:
    """Return a graph in fp16."""
    try:
        engine_graph = import_module("adain_export.graphs.engine_graph").engine_graph
    except ModuleNotFoundError as error:
        raise AdainError(
            f"fp16 needs {error.name}: pip install 'adain-rt[tensorrt-rtx]', or use --precision fp32"
        ) from None
    made: bytes = engine_graph(directory, graph, "fp16")
    return made


@cache
def _load_cuda() -> None:
    """Let ONNX Runtime find CUDA and cuDNN where pip installs them, which it does not by itself."""
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        with redirect_stdout(StringIO()):  # it prints what it does not find; the session says what it lacks
            onnxruntime.preload_dlls()


@cache
def _register_rtx() -> None:
    if _TENSORRT_RTX in {device.ep_name for device in onnxruntime.get_ep_devices()}:
        return
    try:
        plugin = import_module(_RTX_PLUGIN)
    except ImportError:
        raise UnusableBackend("not installed: pip install onnxruntime-ep-nv-tensorrt-rtx") from None
    try:
        onnxruntime.register_execution_provider_library(_TENSORRT_RTX, plugin.get_library_path())
    except Exception as error:
        raise UnusableBackend(f"ONNX Runtime cannot load its TensorRT-RTX provider ({first_line(error)})") from None
