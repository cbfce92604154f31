"""What a builder made of a graph: the engine's layers, as TensorRT-RTX logs them and as an engine inspector tells."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["layers_from_inspector", "layers_from_log"]

_LAYER = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<type>\w+), Inputs: \[(?P<inputs>.*?)\], (?:Constants: \[.*?\], )?"
    r"Outputs: \[(?P<outputs>.*?)\], (?:TacticName|ParameterType).*?Metadata: ?(?P<metadata>.*)$",
    re.MULTILINE,
)
_TENSOR = re.compile(r"\{ Name: (.*?), (?:Location: \w+, )?Dimensions: (\[.*?\]).*?Datatype: (\w+)")
_NODE = re.compile(r"\[ONNX Layer: ([^\]]*)\]")


def layers_from_log(text: str) -> tuple[Mapping[str, Any], ...]:
    """Return the layers that a builder with detailed profiling logs."""
    return tuple(
        _layer(
            found["name"],
            found["type"],
            *(_TENSOR.findall(found[side]) for side in ("inputs", "outputs")),
            metadata=found["metadata"],
        )
        for found in _LAYER.finditer(text)
    )


def layers_from_inspector(text: str) -> tuple[Mapping[str, Any], ...]:
    """Return the layers of ``EngineInspector.get_engine_information`` in JSON; of each, what is told."""
    told = json.loads(text).get("Layers", [])
    return tuple(_inspected(layer) for layer in told if isinstance(layer, dict))  # else names alone


def _inspected(layer: Mapping[str, Any]) -> dict[str, Any]:
    inputs, outputs = (
        [
            (
                each.get("Name", ""),
                json.dumps(each.get("Dimensions", [])),
                each.get("Datatype") or each.get("Format/Datatype", ""),
            )
            for each in layer.get(side, [])
        ]
        for side in ("Inputs", "Outputs")
    )
    return _layer(
        layer.get("Name", ""), layer.get("LayerType", ""), inputs, outputs, metadata=layer.get("Metadata", "")
    )


def _layer(
    name: str,
    kind: str,
    inputs: Iterable[tuple[str, str, str]],
    outputs: Iterable[tuple[str, str, str]],
    *,
    metadata: str,
) -> dict[str, Any]:
    """Return a layer: its name and type, the tensors it reads and writes, and the graph's nodes that went into it.

    A tensor is given as ``Half[1,512,64,64]``; one that is read twice counts once, weights not at all.
    """
    return {
        "name": name,
        "type": kind,
        "inputs": _tensors(inputs),
        "outputs": _tensors(outputs),
        "nodes": _NODE.findall(metadata),
    }


def _tensors(tensors: Iterable[tuple[str, str, str]]) -> list[str]:
    return [f"{kind}{shape.replace(' ', '')}" for kind, shape in {name: (t, s) for name, s, t in tensors}.values()]
