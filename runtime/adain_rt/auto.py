"""The backend that runs a model's graphs: chosen, opened, and left for the next one where it cannot run here."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt import backends, contract
from adain_rt.backends import AUTO, BACKENDS, Backend, DeviceBackend, Settings, TrimmableBackend
from adain_rt.contract import GraphFacts, Pixels
from adain_rt.errors import UnusableBackend
from adain_rt.machine import forks, memory
from adain_rt.machine.cpu import INT8_INSTRUCTIONS, instructions
from adain_rt.model import Model
from adain_rt.pixels import is_smooth, pad

__all__ = ["AutoBackend", "OpenGraph", "repeat"]

_LOG = logging.getLogger("adain_rt")


@dataclass(frozen=True)
class OpenGraph:
    """A graph that is loaded and checked, and the backend that runs it.

    Attributes:
        graph: its name in the contract.
        facts: the facts in the graph's metadata.
        backend: the backend.
        backend_name: the backend's name.
        bytes_per_pixel: how many bytes of memory a run may take for each pixel.
        on_gpu: whether that is the GPU's memory.

    """

    graph: str
    facts: GraphFacts
    backend: Backend
    backend_name: str
    bytes_per_pixel: float
    on_gpu: bool

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Return the graph's outputs; see ``Backend.run``."""
        return self.backend.run(self.graph, inputs)

    def stylize(
        self,
        batch: Pixels,
        strength: float,
        codes: Mapping[str, NDArray[np.float32]],
        masks: Pixels | None = None,
    ) -> Pixels:
        """Return pictures (N, H, W, 3) of any size, stylised.

        Args:
            batch: the pictures.
            strength: the paper's α, from 0 to 1.
            codes: the inputs that are codes, by name, without the axis of the pictures.
            masks: (R, H, W), for a graph that takes them.

        """
        count, height, width = batch.shape[:3]
        inputs: dict[str, NDArray[Any]] = {"image": pad(batch), "strength": np.full(count, strength, np.float32)}
        inputs |= repeat(count, **codes)
        if masks is not None:
            inputs |= repeat(count, masks=pad(masks[..., None])[..., 0])
        (stylized,) = self.run(inputs)
        cropped: Pixels = stylized[:, :height, :width]
        return cropped

    def free_bytes(self) -> int | None:
        """Return how many bytes of that memory are free; ``None`` if unknown."""
        if not self.on_gpu:
            return memory.available_bytes()
        return self.backend.free_bytes() if isinstance(self.backend, DeviceBackend) else None

    def trim(self) -> None:
        """Free the memory that runs of this graph keep, where that is the host's."""
        if isinstance(self.backend, TrimmableBackend):
            self.backend.trim(self.graph)


class AutoBackend:
    """Opens a model's graphs on the backend that is asked for, or on the best that can run here.

    Where ``auto`` finds that a backend cannot run after all, it goes on to the next one, with the precision that suits
    it. It may be used from several threads at once.

    Args:
        model: the model.
        backend: a backend's name, or ``auto``.
        precision: one of the contract's, or ``auto``.
        settings: how the backend runs.

    Attributes:
        name: the backend that is chosen now.
        precision: the precision that is chosen now.

    Raises:
        AdainError: there is no such backend, or it cannot run here.

    """

    def __init__(self, model: Model, backend: str, precision: str, settings: Settings) -> None:
        self._model = model
        self._asked_backend = backend
        self._asked_precision = precision
        self._settings = settings
        self._unusable: list[str] = []
        self._backends: dict[str, Backend] = {}  # by precision
        self._graphs: dict[tuple[str, str], OpenGraph] = {}  # by graph and precision
        self._closed = False
        self._lock = Lock()
        self._choose()
        forks.watch(self)

    def after_fork(self) -> None:
        """Forget in a child what the parent has opened, and take a new lock."""
        self._lock = Lock()
        self._graphs = {}
        self._backends = {}

    def open(self, graph: str, pictures: Pixels | None = None) -> OpenGraph:
        """Return a graph, which is loaded and checked when it is first asked for.

        Args:
            graph: its name in the contract.
            pictures: uint8 (N, H, W, 3), what it is for. Where ``auto`` chose int8 and they are smooth, which int8
                spoils, the graph that is returned computes in fp32.

        Raises:
            UnusableBackend: the backend that was asked for cannot run on this machine.
            AdainError: the graph is missing, damaged, or not of the model; no backend is left; or ``close`` was called.

        """
        with self._lock:
            if self._closed:
                raise AdainError("the Stylizer is closed", hint="make a new one")
            while True:
                try:
                    return self._open(graph, self.precision_for(pictures))
                except UnusableBackend as error:
                    if self._asked_backend != AUTO:
                        raise
                    self._fall_back(error)

    def precision_for(self, pictures: Pixels | None) -> str:
        """Return the precision that ``open`` takes for pictures, uint8 (N, H, W, 3)."""
        spoils = self._asked_precision == AUTO and self.precision == "int8"
        return "fp32" if spoils and pictures is not None and is_smooth(pictures) else self.precision

    def trim(self) -> None:
        """Free the memory that runs of all graphs keep, where that is the host's."""
        with self._lock:
            for opened in self._graphs.values():
                opened.trim()

    def close(self) -> None:
        """Close the backend. ``open`` raises from then on."""
        with self._lock:
            self._closed = True
            self._drop_backends()

    def _choose(self) -> None:
        self.name = backends.choose(self._asked_backend, self._unusable)
        automatic = self._asked_precision == AUTO
        self.precision = _choose_precision(self._model.directory, self.name) if automatic else self._asked_precision

    def _open(self, graph: str, precision: str) -> OpenGraph:
        if (graph, precision) not in self._graphs:
            self._graphs[graph, precision] = self._load(graph, precision)
        return self._graphs[graph, precision]

    def _load(self, graph: str, precision: str) -> OpenGraph:
        folder = self._model.find_graphs(graph, precision)
        if precision not in self._backends:
            self._backends[precision] = backends.open_backend(self.name, folder, precision, self._settings)
        backend = self._backends[precision]
        backend.open(graph)
        facts = backend.facts(graph)
        self._model.check_graph(graph, precision, facts)
        spec = BACKENDS[self.name]
        on_gpu = precision not in spec.host_memory_factor
        halved = 0.5 if (facts.precision, precision) == ("fp32", "fp16") else 1.0  # on a GPU
        factor = spec.host_memory_factor.get(precision, halved)
        return OpenGraph(graph, facts, backend, self.name, (facts.bytes_per_pixel or 0) * factor, on_gpu)

    def _fall_back(self, error: UnusableBackend) -> None:
        """Choose the next backend, and say so in the log."""
        failed = self.name
        self._unusable.append(failed)
        self._drop_backends()
        self._choose()
        _LOG.warning("%s: %s; going on with %s", failed, error, self.name)

    def _drop_backends(self) -> None:
        self._graphs.clear()
        while self._backends:
            self._backends.popitem()[1].close()


def repeat(count: int, **values: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return values with a leading axis of the batch's length."""
    return {name: np.repeat(value[None], count, axis=0) for name, value in values.items()}


def _choose_precision(directory: Path, backend: str) -> str:
    """Return fp16 on a GPU; else int8 if model, backend and processor have it; else fp32."""
    if BACKENDS[backend].device == "gpu":
        return "fp16"
    fast = "int8" in BACKENDS[backend].precisions and not INT8_INSTRUCTIONS.isdisjoint(instructions())
    return "int8" if fast and contract.has_graphs(directory, "int8") else "fp32"
