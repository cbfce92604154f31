"""A model on this machine: the weights that its styles and graphs are bound to, and where its graphs are."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import Lock

from adain_models.errors import AdainError
from adain_models.files import explain, sha256_of
from adain_models.weights import spec, store
from adain_rt import contract
from adain_rt.contract import GraphFacts
from adain_rt.machine import forks

__all__ = ["Model"]


_SETTLED = 2_000_000_000
"""Nanoseconds after which a file's times tell a change from the state before; file systems count them coarsely."""


class Model:
    """A model directory, its weights hashed once, and again only where the file is another one.

    It may be used from several threads at once.

    Args:
        model: a named model or the path of a model directory.

    Attributes:
        name: the model's name, or its directory's.
        directory: the model directory.
        place: what another process may find the same model by: the name of a named model, or an absolute path.

    Raises:
        AdainError: there is no such model.

    """

    def __init__(self, model: str) -> None:
        if not isinstance(model, (str, os.PathLike)):
            raise AdainError(f"a model is a name, or the path of a model directory, not {type(model).__name__}")
        self.directory = store.model_dir(model)
        self.name = store.model_name(model)
        self.place = model if model in spec.MODELS else str(self.directory.absolute())
        self._hashes: dict[Path, tuple[tuple[int, ...], str]] = {}
        self._weights_sha256: str | None = None
        self.after_fork()
        forks.watch(self)

    def after_fork(self) -> None:
        """Take a new lock: a thread that held the old one may not be in the child."""
        self._lock = Lock()

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the weights file as it was when this was first asked for.

        Raises:
            AdainError: the model has no weights.

        """
        if self._weights_sha256 is None:
            weights = self.directory / store.WEIGHTS_NAME
            if not weights.is_file():
                way = f"adain-rt weights fetch {self.name}" if self.name in spec.MODELS else "adain-rt weights import"
                raise AdainError(f"model {self.name} has no weights ({weights})", hint=f"run `{way}`")
            self._weights_sha256 = self._hash(weights)
        return self._weights_sha256

    def find_graphs(self, graph: str, precision: str) -> Path:
        """Return the folder of the graphs of a precision.

        Raises:
            AdainError: the weights or the graph are missing.

        """
        self.weights_sha256  # noqa: B018 - a model without weights has no use for graphs, and this says so first
        folder = contract.source_dir(self.directory, precision)
        if not (folder / contract.graph_file(graph)).is_file():
            raise AdainError(
                f"model {self.name} has no {precision} graphs yet in {folder}", hint=self._way_to_graphs(precision)
            )
        return folder

    def check_graph(self, graph: str, precision: str, facts: GraphFacts) -> None:
        """Refuse a graph that was not made from the model's weights, or for another version of the contract.

        An int8 graph has a weights file of its own, whose SHA-256 only the graph itself records.

        Raises:
            AdainError: the graph does not fit, or the weights are no longer those that were hashed first.

        """
        if self._hash(self.directory / store.WEIGHTS_NAME) != self.weights_sha256:
            raise AdainError(
                f"the weights of model {self.name} were replaced while it was in use", hint="make a new Stylizer"
            )
        folder = contract.source_dir(self.directory, precision)
        if facts.contract != contract.VERSION:
            raise AdainError(
                f"{folder}: the graph {graph} is of version {facts.contract} of the engine contract, "
                f"and this adain-rt of version {contract.VERSION}",
                hint=self._way_to_graphs(precision),
            )
        fits = facts.weights_sha256 == self.weights_sha256
        if fits and precision == "int8":
            int8_weights = self._hash(folder / store.WEIGHTS_NAME)
            fits = facts.precision == "int8" and facts.int8_weights_sha256 == int8_weights
        elif fits:
            fits = facts.precision != "int8"
        if not fits:
            raise AdainError(
                f"{folder}: the graph {graph} is not of the weights there, or of another precision",
                hint=self._way_to_graphs(precision),
            )
        for fact in ("bytes_per_pixel", "halo"):
            if getattr(facts, fact) is None:
                raise AdainError(
                    f"{folder / contract.graph_file(graph)}: the graph is damaged (its metadata has no {fact})",
                    hint=self._way_to_graphs(precision),
                )

    def _way_to_graphs(self, precision: str) -> str:
        command = "quantize" if precision == "int8" else "export"
        return f"run `adain-rt {command} --model {self.name}` (pip install 'adain-rt[export]')"

    def _hash(self, path: Path) -> str:
        """Return the SHA-256 of a file, which is computed again where the file is another one, or may be."""
        with self._lock:
            try:
                facts = path.stat()
                times = facts.st_mtime_ns, facts.st_ctime_ns
                stamp = (facts.st_dev, facts.st_ino, facts.st_size, *times)
                if path not in self._hashes or self._hashes[path][0] != stamp:
                    digest = sha256_of(path)
                    if time.time_ns() - max(times) < _SETTLED:
                        return digest
                    self._hashes[path] = stamp, digest
            except OSError as error:
                raise AdainError(f"{path}: the weights cannot be read ({explain(error)})") from None
            return self._hashes[path][1]
