"""Convolve before upsampling instead of after it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from adain_export.passes._graphs import add_constant, constant, convolutions, given, insert, producer

__all__ = ["UpsamplePhasesPass"]

_FACTOR = 2

_TAPS = np.array([[[1, 1, 0], [0, 0, 1]], [[1, 0, 0], [0, 1, 1]]])
"""Of an odd and an even output, which of a filter's three taps fall on the first and the second of two inputs."""


class UpsamplePhasesPass(ir.passes.InPlacePass):
    """Compute a 3x3 convolution of an enlarged picture from the picture; the same numbers, 4/9 of the multiplications.

    Of a row enlarged twice by repetition, three neighbours are copies of two: the outputs at even places are one filter
    of two taps along the row, those at odd places another, their taps sums of the three.

    1. Resize to twice the size, nearest, then Pad by 1, reflecting, become Pad by 1 that repeats the edge: what the
       enlarged picture reflects at its edge is the edge's own copy.
    2. The 3x3 convolution of stride 1 that reads it, weights (O, I, 3, 3) and a bias (O,), becomes a 2x2 convolution,
       weights (4 O, I, 2, 2) and a bias (4 O,), under their old names; the taps are summed in float64. An input of
       (H, W) gives (H + 1, W + 1) blocks of 2x2 pixels, half a block ahead of the picture.
    3. DepthToSpace, behind the Relu if one follows, puts the blocks in their places; Pad by -1 cuts off the pixel that
       they are ahead on each side.
    4. A Resize that another node reads too stays, and what reads it.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        found = [convolution for convolution in convolutions(model.graph) if _reads_enlarged(convolution)]
        for convolution in found:
            _change(model.graph, convolution)
        return ir.passes.PassResult(model, modified=bool(found))


def _reads_enlarged(convolution: ir.Node) -> bool:
    """Whether the rules are about a convolution."""
    pad = producer(convolution.inputs[0])
    if pad.op_type != "Pad" or constant(convolution.inputs[1]).shape[2:] != (3, 3):
        return False
    resize = producer(pad.inputs[0])
    return (
        resize.op_type == "Resize"
        and resize.attributes["mode"].as_string() == "nearest"
        and all(len(value.uses()) == 1 and not value.is_graph_output() for value in (resize.outputs[0], pad.outputs[0]))
    )


def _change(graph: ir.Graph, convolution: ir.Node) -> None:
    pad = producer(convolution.inputs[0])
    resize = producer(pad.inputs[0])
    pad.replace_input_with(0, resize.inputs[0])
    pad.attributes["mode"] = ir.AttrString("mode", "edge")
    graph.remove(resize, safe=True)

    weight, bias = _phases(constant(convolution.inputs[1])), np.tile(constant(convolution.inputs[2]), _FACTOR**2)
    for place, numbers in ((1, weight), (2, bias)):
        name = str(given(convolution.inputs[place]).name)
        convolution.replace_input_with(place, add_constant(graph, name, numbers))
    convolution.attributes["kernel_shape"] = ir.AttrInt64s("kernel_shape", weight.shape[2:])

    value = convolution.outputs[0]
    (*others, (after, _)) = value.uses()
    if not others and after.op_type == "Relu":
        value = after.outputs[0]
    blocks = insert("DepthToSpace", value, [], f"{value.name}_blocks", {"blocksize": _FACTOR})
    cut = add_constant(graph, "cut", np.array([0, 0, -1, -1, 0, 0, -1, -1], np.int64))
    insert("Pad", blocks, [cut], f"{value.name}_enlarged")


def _phases(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return weights (4 O, I, 2, 2) of weights (O, I, 3, 3); the first O channels are the blocks' top left pixels."""
    phases = np.einsum("ask,btl,oikl->aboist", _TAPS, _TAPS, weight.astype(np.float64))
    stored: NDArray[np.float32] = phases.reshape(-1, *phases.shape[3:]).astype(np.float32)
    return stored
