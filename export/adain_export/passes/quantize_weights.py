"""Make the weights of convolutions int8."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from adain_export.passes._graphs import add_constant, constant, convolution_name, convolutions

__all__ = ["QuantizeWeightsPass"]

_LEAST = 1e-4  # of a convolution's largest weight: with smaller scales, biases would not fit in the int32 they become


class QuantizeWeightsPass(ir.passes.InPlacePass):
    """Store each convolution's weights in 8 bits, with one scale for each output channel.

    1. The weights (O, I, k, k) become int8 within -127..127, under their old name. They count in units of
       ``NAME.weight_scale``, float32 (O,): a channel's largest magnitude / 127. ``NAME.weight_zero_point``, int8 (O,),
       is 0.
    2. DequantizeLinear, along axis 0, stands between them and the convolution.
    3. Biases stay float.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        for convolution in convolutions(model.graph):
            name = f"{convolution_name(convolution)}.weight"
            numbers, scales = _quantized(constant(convolution.inputs[1]))
            stored = add_constant(model.graph, name, numbers)
            scale = add_constant(model.graph, f"{name}_scale", scales)
            zero = add_constant(model.graph, f"{name}_zero_point", np.zeros(len(scales), np.int8))
            node = ir.node("DequantizeLinear", [stored, scale, zero], {"axis": 0}, name=f"{name}_float")
            node.outputs[0].name = f"{name}_float"
            model.graph.insert_before(convolution, node)
            convolution.replace_input_with(1, node.outputs[0])
        return ir.passes.PassResult(model, modified=True)


def _quantized(weight: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return int8 (O, I, k, k) and the scales, float32 (O,)."""
    largest = np.abs(weight).max((1, 2, 3))
    scales = (np.maximum(largest, max(_LEAST * largest.max(), 1e-8)) / 127).astype(np.float32)
    return np.round(weight / scales[:, None, None, None]).clip(-127, 127).astype(np.int8), scales
