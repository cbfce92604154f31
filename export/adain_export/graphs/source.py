"""The fp32 graphs of a model directory, which all other graphs and engines are made from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import onnx_ir as ir

from adain_export.graphs.staging import read_graph
from adain_models.errors import AdainError
from adain_models.files import explain, sha256_of
from adain_models.weights.store import WEIGHTS_NAME
from adain_rt import contract
from adain_rt.contract import GraphFacts

__all__ = ["SourceGraph", "read_source"]


@dataclass(frozen=True)
class SourceGraph:
    """A graph of a model directory, which was exported from the weights there.

    Attributes:
        graph: its name in the contract.
        path: the graph's file.
        facts: what the export wrote into it.
        model: the graph itself; its weights are in the weights file until ``load_weights`` is called.

    """

    graph: str
    path: Path
    facts: GraphFacts
    model: ir.Model

    def load_weights(self) -> ir.Model:
        """Bring the weights into memory and return the graph, to be changed.

        Raises:
            AdainError: the weights file is missing or damaged.

        """
        try:
            ir.external_data.load_to_model(self.model)
        except FileNotFoundError as error:
            raise AdainError(f"{error.filename or self.path}: there is no such file") from None
        except (OSError, ValueError) as error:
            raise AdainError(f"{self.path}: its weights cannot be read ({explain(error)}); export it again") from error
        return self.model


def read_source(directory: Path, graph: str) -> SourceGraph:
    """Return a graph of a model directory, checked against the weights there and the contract's version.

    Raises:
        AdainError: the graph or the weights are missing or damaged, or do not belong together; or another version of
            adain-rt exported the graph.

    """
    path = directory / contract.graph_file(graph)
    model = read_graph(directory, graph)
    try:
        facts = GraphFacts.from_metadata(model.metadata_props)
    except ValueError:
        facts = None
    if facts is not None and facts.contract != contract.VERSION:
        raise AdainError(
            f"{path}: the graph is of version {facts.contract} of the engine contract, "
            f"and this adain-rt of version {contract.VERSION}; export it again"
        )
    if facts is None or not facts.model or facts.bytes_per_pixel is None or facts.halo is None:
        raise AdainError(f"{path}: metadata that the export writes is missing from the graph; export it again")
    if facts.weights_sha256 != _hash_weights(directory / WEIGHTS_NAME):
        raise AdainError(f"{path}: the graph was not exported from the weights there; export it again")
    return SourceGraph(graph, path, facts, model)


def _hash_weights(weights: Path) -> str:
    """Return the SHA-256 of a weights file, computed once for the graphs that share it.

    Raises:
        AdainError: the file is missing or cannot be read.

    """
    try:
        status = weights.stat()
        return _hash_unchanged(weights, status.st_mtime_ns, status.st_size)
    except FileNotFoundError:
        raise AdainError(
            f"{weights}: there is no such file", hint="run `adain-rt weights fetch` or `adain-rt weights import`"
        ) from None
    except OSError as error:
        raise AdainError(f"{weights}: cannot be read ({explain(error)})") from None


@lru_cache(maxsize=8)
def _hash_unchanged(path: Path, modified_ns: int, size: int) -> str:
    """Return the SHA-256 of a file; it is computed again when the file's time or size changes."""
    del modified_ns, size
    return sha256_of(path)
