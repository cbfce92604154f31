"""ONNX Runtime on NVIDIA GPUs: its CUDA provider, and its two TensorRT providers for those who ask for them."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_models.files import explain, sha256_of
from adain_models.weights import store
from adain_rt.backends.base import Settings, check_file, explain_failure
from adain_rt.backends.builder import load_builder
from adain_rt.backends.onnxruntime.bindings import Bindings
from adain_rt.backends.onnxruntime.quiet import onnxruntime
from adain_rt.backends.onnxruntime.sessions import (
    SessionBackend,
    first_line,
    open_session,
    quiet_options,
    read_file_facts,
)
from adain_rt.backends.tensorrt.profiles import DEFAULTS
from adain_rt.contract import GRAPHS, graph_dir, graph_file
from adain_rt.errors import UnusableBackend

__all__ = ["OnnxRuntimeCudaBackend", "OnnxRuntimeTensorRtBackend", "OnnxRuntimeTensorRtRtxBackend"]

_LOG = logging.getLogger("adain_rt")

_CUDA = "CUDAExecutionProvider"
_TENSORRT = "TensorrtExecutionProvider"
_TENSORRT_RTX = "NvTensorRTRTXExecutionProvider"
_RTX_PLUGIN = "onnxruntime_ep_nv_tensorrt_rtx"


class _GpuBackend(SessionBackend):
    """Runs the graphs in fp32 or fp16 on the GPU, and refuses a session that falls back to the CPU.

    Args:
        directory: the folder of the graphs.
        precision: ``fp32`` or ``fp16``.
        settings: of these, whether to use CUDA graphs.

    """

    provider = ""

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        super().__init__(directory)
        self._precision = precision
        self._cuda_graph = settings.cuda_graph
        _load_cuda()

    @abstractmethod
    def _providers(self, graph: str) -> list[tuple[str, dict[str, str]]] | None:
        """Return what runs a graph, with its options, the preferred first; ``None`` where ``_options`` name it."""

    def _channels(self, graph: str) -> int:
        return read_file_facts(self._directory / graph_file(graph), graph).channels

    def _options(self, graph: str) -> onnxruntime.SessionOptions:
        del graph
        return quiet_options()

    def _open_session(self, graph: str) -> onnxruntime.InferenceSession:
        path = self._directory / graph_file(graph)
        check_file(path)
        providers = self._providers(graph)
        if providers is not None and self.provider not in onnxruntime.get_available_providers():
            raise UnusableBackend(f"the ONNX Runtime here has no {self.provider}", hint="pip install onnxruntime-gpu")
        model = path if self._precision == "fp32" else self._find_half(path, graph)
        session = open_session(path, graph, model, self._options(graph), providers)
        if self.provider not in session.get_providers():
            raise UnusableBackend(
                f"ONNX Runtime cannot use its {self.provider} here", hint="check that CUDA and cuDNN are installed"
            )
        return session

    def _find_half(self, path: Path, graph: str) -> Path | bytes:
        """Return the exported fp16 graph if it was made from the same weights; else make one from the fp32 graph."""
        half = graph_dir(self._directory, "fp16") / graph_file(graph)
        if half.is_file():
            exported, wanted = read_file_facts(half, graph), read_file_facts(path, graph)
            if (exported.weights_sha256, exported.contract) == (wanted.weights_sha256, wanted.contract):
                return half
        return load_builder("fp16").engine_graph(self._directory, graph, "fp16")


class OnnxRuntimeCudaBackend(_GpuBackend):
    """Runs the graphs by the CUDA provider.

    A graph's memory is bound for each size. A size that comes a second time is captured, and replayed from then on.
    One picture is computed at a time, as ONNX Runtime asks where graphs are captured.
    """

    provider = _CUDA

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        super().__init__(directory, precision, settings)
        self._bindings: dict[str, Bindings] = {}
        self._running = Lock()

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph; see ``Backend.run``."""
        self.open(graph)
        with self._running:
            bindings = self._bound(graph)
            try:
                return bindings.run(inputs)
            except Exception as error:
                raise explain_failure("ONNX Runtime", graph, error, first_line(error), inputs) from None

    def close(self) -> None:
        """Free the bound memory and close the sessions; see ``Backend.close``."""
        with self._running:
            self._bindings.clear()
            super().close()

    def _bound(self, graph: str) -> Bindings:
        if graph not in self._bindings:
            channels = self.facts(graph).channels
            self._bindings[graph] = Bindings(self._session(graph), graph, channels, captures=self._cuda_graph)
        return self._bindings[graph]

    def _open_session(self, graph: str) -> onnxruntime.InferenceSession:
        try:
            return super()._open_session(graph)
        except UnusableBackend:
            raise
        except AdainError as error:
            if not self._cuda_graph:
                raise
            self._cuda_graph = False
            session = super()._open_session(graph)  # fails again if the reason is another
            _LOG.warning("CUDA graphs are not used: %s", error)
            return session

    def _providers(self, graph: str) -> list[tuple[str, dict[str, str]]]:
        del graph
        return [(_CUDA, _cuda_options(self._precision, captures=self._cuda_graph))]


