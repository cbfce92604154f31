"""ONNX Runtime's sessions: how one is opened, and a backend that has one for each graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.backends.base import check_ends, check_file, explain_failure, read_facts
from adain_rt.backends.onnxruntime.quiet import onnxruntime
from adain_rt.contract import GraphFacts, graph_file

__all__ = ["CPU_PROVIDER", "SessionBackend", "first_line", "open_session", "quiet_options", "read_file_facts"]

CPU_PROVIDER = "CPUExecutionProvider"


class SessionBackend(ABC):
    """Runs each graph in a session of its own, which is opened when it is first needed.

    Args:
        directory: the folder of the graphs.

    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._sessions: dict[str, onnxruntime.InferenceSession] = {}
        self._lock = Lock()

    @abstractmethod
    def _open_session(self, graph: str) -> onnxruntime.InferenceSession:
        """Return a new session of a graph."""

    def open(self, graph: str) -> None:
        """Open a graph's session; see ``Backend.open``."""
        self._session(graph)

    def facts(self, graph: str) -> GraphFacts:
        """Return a graph's facts; see ``Backend.facts``."""
        metadata = self._session(graph).get_modelmeta().custom_metadata_map
        return read_facts(self._directory / graph_file(graph), metadata)

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph; see ``Backend.run``."""
        session = self._session(graph)
        try:
            return tuple(session.run(None, dict(inputs)))
        except Exception as error:
            raise explain_failure("ONNX Runtime", graph, error, first_line(error), inputs) from None

    def close(self) -> None:
        """Close the sessions; see ``Backend.close``."""
        with self._lock:
            self._sessions.clear()

    def _session(self, graph: str) -> onnxruntime.InferenceSession:
        with self._lock:
            if graph not in self._sessions:
                self._sessions[graph] = self._open_session(graph)
            return self._sessions[graph]


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
        path: the graph's file, which errors name.
        graph: its name in the contract.
        model: the file, or a model that was made from it.
        options: the session's.
        providers: what runs it, the preferred first; ``None`` where the options name a provider.

    Raises:
        AdainError: the graph is missing, cannot be loaded, or is another graph.

    """
    check_file(path)
    try:
        session = onnxruntime.InferenceSession(model, options, providers=providers, enable_fallback=0)
    except Exception as error:
        raise AdainError(f"{path}: the graph cannot be loaded ({first_line(error)})", hint="export it again") from None
    check_ends(path, graph, [value.name for value in (*session.get_inputs(), *session.get_outputs())])
    return session


def read_file_facts(path: Path, graph: str) -> GraphFacts:
    """Return the facts in a graph's file, without optimising the graph.

    Raises:
        AdainError: the graph is missing, damaged or another one.

    """
    options = quiet_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = open_session(path, graph, path, options, [CPU_PROVIDER])
    return read_facts(path, session.get_modelmeta().custom_metadata_map)


def first_line(error: Exception) -> str:
    """Return the first line of an error, without the place in the sources that follows it."""
    return (str(error).splitlines() or [type(error).__name__])[0]
