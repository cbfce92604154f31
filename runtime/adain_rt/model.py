"""A model on this machine: the weights that its styles and graphs are bound to, and where its graphs are."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_models.weights import spec, store
from adain_rt import contract
from adain_rt.contract import GraphFacts

__all__ = ["Model"]


class Model:
    """A model directory, its weights hashed once. It may be used from several threads at once.

    Args:
        model: a named model or the path of a model directory.

    Attributes:
        name: the model's name, or its directory's.
        directory: the model directory.

    Raises:
        AdainError: there is no such model.

    """

    def __init__(self, model: str) -> None:
        self.directory = store.model_dir(model)
        self.name = store.model_name(model)
        self._lock = Lock()
        self._hashes: dict[Path, str] = {}

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of the weights file.

        Raises:
            AdainError: the model has no weights.

        """
        weights = self.directory / store.WEIGHTS_NAME
        if weights not in self._hashes and not weights.is_file():
            way = f"adain-rt weights fetch {self.name}" if self.name in spec.MODELS else "adain-rt weights import"
            raise AdainError(f"model {self.name} has no weights ({weights})", hint=f"run `{way}`")
        return self._hash(weights)

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
            AdainError: the graph does not fit.

        """
        folder = contract.source_dir(self.directory, precision)
        fits = facts.weights_sha256 == self.weights_sha256 and facts.contract == contract.VERSION
        if fits and precision == "int8":
            int8_weights = self._hash(folder / store.WEIGHTS_NAME)
            fits = facts.precision == "int8" and facts.int8_weights_sha256 == int8_weights
        elif fits:
            fits = facts.precision != "int8"
        if not fits:
            raise AdainError(
                f"{folder}: the graph {graph} is not of the weights there, or of another version",
                hint=self._way_to_graphs(precision),
            )
        if facts.bytes_per_pixel is None:
            raise AdainError(
                f"{folder / contract.graph_file(graph)}: the graph is damaged (its metadata has no bytes_per_pixel)",
                hint=self._way_to_graphs(precision),
            )

    def _way_to_graphs(self, precision: str) -> str:
        command = "quantize" if precision == "int8" else "export"
        return f"run `adain-rt {command} --model {self.name}` (pip install 'adain-rt[export]')"

    def _hash(self, path: Path) -> str:
        with self._lock:
            if path not in self._hashes:
                self._hashes[path] = sha256_of(path)
            return self._hashes[path]
