"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.backends._common import check_ends, check_there, failure
from adain_rt.backends.quiet_onnxruntime import onnxruntime
from adain_rt.contract import graph_file

__all__ = ["OnnxRuntimeBackend"]


class OnnxRuntimeBackend:
    """One session for each graph, opened when it is first needed.

    Args:
        directory: the folder of the graphs.
        precision: what to compute in.
        threads: how many threads compute one picture; by default one for each core.

    Raises:
        AdainError: the precision is bf16, which ONNX Runtime does not compute in on CPUs.

    """

    def __init__(self, directory: Path, precision: str = "fp32", threads: int | None = None) -> None:
        if precision == "bf16":
            raise AdainError("ONNX Runtime does not compute in bf16: use another --precision, or --backend openvino")
        self._directory = directory
        self._threads = threads
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._lock = Lock()

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph, as the protocol says."""
        session = self._session(graph)
        try:
            return tuple(session.run(None, dict(inputs)))
        except Exception as error:
            raise failure("ONNX Runtime", graph, error, _first_line(error), inputs) from None

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return a graph's metadata, as the protocol says."""
        metadata: dict[str, str] = self._session(graph).get_modelmeta().custom_metadata_map
        return metadata

    def _session(self, graph: str) -> onnxruntime.InferenceSession:
        with self._lock:
            if graph not in self._sessions:
                self._sessions[graph] = _open(self._directory, self._threads, graph)
            return self._sessions[graph]


def _open(directory: Path, threads: int | None, graph: str) -> onnxruntime.InferenceSession:
    path = _graph_path(directory, graph)
    check_there(path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are raised as well
    options.intra_op_num_threads = threads or 0
    options.enable_mem_pattern = False  # made for one shape: with any other it doubles the memory and saves no time
    options.add_session_config_entry("session.force_spinning_stop", "1")  # idle threads must not slow what runs next
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise AdainError(f"{path}: the graph cannot be loaded ({_first_line(error)}); export it again") from None
    check_ends(path, graph, [value.name for value in (*session.get_inputs(), *session.get_outputs())])
    return session


def _graph_path(directory: Path, graph: str) -> Path:
    """Return the file of a graph; for int8 the one with uint8 activations, which alone are fast in ONNX Runtime."""
    plain = directory / graph_file(graph)
    uint8 = plain.with_suffix(".uint8.onnx")
    return uint8 if uint8.is_file() else plain


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
