"""Give the last convolution as many output channels as a processor's vectors hold."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from adain_export.graphs.passes.editing import (
    add_constant,
    blur_behind,
    constant,
    convolutions,
    insert,
    reader,
    require,
)
from adain_export.graphs.passes.upsample_smooth import blur_in_blocks, is_blurred_in_blocks

__all__ = ["BlockOutputPass"]

_BLOCK = 2


class BlockOutputPass(ir.passes.InPlacePass):
    """Compute the picture in blocks of 2x2 pixels; the same numbers, faster.

    1. The convolution that gives the picture, of stride 1, k x k weights (3, C, k, k) and a bias (3), becomes one of
       stride 2 and weights (12, C, k + 1, k + 1): channel 6i + 3j + c holds the weights of c, moved by (i, j).
    2. If what it reads, not padded, is a transposed convolution's output, blurred and rectified, then that is computed
       in blocks as well, as ``UpsampleSmoothPass`` has it, and stays in blocks: the last convolution reads 4 C channels
       with stride 1 and weights (12, 4 C, (k + 1) / 2, (k + 1) / 2), the same numbers in another order.
    3. Instead of the transposition of (N, 3, H, W) to (N, H, W, 3), another one puts the blocks in their places.
    4. A graph that gives no picture stays as it is.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        graph = model.graph
        last = convolutions(graph)[-1]
        if reader(last.outputs[0]).op_type != "Round":
            return ir.passes.PassResult(model, modified=False)
        weight, stride = _block_weights(constant(last.inputs[1])), _BLOCK
        if enlarging := _find_enlarging(graph, last):
            last.replace_input_with(0, blur_in_blocks(graph, enlarging))
            weight, stride = _regroup_weights(weight), 1
        for index, numbers in ((1, weight), (2, np.tile(constant(last.inputs[2]), _BLOCK**2))):
            last.replace_input_with(index, add_constant(graph, str(require(last.inputs[index]).name), numbers))
        last.attributes["strides"] = ir.AttrInt64s("strides", [stride, stride])
        last.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", weight.shape[2:])
        _place(graph, last.outputs[0])
        return ir.passes.PassResult(model, modified=True)


def _find_enlarging(graph: ir.Graph, last: ir.Node) -> ir.Node | None:
    """Return the transposed convolution of rule 2, if there is one."""
    for convolution in filter(is_blurred_in_blocks, convolutions(graph)):
        rectified = reader(blur_behind(convolution)[-1].outputs[0])
        if rectified.outputs[0] is last.inputs[0]:
            return convolution
    return None


def _block_weights(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return weights (12, I, k + 1, k + 1) of weights (3, I, k, k)."""
    outputs, inputs, height, width = weight.shape
    blocked = np.zeros((_BLOCK, _BLOCK, outputs, inputs, height + _BLOCK - 1, width + _BLOCK - 1), weight.dtype)
    for i, j in np.ndindex(_BLOCK, _BLOCK):
        blocked[i, j, :, :, i : i + height, j : j + width] = weight
    return blocked.reshape(-1, *blocked.shape[3:])


def _regroup_weights(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return weights (O, 4 I, h, w), to read blocks of 2x2, of weights (O, I, 2 h, 2 w)."""
    outputs, inputs, height, width = weight.shape
    places = weight.reshape(outputs, inputs, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    return places.transpose(0, 3, 5, 1, 2, 4).reshape(outputs, -1, height // _BLOCK, width // _BLOCK)


def _place(graph: ir.Graph, blocks: ir.Value) -> None:
    """Apply rule 3 to blocks (N, 12, h, w). Zeros in a shape stand for a size that stays."""

    def numbers(name: str, *values: int) -> list[ir.Value]:
        return [add_constant(graph, f"blocks_{name}_numbers", np.array(values, np.int64))]

    ((transpose, _),) = blocks.uses()
    apart = insert("Unsqueeze", blocks, numbers("apart", 2), "blocks_apart")  # (N, 12, 1, h, w)
    split = insert("Reshape", apart, numbers("split", 0, _BLOCK, _BLOCK * 3, 0, 0), "blocks_split")  # (N, i, jc, h, w)
    placed = insert("Transpose", split, [], "blocks_placed", {"perm": [0, 3, 1, 4, 2]})  # (N, h, i, w, jc)
    rows = insert("Reshape", placed, numbers("rows", 0, -1, 1, 0, _BLOCK * 3), "blocks_rows")  # (N, 2 h, 1, w, jc)
    pixels = insert("Reshape", rows, numbers("pixels", 0, 0, -1, 3), "blocks_pixels")  # (N, 2 h, 2 w, 3)
    transpose.outputs[0].replace_all_uses_with(pixels)
    graph.remove(transpose, safe=True)
