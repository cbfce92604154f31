"""Give convolutions the biases that PyTorch's exporter leaves out."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from adain_export.graphs.passes.editing import add_constant, constant, require

__all__ = ["RestoreBiasesPass"]


class RestoreBiasesPass(ir.passes.InPlacePass):
    """Give each convolution a bias; the other passes read it, and its name.

    1. A Conv without a bias, whose weight is ``NAME.weight``, gets ``NAME.bias``, zeros: PyTorch's exporter leaves out
       no other bias.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rule."""
        bare = [node for node in model.graph if node.op_type == "Conv" and len(node.inputs) == 2]  # noqa: PLR2004
        for node in bare:
            weight = require(node.inputs[1])
            zeros = np.zeros(len(constant(weight)), np.float32)
            node.resize_inputs(3)
            name = f"{str(weight.name).removesuffix('weight')}bias"
            node.replace_input_with(2, add_constant(model.graph, name, zeros))
        return ir.passes.PassResult(model, modified=bool(bare))
