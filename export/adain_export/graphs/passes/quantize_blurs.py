"""Make the blurs behind convolutions convolutions of 8 bits."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from adain_export.graphs.passes.editing import (
    add_constant,
    blur_behind,
    constant,
    convolution_name,
    convolutions,
    replace,
    require,
)

__all__ = ["QuantizeBlursPass"]

_BINOMIAL = np.outer([1, 2, 1], [1, 2, 1]).astype(np.int8)


class QuantizeBlursPass(ir.passes.InPlacePass):
    """Blur what convolutions give by depthwise convolutions, whose weights are whole numbers.

    1. The two means of neighbours that blur what a convolution NAME of O outputs gives become one depthwise 3x3
       convolution, NAME.smooth: weights int8 (O, 1, 3, 3), the products of 1, 2, 1 down and across; their scale, 1/16
       of each output; a bias of 0. Exact.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rule."""
        found = [convolution for convolution in convolutions(model.graph) if blur_behind(convolution)]
        for convolution in found:
            _change(model.graph, convolution)
        return ir.passes.PassResult(model, modified=bool(found))


def _change(graph: ir.Graph, convolution: ir.Node) -> None:
    mean, blur = blur_behind(convolution)
    name = f"{convolution_name(convolution)}.smooth"
    outputs = len(constant(convolution.inputs[2]))
    weight = f"{name}.weight"
    constants = [
        add_constant(graph, weight, np.tile(_BINOMIAL, (outputs, 1, 1, 1))),
        add_constant(graph, f"{weight}_scale", np.full(outputs, 1 / _BINOMIAL.sum(), np.float32)),
        add_constant(graph, f"{weight}_zero_point", np.zeros(outputs, np.int8)),
    ]
    dequantized = ir.node("DequantizeLinear", constants, {"axis": 0}, name=f"{weight}_float")
    dequantized.outputs[0].name = dequantized.name
    graph.insert_before(blur, dequantized)
    bias = add_constant(graph, f"{name}.bias", np.zeros(outputs, np.float32))
    inputs = [require(convolution.outputs[0]), dequantized.outputs[0], bias]
    replace(blur, ir.node("Conv", inputs, {"kernel_shape": [3, 3], "group": outputs}, name=name))
    graph.remove(mean, safe=True)
