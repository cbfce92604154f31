"""What is in an ONNX graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from adain_models.errors import AdainError
from adain_models.files import explain, sha256_of

__all__ = ["describe"]


def describe(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the facts of a graph file, and its nodes in the form of an engine's layers.

    Raises:
        AdainError: the file cannot be read, or is not an ONNX graph.

    """
    try:
        model = onnx.shape_inference.infer_shapes(onnx.load(file, load_external_data=False))
    except (OSError, DecodeError, onnx.shape_inference.InferenceError) as error:
        raise AdainError(f"{file}: is not an ONNX graph, or is damaged ({explain(error)})") from None
    graph = model.graph
    if not graph.node:
        raise AdainError(f"{file}: is not an ONNX graph, or an empty one")
    outside = {entry.value for tensor in graph.initializer for entry in tensor.external_data if entry.key == "location"}
    facts = {
        "onnx": str(file),
        "bytes": file.stat().st_size,
        "sha256": sha256_of(file),
        "producer": f"{model.producer_name}, opset {', '.join(str(opset.version) for opset in model.opset_import)}",
        "weights": ", ".join(sorted(outside)) or "inside",
        **{prop.key.replace("_", " "): prop.value for prop in model.metadata_props},
        "tensors": [_write_tensor(value) for value in (*graph.input, *graph.output)],
    }
    types = {value.name: _name_type(value) for value in (*graph.value_info, *graph.output)}
    nodes = [
        {"name": node.name, "type": node.op_type, "outputs": [types.get(name, "?") for name in node.output]}
        for node in graph.node
    ]
    return facts, nodes


def _write_tensor(value: onnx.ValueInfoProto) -> str:
    sizes = (dim.dim_param or str(dim.dim_value) for dim in value.type.tensor_type.shape.dim)
    return f"{value.name} {_name_type(value)} [{', '.join(sizes)}]"


def _name_type(value: onnx.ValueInfoProto) -> str:
    """Return the type of a tensor's numbers, or a question mark for a sequence and the like."""
    kind = value.type.tensor_type.elem_type
    return str(onnx.helper.tensor_dtype_to_np_dtype(kind)) if kind else "?"
