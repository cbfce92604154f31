"""Make a graph in half precision round to halves on a processor that would not."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from adain_export.graphs.passes.editing import add_constant, constant, insert

__all__ = ["ExplicitRoundingPass"]

_FLOAT = ir.TensorType(ir.DataType.FLOAT)


class ExplicitRoundingPass(ir.passes.InPlacePass):
    """Compute a float16 graph in float32, and round to float16 what it would give in float16: as a GPU does.

    ONNX Runtime computes float16 in float32 on most processors, and leaves out the rounding between operators. It does
    not leave out a Cast to float16 and one back unless it put them in itself.

    1. Constants in float16 become float32.
    2. A Cast to float32 is inserted behind each Cast to float16.
    3. A Cast to float16 and one to float32 are inserted behind each convolution, addition and mean of neighbours of
       float16. Other operators only choose among the numbers that they read.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        graph = model.graph
        for name, value in list(graph.initializers.items()):
            if constant(value).dtype == np.float16:
                value.replace_all_uses_with(add_constant(graph, name, constant(value).astype(np.float32)))
        halves: set[ir.Value | None] = set()
        for node in list(graph):
            (output, *_) = node.outputs
            if _is_cast_to_half(node):
                halves.add(insert("Cast", output, [], f"{output.name}_single", {"to": ir.DataType.FLOAT}))
            elif node.op_type != "Cast" and node.inputs[0] in halves:
                output.type = _FLOAT
                halves.add(_round(output) if node.op_type in {"Add", "AveragePool", "Conv"} else output)
        return ir.passes.PassResult(model, modified=bool(halves))


def _is_cast_to_half(node: ir.Node) -> bool:
    return node.op_type == "Cast" and node.attributes["to"].as_int() == ir.DataType.FLOAT16


def _round(value: ir.Value) -> ir.Value:
    """Return what readers find in place of a value: the nearest half, in float32."""
    half = insert("Cast", value, [], f"{value.name}_half", {"to": ir.DataType.FLOAT16})
    return insert("Cast", half, [], f"{value.name}_rounded", {"to": ir.DataType.FLOAT})
