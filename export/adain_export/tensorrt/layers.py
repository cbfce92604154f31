"""What a builder made of a graph: an engine's layers, as TensorRT-RTX logs them or an engine inspector lists them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

__all__ = ["layers_from_inspector", "layers_from_log"]

_LAYER = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<type>\w+), Inputs: \[(?P<inputs>.*?)\], (?:Constants: \[.*?\], )?"
    r"Outputs: \[(?P<outputs>.*?)\], (?:TacticName|ParameterType).*?Metadata: ?(?P<metadata>.*)$",
    re.MULTILINE,
)
_TENSOR = re.compile(r"\{ Name: (.*?), (?:Location: \w+, )?Dimensions: (\[.*?\]).*?Datatype: (\w+)")
_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")


class _Tensor(NamedTuple):
    """A tensor that a layer reads or writes, as the library writes it: its shape is a list in brackets."""

    name: str
    shape: str
    dtype: str


def layers_from_log(text: str) -> tuple[Mapping[str, Any], ...]:
    """Return the layers that a builder with detailed profiling logs."""
    return tuple(
        _describe(
            found["name"],
            found["type"],
            [_Tensor(*tensor) for tensor in _TENSOR.findall(found["inputs"])],
            [_Tensor(*tensor) for tensor in _TENSOR.findall(found["outputs"])],
            metadata=found["metadata"],
        )
        for found in _LAYER.finditer(text)
    )


def layers_from_inspector(text: str) -> tuple[Mapping[str, Any], ...]:
    """Return the layers of ``EngineInspector.get_engine_information`` in JSON, with what it lists of each."""
    layers = json.loads(text).get("Layers", [])
    return tuple(
        _describe(
            layer.get("Name", ""),
            layer.get("LayerType", ""),
            _read_tensors(layer.get("Inputs", [])),
            _read_tensors(layer.get("Outputs", [])),
            metadata=layer.get("Metadata", ""),
        )
        for layer in layers
        if isinstance(layer, dict)  # without detailed profiling, a layer is its name alone
    )


def _read_tensors(tensors: Iterable[Mapping[str, Any]]) -> list[_Tensor]:
    """Return an inspector's tensors; older versions name the type together with the layout."""
    return [
        _Tensor(
            name=each.get("Name", ""),
            shape=json.dumps(each.get("Dimensions", [])),
            dtype=each.get("Datatype") or each.get("Format/Datatype", ""),
        )
        for each in tensors
    ]


def _describe(
    name: str, kind: str, inputs: Iterable[_Tensor], outputs: Iterable[_Tensor], *, metadata: str
) -> dict[str, Any]:
    """Return a layer as a manifest has it: its name and type, its tensors, and the graph's nodes that went into it."""
    return {
        "name": name,
        "type": kind,
        "inputs": _write_tensors(inputs),
        "outputs": _write_tensors(outputs),
        "nodes": _NODE.findall(metadata),
    }


def _write_tensors(tensors: Iterable[_Tensor]) -> list[str]:
    """Return tensors such as ``Half[1,512,64,64]``; a tensor that is read twice counts once."""
    by_name = {tensor.name: tensor for tensor in tensors}
    return [f"{tensor.dtype}{tensor.shape.replace(' ', '')}" for tensor in by_name.values()]
