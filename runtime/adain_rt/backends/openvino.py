"""OpenVINO on the CPU."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_models.files import replacing
from adain_models.weights import store
from adain_rt.backends import Settings
from adain_rt.backends.base import check_ends, check_there, failure
from adain_rt.contract import GRAPHS, graph_file

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # else the import itself reports to Intel

import openvino  # noqa: E402
from openvino.frontend import FrontEndManager  # noqa: E402

__all__ = ["CORE", "OpenVinoBackend", "has_bf16", "openvino"]

CORE = openvino.Core()
"""The only one in the process, for as long as it lives.

Each core that has worked sets a stack for signal handlers, and puts back the one before it when it goes. Of two that go
in the order they came, the second puts back the first one's, which is no more: the next signal crashes the process.
"""

_DEVICE = "CPU"

_KERNELS = 128
"""How many kernels made for a size are kept: those of a few sizes. By default it is thousands, a megabyte a size."""


def has_bf16() -> bool:
    """Return whether the processor has instructions for bf16."""
    return "BF16" in CORE.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")


class OpenVinoBackend:
    """One compiled model for each graph, opened when it is first needed.

    What was compiled is kept in the cache directory, from which it loads sooner.

    Args:
        directory: the folder of the graphs.
        precision: what to compute in. bf16 takes the fp32 graphs, and rounds what the convolutions read to 16 bits.
        settings: of which the threads count, those that compute one picture; by default one for each core.

    Raises:
        AdainError: the precision is bf16, and the processor has no instructions for it.

    """

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        if precision == "bf16" and not has_bf16():
            raise AdainError("this processor does not compute in bf16: use another --precision")
        self._directory = directory
        self._config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",  # its own choice is bf16, unasked
            "INFERENCE_NUM_THREADS": settings.threads or 0,
            "CPU_RUNTIME_CACHE_CAPACITY": _KERNELS,
        }
        self._graphs: dict[str, _Graph] = {}
        self._lock = Lock()

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph, as the protocol says."""
        opened = self._graph(graph)
        try:
            return opened.run([inputs[tensor.name] for tensor in GRAPHS[graph].inputs])
        except Exception as error:
            raise failure("OpenVINO", graph, error, _last_line(error), inputs) from None

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return a graph's metadata, as the protocol says."""
        return self._graph(graph).metadata

    def _graph(self, graph: str) -> _Graph:
        with self._lock:
            if graph not in self._graphs:
                self._graphs[graph] = self._open(graph)
            return self._graphs[graph]

    def _open(self, graph: str) -> _Graph:
        path = self._directory / graph_file(graph)
        check_there(path)
        try:
            model = _read(path)
            check_ends(path, graph, [port.any_name for port in (*model.inputs, *model.outputs)])
            return _Graph(_compiled(path, model, self._config), _metadata(model))
        except AdainError:
            raise
        except Exception as error:
            raise AdainError(f"{path}: the graph cannot be loaded ({_last_line(error)}); export it again") from None


class _Graph:
    """A compiled model, with as many infer requests as there have been threads at once: one runs one picture."""

    def __init__(self, compiled: openvino.CompiledModel, metadata: Mapping[str, str]) -> None:
        self.metadata = metadata
        self._compiled = compiled
        self._free: list[openvino.InferRequest] = []

    def run(self, inputs: list[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        try:
            request = self._free.pop()
        except IndexError:  # not asked before: another thread may take the last one in between
            request = self._compiled.create_infer_request()
        try:
            outputs: tuple[NDArray[Any], ...] = request.infer(inputs).to_tuple()  # copies, which the next run leaves be
        finally:
            self._free.append(request)
        return outputs


def _read(path: Path) -> openvino.Model:
    """Read a graph as ONNX and nothing else: on a damaged one ``Core.read_model`` tries other formats, loudly."""
    frontend = FrontEndManager().load_by_framework("onnx")
    return frontend.convert(frontend.load(path))


def _metadata(model: openvino.Model) -> dict[str, str]:
    if not model.has_rt_info("framework"):
        return {}
    return {name: value.astype(str) for name, value in model.get_rt_info()["framework"].items()}


def _compiled(path: Path, model: openvino.Model, config: Mapping[str, Any]) -> openvino.CompiledModel:
    """Return a graph compiled, from the cache if it is there.

    OpenVINO's own cache takes a damaged entry for good and makes other pictures with it, so an entry here begins with
    the SHA-256 of the rest. A cache that cannot be read or written costs time only.
    """
    entry = store.cache_dir() / "openvino" / f"{_key(path, model, config)}.blob"
    with suppress(Exception):  # whatever is wrong with it
        content = entry.read_bytes()
        digest, blob = content[: sha256().digest_size], content[sha256().digest_size :]
        if sha256(blob).digest() == digest:
            return CORE.import_model(blob, _DEVICE, config)
    compiled = CORE.compile_model(model, _DEVICE, config)
    with suppress(Exception), replacing(entry) as aside:
        exported = BytesIO()
        compiled.export_model(exported)
        aside.write_bytes(sha256(exported.getvalue()).digest() + exported.getvalue())
    return compiled


def _key(path: Path, model: openvino.Model, config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all that a compiled graph depends on: graph, weights, OpenVINO, processor, settings."""
    features = CORE.get_property(_DEVICE, "FULL_DEVICE_NAME"), CORE.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    digest = sha256(repr((openvino.get_version(), features, config)).encode())
    digest.update(path.read_bytes())
    for node in model.get_ops():
        if node.get_type_name() == "Constant":  # weights lie in another file, which may be another with the same graph
            digest.update(node.data)
    return digest.hexdigest()


def _last_line(error: Exception) -> str:
    """Return what an error says after the places in OpenVINO's sources that it went through."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