class OnnxRuntimeTensorRtBackend(_GpuBackend):
    """Runs the graphs by the TensorRT provider, and keeps the engines that it builds."""

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
            "trt_cuda_graph_enable": "0",  # the provider does not tell the captures of several sizes apart
            **_profile_options("trt", graph, self._channels(graph)),
        }
        return [(_TENSORRT, options), (_CUDA, _cuda_options(self._precision, captures=False))]


class OnnxRuntimeTensorRtRtxBackend(_GpuBackend):
    """Runs the graphs by the TensorRT-RTX provider, a plugin, and keeps what it compiles on the GPU.

    The provider captures CUDA graphs itself.
    """

    provider = _TENSORRT_RTX

    def _providers(self, graph: str) -> None:
        """Return ``None``: a plugin is named in the session's options."""

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
                **_profile_options("nv", graph, self._channels(graph)),
            },
        )
        return options


def _cuda_options(precision: str, *, captures: bool) -> dict[str, str]:
    half = precision == "fp16"
    return {
        "device_id": "0",
        "prefer_nhwc": str(int(half)),  # tensor cores read channels last; fp32 has none, and only pays for the change
        "use_tf32": "0",  # TF32 has three digits, fp32 seven
        "cudnn_conv_algo_search": "HEURISTIC",  # cuDNN's own advice; a search would start again for each size
        "cudnn_conv_use_max_workspace": "1",
        "do_copy_in_default_stream": "1",  # copies wait for the computation, since the next one needs their memory
        "arena_extend_strategy": "kSameAsRequested",  # doubling takes memory that larger pictures need
        "enable_cuda_graph": str(int(captures)),
    }


def _profile_options(prefix: str, graph: str, channels: int) -> dict[str, str]:
    """Return the options that give a TensorRT provider the sizes of our own engines' first profile."""
    tensors = [(tensor.name, DEFAULTS[0].shapes(tensor, channels)) for tensor in GRAPHS[graph].inputs]
    return {
        f"{prefix}_profile_{bound}_shapes": ",".join(
            f"{name}:{'x'.join(map(str, shapes[place]))}" for name, shapes in tensors
        )
        for place, bound in enumerate(("min", "opt", "max"))
    }


def _cache_folder(directory: Path, precision: str) -> str:
    """Return the folder where a provider keeps what it makes of a model, which is named by the model's weights."""
    weights = directory / store.WEIGHTS_NAME
    folder = store.cache_dir() / "onnxruntime" / f"{sha256_of(weights)[:16]}-{precision}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AdainError(f"{folder}: the folder cannot be made ({explain(error)})") from None
    return str(folder)


@cache
def _load_cuda() -> None:
    """Let ONNX Runtime find CUDA and cuDNN where pip installs them, which it does not do by itself."""
    if hasattr(onnxruntime, "preload_dlls"):  # since 1.21
        with redirect_stdout(StringIO()):  # it prints what it does not find, which the session's error names as well
            onnxruntime.preload_dlls()


@cache
def _register_rtx() -> None:
    """Register the TensorRT-RTX plugin with ONNX Runtime unless it is registered."""
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
