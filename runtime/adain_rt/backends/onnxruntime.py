"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.contract import GRAPHS, graph_file

__all__ = ["OnnxRuntimeBackend"]


class OnnxRuntimeBackend:
    """One session for each graph, opened when it is first needed."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._lock = Lock()

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph, as the protocol says."""
        session = self._session(graph)
        try:
            return tuple(session.run(None, dict(inputs)))
        except Exception as error:
            if "alloc" not in str(error).lower():  # ONNX Runtime has no type for it
                raise AdainError(f"the graph {graph} failed in ONNX Runtime ({_first_line(error)})") from None
            height, width = inputs["image"].shape[1:3]
            raise AdainError(f"{width}x{height} pixels need more memory than there is: use a smaller size") from None

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return a graph's metadata, as the protocol says."""
        metadata: dict[str, str] = self._session(graph).get_modelmeta().custom_metadata_map
        return metadata

    def _session(self, graph: str) -> onnxruntime.InferenceSession:
        with self._lock:
            if graph not in self._sessions:
                self._sessions[graph] = _open(self._directory, graph)
            return self._sessions[graph]


def _open(directory: Path, graph: str) -> onnxruntime.InferenceSession:
    path = directory / graph_file(graph)
    if not path.is_file():
        raise AdainError(f"{path}: there is no such graph; write it with `adain-rt export`")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are raised as well
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise AdainError(f"{path}: the graph cannot be loaded ({_first_line(error)}); export it again") from None
    names = [value.name for value in (*session.get_inputs(), *session.get_outputs())]
    if names != [tensor.name for tensor in (*GRAPHS[graph].inputs, *GRAPHS[graph].outputs)]:
        raise AdainError(f"{path}: is not the graph {graph}, which has other inputs and outputs; export it again")
    return session


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
