"""The graphs that engines are built from: in one precision, their weights inside. Imports no torch."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes import common

from adain_export.graphs.passes import HalfPrecisionPass, UpsamplePhasesPass, UpsampleSmoothPass, UpsampleTransposedPass
from adain_export.graphs.staging import note_memory, read_graph
from adain_models.errors import AdainError
from adain_models.files import explain, sha256_of
from adain_models.weights.store import WEIGHTS_NAME

__all__ = ["PRECISIONS", "UPSAMPLINGS", "engine_graph", "engine_model"]

PRECISIONS: dict[str, list[type[ir.passes.InPlacePass]]] = {"fp32": [], "fp16": [HalfPrecisionPass]}
"""What makes a graph of each precision out of one in float32."""

UPSAMPLINGS: dict[str, list[type[ir.passes.InPlacePass]]] = {
    "nearest": [],
    "phases": [UpsampleTransposedPass, UpsampleSmoothPass, UpsamplePhasesPass],
}
"""Whether convolutions read an enlarged picture, or compute its phases from the picture."""


def engine_graph(directory: Path, graph: str, precision: str, upsampling: str = "nearest") -> bytes:
    """Return a graph of a model directory as a serialized ONNX model that refers to no other file.

    The same files and arguments give the same bytes. Inputs and outputs are the contract's in each precision.

    Args:
        directory: a model directory with graphs in fp32.
        graph: its name in the contract.
        precision: of ``PRECISIONS``.
        upsampling: of ``UPSAMPLINGS``.

    Raises:
        AdainError: the graph or the weights are missing, damaged, or not of one export; no such precision or
            upsampling; a weight is too large for float16.

    """
    proto = ir.to_proto(engine_model(directory, graph, precision, upsampling))
    note_memory(proto)
    serialized: bytes = proto.SerializeToString(deterministic=True)
    return serialized


def engine_model(directory: Path, graph: str, precision: str, upsampling: str = "nearest") -> ir.Model:
    """Return the same as ``engine_graph``, to be changed further; its metadata tells the precision."""
    for choice, choices in ((precision, PRECISIONS), (upsampling, UPSAMPLINGS)):
        if choice not in choices:
            raise AdainError(f"{choice!r} is none of {', '.join(choices)}")
    model = read_graph(directory, graph)
    _load_weights(model, directory, graph)
    passes = [each() for each in (*UPSAMPLINGS[upsampling], *PRECISIONS[precision])]
    ir.passes.Sequential(*passes, common.RemoveUnusedNodesPass())(model)
    model.metadata_props["precision"] = precision
    return model


def _load_weights(model: ir.Model, directory: Path, graph: str) -> None:
    """Bring a graph's weights into memory."""
    weights = directory / WEIGHTS_NAME
    try:
        if sha256_of(weights) != model.metadata_props.get("weights_sha256"):
            raise AdainError(f"{weights}: is not what the graph {graph} was exported from; export it again")
        ir.external_data.load_to_model(model)
    except FileNotFoundError:
        raise AdainError(f"{weights}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise AdainError(f"{weights}: cannot be read ({explain(error)}); export the model again") from error
