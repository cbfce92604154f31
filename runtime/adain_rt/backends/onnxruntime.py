"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

import onnxruntime
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.contract import graph_file

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
            if "alloc" in str(error).lower():  # ONNX Runtime has no type for it
                height, width = inputs["image"].shape[1:3]
                raise AdainError(
                    f"a picture of {width}x{height} pixels needs more memory than there is: make it smaller (--size)"
                ) from None
            raise

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return a graph's metadata, as the protocol says."""
        metadata: dict[str, str] = self._session(graph).get_modelmeta().custom_metadata_map
        return metadata

    def _session(self, graph: str) -> onnxruntime.InferenceSession:
        with self._lock:
            if graph not in self._sessions:
                self._sessions[graph] = _open(self._directory / graph_file(graph))
            return self._sessions[graph]


def _open(path: Path) -> onnxruntime.InferenceSession:
    if not path.is_file():
        raise AdainError(f"{path}: there is no such graph; write it with `adain-rt export`")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors alone: they are raised as well, and warnings are not for users
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise AdainError(f"{path}: the graph cannot be loaded ({_first_line(error)}); export it again") from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
