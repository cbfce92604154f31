"""ONNX Runtime on the CPU."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from adain_rt.backends.base import KernelRun, Settings
from adain_rt.backends.onnxruntime.quiet import onnxruntime
from adain_rt.backends.onnxruntime.sessions import CPU_PROVIDER, SessionBackend, open_session, quiet_options
from adain_rt.contract import graph_file
from adain_rt.machine.cpu import choose_threads

__all__ = ["OnnxRuntimeBackend", "graph_path"]

_KERNEL_TIME = "_kernel_time"
"""How the names of the profiler's events about kernels end."""


class OnnxRuntimeBackend(SessionBackend):
    """Runs the graphs of a folder as they are.

    Pictures that several threads ask for are computed one after the other, unless one thread computes each. At once
    they were at most a tenth faster; and twice, in some fifty runs of this project's tests on a busy machine, two runs
    that shared a session's threads waited for each other for ever (microsoft/onnxruntime#12049 is a like case).

    Args:
        directory: the folder of the graphs.
        precision: what the graphs compute in.
        settings: of these, the threads that compute one picture; by default one for each core that a container allows.

    """

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        super().__init__(directory)
        del precision  # the graphs of the folder have it
        self._threads = settings.threads or choose_threads()
        self._computing = nullcontext() if self._threads == 1 else Lock()

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph; see ``Backend.run``."""
        with self._computing:
            return super().run(graph, inputs)

    def trim(self, graph: str) -> None:
        """Free what runs of a graph keep, with the session; see ``TrimmableBackend.trim``."""
        with self._lock:
            self._sessions.pop(graph, None)

    def profile(self, graph: str, inputs: Mapping[str, NDArray[Any]], runs: int) -> list[KernelRun]:
        """Time a graph's kernels in a session of their own; see ``ProfilingBackend.profile``."""
        path = graph_path(self._directory, graph)
        with TemporaryDirectory() as folder:
            options = self._options()
            options.enable_profiling = True
            options.profile_file_prefix = str(Path(folder) / "profile")
            session = open_session(path, graph, path, options, [CPU_PROVIDER])
            for _ in range(runs):
                session.run(None, dict(inputs))
            events = json.loads(Path(session.end_profiling()).read_text("utf-8"))
        return [
            KernelRun(
                place=event["args"]["node_index"],
                name=event["name"].removesuffix(_KERNEL_TIME),
                kind=event["args"]["op_name"],
                seconds=event["dur"] / 1e6,
            )
            for event in events
            if event["cat"] == "Node" and event["name"].endswith(_KERNEL_TIME)
        ]

    def _open_session(self, graph: str) -> onnxruntime.InferenceSession:
        path = graph_path(self._directory, graph)
        return open_session(path, graph, path, self._options(), [CPU_PROVIDER])

    def _options(self) -> onnxruntime.SessionOptions:
        options = quiet_options()
        options.intra_op_num_threads = self._threads or 0
        options.enable_mem_pattern = False  # made for one shape: any other doubles the memory and saves no time
        options.add_session_config_entry("session.force_spinning_stop", "1")  # idle threads must not slow what follows
        return options


def graph_path(directory: Path, graph: str) -> Path:
    """Return the file of a graph; for int8 the one with uint8 activations, which alone are fast in ONNX Runtime."""
    plain = directory / graph_file(graph)
    uint8 = plain.with_suffix(".uint8.onnx")
    return uint8 if uint8.is_file() else plain
