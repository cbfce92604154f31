"""OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
import openvino
from adain_models.errors import AdainError
from adain_models.store import cache_dir
from numpy.typing import NDArray

from adain_rt.contract import GRAPHS, graph_file

__all__ = ["OpenVinoBackend"]


class OpenVinoBackend:
    """One compiled model for each graph, with a request for each thread that is inside ``run``."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._core = openvino.Core()
        self._core.set_property({"CACHE_DIR": str(cache_dir() / "openvino")})
        self._graphs: dict[str, _Graph] = {}
        self._lock = Lock()

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph, as the protocol says."""
        return self._graph(graph).run(inputs)

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return a graph's metadata, as the protocol says."""
        return self._graph(graph).metadata
