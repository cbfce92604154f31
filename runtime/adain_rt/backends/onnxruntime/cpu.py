"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.backends import Settings
from adain_rt.backends.base import check_ends, check_there, failure
from adain_rt.backends.onnxruntime.quiet import onnxruntime
from adain_rt.contract import graph_file

__all__ = ["OnnxRuntimeBackend", "first_line", "graph_path", "open_session", "quiet_options"]


class OnnxRuntimeBackend:
    """One session for each graph, opened when it is first needed.

    Args:
        directory: the folder of the graphs.
        precision: what to compute in.
        settings: of which the threads count, those that compute one picture; by default one for each core.

    """

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        del precision  # the directory's graphs are of it
        self._directory = directory
        self._threads = settings.threads
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._lock = Lock()

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph, as the protocol says."""
        session = self._session(graph)
        try:
            return tuple(session.run(None, dict(inputs)))
        except Exception as error:
            raise failure("ONNX Runtime", graph, error, first_line(error), inputs) from None

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return a graph's metadata, as the protocol says."""
        metadata: dict[str, str] = self._session(graph).get_modelmeta().custom_metadata_map
        return metadata

    def _session(self, graph: str) -> onnxruntime.InferenceSession:
        with self._lock:
            if graph not in self._sessions:
                self._sessions[graph] = self._open(graph)
            return self._sessions[graph]

    def _open(self, graph: str) -> onnxruntime.InferenceSession:
        return _open(self._directory, self._threads, graph)


def _open(directory: Path, threads: int | None, graph: str) -> onnxruntime.InferenceSession:
    path = graph_path(directory, graph)
    check_there(path)
    options = quiet_options()
    options.intra_op_num_threads = threads or 0
    options.enable_mem_pattern = False  # made for one shape: with any other it doubles the memory and saves no time
    options.add_session_config_entry("session.force_spinning_stop", "1")  # idle threads must not slow what runs next
    return open_session(path, graph, path, options, ["CPUExecutionProvider"])


def quiet_options() -> onnxruntime.SessionOptions:
    """Return options for a session that prints nothing."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # its errors are raised as well
    return options


def open_session(
    path: Path, graph: str, model: Path | bytes, options: onnxruntime.SessionOptions, providers: Sequence[Any] | None
) -> onnxruntime.InferenceSession:
    """Return a session of a graph.

    Args:
        path: the graph's file, to be named in errors.
        graph: its name in the contract.
        model: the file, or what is made of it.
        options: the session's.
        providers: what runs it, the preferred first; ``None`` where the options name it.

    Raises:
        AdainError: it cannot be loaded, or is another graph.

    """
    try:
        session = onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:
        raise AdainError(f"{path}: the graph cannot be loaded ({first_line(error)}); export it again") from None
    check_ends(path, graph, [value.name for value in (*session.get_inputs(), *session.get_outputs())])
    return session


def graph_path(directory: Path, graph: str) -> Path:
    """Return the file of a graph; for int8 the one with uint8 activations, which alone are fast in ONNX Runtime."""
    plain = directory / graph_file(graph)
    uint8 = plain.with_suffix(".uint8.onnx")
    return uint8 if uint8.is_file() else plain


def first_line(error: Exception) -> str:
    """Return what an error says, without where in the sources."""
    return (str(error).splitlines() or [type(error).__name__])[0]
