"""Graphs on disk: read from a directory; written aside, and moved to their places once all of them are right."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from safetensors import SafetensorError

from adain_export.graphs.footprint import bytes_per_pixel
from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt import contract
from adain_rt.backends.base import check_file

__all__ = ["finish", "note_memory", "read_graph", "stage"]


@contextmanager
def stage(destination: Path) -> Iterator[Path]:
    """Yield a new directory inside another; if the block succeeds, its files move there.

    Raises:
        AdainError: the directory cannot be written.

    """
    try:
        destination.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".export-", dir=destination) as aside:
            yield Path(aside)
            for path in Path(aside).iterdir():
                path.replace(destination / path.name)
    except (OSError, SafetensorError) as error:
        raise AdainError(f"{destination}: cannot be written ({explain(error)})") from error


def finish(path: Path) -> None:
    """Check a written graph, its types and shapes inferred, against the ONNX standard; note what memory it takes."""
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path, load_external_data=False)
    note_memory(model)
    path.write_bytes(model.SerializeToString(deterministic=True))


def note_memory(model: onnx.ModelProto) -> None:
    """Put the memory that a graph takes for a pixel into its metadata, which holds all other facts."""
    metadata = {prop.key: prop.value for prop in model.metadata_props}
    facts = replace(contract.GraphFacts.from_metadata(metadata), bytes_per_pixel=bytes_per_pixel(model))
    onnx.helper.set_model_props(model, metadata | facts.to_metadata())


def read_graph(directory: Path, graph: str) -> ir.Model:
    """Return a graph of a model directory.

    Raises:
        AdainError: the graph is missing or damaged, or its data are not in files beside it.

    """
    path = directory / contract.graph_file(graph)
    check_file(path)
    try:
        return ir.load(path)
    except (OSError, DecodeError) as error:
        raise AdainError(f"{path}: the graph cannot be loaded ({explain(error)}); export it again") from None
