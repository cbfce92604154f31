"""Give the last convolution as many output channels as a processor's vectors hold."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from adain_export.passes._graphs import add_constant, constant, convolutions, given, insert, reader

__all__ = ["BlockOutputPass"]

_BLOCK = 2


class BlockOutputPass(ir.passes.InPlacePass):
    """Compute the picture in blocks of 2x2 pixels; the same numbers, faster.

    1. The convolution that gives the picture, of stride 1, k x k weights (3, C, k, k) and a bias (3), becomes one of
       stride 2 and weights (12, C, k + 1, k + 1): channel 6i + 3j + c holds the weights of c, moved by (i, j).
    2. DepthToSpace puts the 12 channels back as blocks of 2x2 pixels of 3.
    3. A graph that gives no picture stays as it is.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        graph = model.graph
        last = convolutions(graph)[-1]
        if reader(last.outputs[0]).op_type != "Round":
            return ir.passes.PassResult(model, modified=False)
        blocked, bias = _blocked(constant(last.inputs[1])), np.tile(constant(last.inputs[2]), _BLOCK**2)
        for index, numbers in ((1, blocked), (2, bias)):
            last.replace_input_with(index, add_constant(graph, str(given(last.inputs[index]).name), numbers))
        last.attributes["strides"] = ir.AttrInt64s("strides", [_BLOCK, _BLOCK])
        last.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", blocked.shape[2:])
        insert("DepthToSpace", last.outputs[0], [], "picture_of_blocks", {"blocksize": _BLOCK})
        return ir.passes.PassResult(model, modified=True)


def _blocked(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return weights (12, I, k + 1, k + 1) of weights (3, I, k, k)."""
    outputs, inputs, height, width = weight.shape
    blocked = np.zeros((_BLOCK, _BLOCK, outputs, inputs, height + _BLOCK - 1, width + _BLOCK - 1), weight.dtype)
    for i, j in np.ndindex(_BLOCK, _BLOCK):
        blocked[i, j, :, :, i : i + height, j : j + width] = weight
    return blocked.reshape(-1, *blocked.shape[3:])
