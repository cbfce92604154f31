"""Store the bounded activations of a graph as int8, the picture that it gives as uint8."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from adain_export.graphs.passes.editing import MOVERS, add_constant, constant, insert, producer, require

__all__ = ["ZERO_POINT", "QuantizeActivationsPass"]

ZERO_POINT = "activation_zero_point"
"""The initializer that is every activation's zero point."""

_LOWEST, _HIGHEST = -128, 127

_MOVERS = MOVERS - {"DepthToSpace"}  # of which older versions of ONNX Runtime have no kernel for int8


class QuantizeActivationsPass(ir.passes.InPlacePass):
    """Replace each Clip to what int8 holds by rounding to int8.

    1. A Clip to -128 s .. 127 s becomes QuantizeLinear by the scale s, whose saturation does the same.
    2. What only moves numbers behind it (Pad, MaxPool, Resize, Transpose) moves int8.
    3. DequantizeLinear is inserted before all other nodes; nodes that read the same value share it.
    4. The zero point of all is one initializer, int8 0.
    5. The Round, Clip and Cast that make the picture uint8 become QuantizeLinear by the scale 1 and the zero point
       uint8 0, inserted before the nodes that only move numbers.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        graph = model.graph
        zero = add_constant(graph, ZERO_POINT, np.array(0, np.int8))
        clips = [node for node in graph if node.op_type == "Clip" and _is_int8(node)]
        for clip in clips:
            value, high = require(clip.inputs[0]), clip.inputs[2]
            scale = add_constant(graph, f"{value.name}_scale", constant(high) / np.float32(_HIGHEST))
            stored = insert("QuantizeLinear", value, [scale, zero], f"{value.name}_stored", uses=[])
            clip.outputs[0].replace_all_uses_with(stored)
            graph.remove(clip, safe=True)
            _dequantize(graph, stored, scale, zero)
        pictures = [value for value in graph.outputs if value.dtype == ir.DataType.UINT8]
        for picture in pictures:
            _store_picture(graph, picture)
        return ir.passes.PassResult(model, modified=bool(clips or pictures))


def _is_int8(clip: ir.Node) -> bool:
    ends = clip.inputs[1:]
    if len(ends) < 2 or None in ends:  # noqa: PLR2004 - one end is open
        return False
    low, high = map(constant, ends)
    return bool(np.isclose(low * _HIGHEST, high * _LOWEST))


def _dequantize(graph: ir.Graph, stored: ir.Value, scale: ir.Value, zero: ir.Value) -> None:
    """Put DequantizeLinear between a stored value and whatever does more than move it."""
    for use in stored.uses():
        if use.node.op_type in _MOVERS:
            (moved,) = use.node.outputs
            moved.type = None  # it was float
            _dequantize(graph, moved, scale, zero)
    readers = [use for use in stored.uses() if use.node.op_type not in _MOVERS]
    if not readers:
        return
    insert("DequantizeLinear", stored, [scale, zero], f"{stored.name}_float", uses=readers)


def _store_picture(graph: ir.Graph, picture: ir.Value) -> None:
    """Apply rule 5."""
    cast = producer(picture)
    clip = producer(cast.inputs[0])
    rounding = producer(clip.inputs[0])
    moved = value = require(rounding.inputs[0])
    while producer(value).op_type in MOVERS | {"Reshape", "Unsqueeze"}:
        value.type = None  # it was float
        value = require(producer(value).inputs[0])
    constants = [
        add_constant(graph, "picture_scale", np.array(1, np.float32)),
        add_constant(graph, "picture_zero_point", np.array(0, np.uint8)),
    ]
    insert("QuantizeLinear", value, constants, f"{value.name}_stored")
    graph.outputs[list(graph.outputs).index(picture)] = moved
    graph.remove([cast, clip, rounding], safe=True)
    moved.name, moved.type, moved.shape = picture.name, picture.type, picture.shape
