"""Replace a transposed convolution by a plain one at the low resolution."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from adain_export.graphs.passes.editing import (
    add_constant,
    constant,
    convolution_name,
    convolutions,
    insert,
    producer,
    replace,
    require,
)

__all__ = ["UpsamplePhasesPass", "phase_weights"]

_FACTOR = 2


class UpsamplePhasesPass(ir.passes.InPlacePass):
    """Compute the transposed convolutions of ``UpsampleTransposedPass`` in blocks of 2x2 pixels; the same numbers.

    The outputs at even places of a row are one filter of two taps along the input, those at odd places another.

    1. A transposed convolution, weights (I, O, 4, 4) and a bias (O,), becomes a 2x2 convolution, weights (4 O, I, 2, 2)
       and a bias (4 O,), named NAME.phases.weight and NAME.phases.bias. An input of (H + 2, W + 2), padded, gives
       (H + 1, W + 1) blocks of 2x2 pixels, half a block ahead of the picture.
    2. DepthToSpace, behind the Relu or the QuantizeLinear if one follows, puts the blocks in their places. If the
       transposed convolution's padding left out the pixel that they are ahead on each side, Pad by -1 cuts it off.
    3. Where DequantizeLinear stands between the weights and the convolution, it and its scales and zero points follow.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        found = [convolution for convolution in convolutions(model.graph) if convolution.op_type == "ConvTranspose"]
        for convolution in found:
            _change(model.graph, convolution)
        return ir.passes.PassResult(model, modified=bool(found))


def _change(graph: ir.Graph, convolution: ir.Node) -> None:
    name = f"{convolution_name(convolution)}.phases"
    read, weight, bias = map(require, convolution.inputs)
    phases = _weights(graph, convolution, weight, f"{name}.weight")
    repeated = add_constant(graph, f"{name}.bias", np.tile(constant(bias), _FACTOR**2))
    attributes = {"kernel_shape": [_FACTOR, _FACTOR]}
    cut_off = convolution.attributes["pads"].as_ints()[0] - _FACTOR
    at_low = ir.node("Conv", [read, phases, repeated], attributes, name=convolution.name)
    replace(convolution, at_low)

    value = at_low.outputs[0]
    (*others, (after, _)) = value.uses()
    if not others and after.op_type in {"Relu", "QuantizeLinear"}:
        value = after.outputs[0]
    blocks = insert("DepthToSpace", value, [], f"{value.name}_blocks", {"blocksize": _FACTOR})
    if cut_off:
        cut = add_constant(graph, "cut", np.array([0, 0, -1, -1, 0, 0, -1, -1], np.int64))
        insert("Pad", blocks, [cut], f"{value.name}_enlarged")


def _weights(graph: ir.Graph, convolution: ir.Node, weight: ir.Value, name: str) -> ir.Value:
    """Return weights (4 O, I, 2, 2) of weights (I, O, 4, 4), float or dequantised."""
    if weight.producer() is None:
        return add_constant(graph, name, phase_weights(constant(weight)))
    stored, scale, zero = map(constant, producer(weight).inputs)
    constants = [
        add_constant(graph, name, phase_weights(stored)),
        add_constant(graph, f"{name}_scale", np.tile(scale, _FACTOR**2)),
        add_constant(graph, f"{name}_zero_point", np.tile(zero, _FACTOR**2)),
    ]
    node = ir.node("DequantizeLinear", constants, {"axis": 0}, name=f"{name}_float")
    node.outputs[0].name = node.name
    graph.insert_before(convolution, node)
    return node.outputs[0]


def phase_weights(weight: NDArray[Any]) -> NDArray[Any]:
    """Return weights (4 O, I, k, k) of a transposed convolution's (I, O, 2 k, 2 k).

    The first O channels are the blocks' top left pixels.
    """
    inputs, outputs, side, _ = weight.shape
    by_phase = weight.reshape(inputs, outputs, side // 2, 2, side // 2, 2)  # (I, O, tap, phase) of rows and columns
    in_order = by_phase[:, :, ::-1, :, ::-1]
    return in_order.transpose(3, 5, 1, 0, 2, 4).reshape(-1, inputs, side // 2, side // 2)
