"""Make the weights of convolutions int8."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from adain_export.graphs.passes.editing import add_constant, constant, convolution_name, convolutions

__all__ = ["QuantizeWeightsPass"]

_LEAST = 1e-4  # of a convolution's largest weight: with smaller scales, biases would not fit in the int32 they become


class QuantizeWeightsPass(ir.passes.InPlacePass):
    """Store each convolution's weights in 8 bits, with one scale for each output channel.

    1. The weights, (O, I, k, k) or a transposed convolution's (I, O, 4, 4), become int8 within -127..127, under their
       old name. They count in units of ``NAME.weight_scale``, float32 (O,): a channel's largest magnitude / 127.
       ``NAME.weight_zero_point``, int8 (O,), is 0.
    2. They are rounded so that the taps by which an output reads an input channel keep their sum, to half a unit: what
       is nearest to a half is rounded the other way. Smooth inputs find the filter's whole sum, and the four outputs of
       a transposed convolution, of which each reads four taps and all have one bias, draw no grid.
    3. DequantizeLinear, along the axis of O, stands between them and the convolution.
    4. Biases stay float.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        for convolution in convolutions(model.graph):
            name = f"{convolution_name(convolution)}.weight"
            axis = int(convolution.op_type == "ConvTranspose")
            numbers, scales = _quantize(constant(convolution.inputs[1]), axis)
            stored = add_constant(model.graph, name, numbers)
            scale = add_constant(model.graph, f"{name}_scale", scales)
            zero = add_constant(model.graph, f"{name}_zero_point", np.zeros(len(scales), np.int8))
            node = ir.node("DequantizeLinear", [stored, scale, zero], {"axis": axis}, name=f"{name}_float")
            node.outputs[0].name = f"{name}_float"
            model.graph.insert_before(convolution, node)
            convolution.replace_input_with(1, node.outputs[0])
        return ir.passes.PassResult(model, modified=True)


def _quantize(weight: NDArray[np.float32], axis: int) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return weights in int8 and the scales, float32 (O,); ``axis`` is that of O."""
    by_output = np.moveaxis(weight, axis, 0)  # (O, I, k, k)
    largest = np.abs(by_output).max((1, 2, 3))
    scales = (np.maximum(largest, max(_LEAST * largest.max(), 1e-8)) / 127).astype(np.float32)
    units = by_output / scales[:, None, None, None].astype(np.float64)
    outputs, inputs, side, _ = units.shape
    step = axis + 1  # the taps by which an output of a transposed convolution reads an input are two apart
    taps = units.reshape(outputs, inputs, side // step, step, side // step, step).transpose(0, 1, 3, 5, 2, 4)
    rounded = _round_taps(taps.reshape(*taps.shape[:4], -1)).reshape(taps.shape)
    stored = rounded.transpose(0, 1, 4, 2, 5, 3).reshape(units.shape).clip(-127, 127).astype(np.int8)
    return np.moveaxis(stored, 0, axis), scales


def _round_taps(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return whole numbers, less than 1 from these, whose sums over the last axis are within a half of theirs."""
    nearest: NDArray[np.float64] = numbers.round()
    errors = numbers - nearest
    missing = errors.sum(-1, keepdims=True).round()
    order = np.argsort(-errors * np.sign(missing), axis=-1, kind="stable")
    rank = np.argsort(order, axis=-1, kind="stable")
    rounded: NDArray[np.float64] = nearest + np.sign(missing) * (rank < np.abs(missing))
    return rounded
