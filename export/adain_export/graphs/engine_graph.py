"""The graphs that engines are built from: in one precision, with their weights inside. Imports no torch."""

from __future__ import annotations

from pathlib import Path

import onnx_ir as ir
from onnx_ir.passes import common

from adain_export.graphs.passes import HalfPrecisionPass, UpsamplePhasesPass, UpsampleSmoothPass, UpsampleTransposedPass
from adain_export.graphs.source import SourceGraph, read_source
from adain_export.graphs.staging import note_memory
from adain_models.errors import AdainError

__all__ = ["PRECISIONS", "UPSAMPLINGS", "convert", "engine_graph", "engine_model"]

PRECISIONS: dict[str, list[type[ir.passes.InPlacePass]]] = {"fp32": [], "fp16": [HalfPrecisionPass]}
"""The passes that turn a float32 graph into one of each precision."""

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
        AdainError: the graph or the weights are missing, damaged, or not of one export; the precision or the
            upsampling is unknown; a weight is too large for float16.

    """
    proto = ir.to_proto(engine_model(directory, graph, precision, upsampling))
    note_memory(proto)
    serialized: bytes = proto.SerializeToString(deterministic=True)
    return serialized


def engine_model(directory: Path, graph: str, precision: str, upsampling: str = "nearest") -> ir.Model:
    """Return the same as ``engine_graph``, to be changed further; its memory is still that of the fp32 graph."""
    return convert(read_source(directory, graph), precision, upsampling)


def convert(source: SourceGraph, precision: str, upsampling: str) -> ir.Model:
    """Return a source graph, which is changed, in a precision, with its weights in memory.

    Raises:
        AdainError: the precision or the upsampling is unknown, the weights cannot be read, or a weight is too large
            for float16.

    """
    for choice, choices in ((precision, PRECISIONS), (upsampling, UPSAMPLINGS)):
        if choice not in choices:
            raise AdainError(f"{choice!r} is unknown", hint=f"use {' or '.join(choices)}")
    model = source.load_weights()
    passes = [each() for each in (*UPSAMPLINGS[upsampling], *PRECISIONS[precision])]
    ir.passes.Sequential(*passes, common.RemoveUnusedNodesPass())(model)
    model.metadata_props["precision"] = precision
    return model
