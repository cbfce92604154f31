"""Make a graph return the ranges of its activations."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from adain_export.graphs.passes.editing import activations, add_constant

__all__ = ["ReportRangesPass"]


class ReportRangesPass(ir.passes.InPlacePass):
    """Add outputs to a graph: the least and the greatest number of each channel of its activations.

    1. Each value of ``activations``, float32 (N, C, h, w), is reduced over its positions to ``NAME.low`` and
       ``NAME.high``, float32 (N, C).
    2. These are outputs behind the graph's own, in the order of the activations, low before high.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        graph = model.graph
        axes = add_constant(graph, "positions", np.array([2, 3], np.int64))
        for name, value in activations(graph).items():
            for end, op_type in (("low", "ReduceMin"), ("high", "ReduceMax")):
                node = ir.node(op_type, [value, axes], {"keepdims": 0}, name=f"{name}.{end}")
                (output,) = node.outputs
                output.name, output.type, output.shape = (
                    node.name,
                    ir.TensorType(ir.DataType.FLOAT),
                    ir.Shape(["N", None]),
                )
                graph.append(node)
                graph.outputs.append(output)
        return ir.passes.PassResult(model, modified=True)
