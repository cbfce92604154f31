"""Convolve and enlarge in one: a transposed convolution."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from adain_export.graphs.passes.editing import add_constant, constant, convolutions, producer, replace, require

__all__ = ["UpsampleTransposedPass"]

_FACTOR = 2

_TAPS = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
"""Of four neighbouring outputs that read an input, which of a filter's three taps fall on it."""


class UpsampleTransposedPass(ir.passes.InPlacePass):
    """Compute a 3x3 convolution of an enlarged picture from the picture; the same numbers, 4/9 of the multiplications.

    A row enlarged twice by repetition, then filtered by three taps, is the row filtered by four, their steps half a
    pixel: a transposed convolution, whose taps are sums of the three.

    1. Resize to twice the size, nearest, then Pad, by 1 that reflects or by any number that repeats the edge, become
       Pad by half as much that repeats the edge: what the enlarged picture reflects next to its edge is the edge's own
       copy.
    2. The 3x3 convolution of stride 1 that reads it, weights (O, I, 3, 3), becomes a transposed one of stride 2,
       weights (I, O, 4, 4), under their old name; the taps are summed in float64. Its own padding leaves out the
       outputs that the convolution did not give.
    3. A Resize that another node reads too stays, and what reads it.
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
        and (pad.attributes["mode"].as_string() == "edge" or _beyond(pad) == 1)
        and all(len(value.uses()) == 1 and not value.is_graph_output() for value in (resize.outputs[0], pad.outputs[0]))
    )


def _change(graph: ir.Graph, convolution: ir.Node) -> None:
    pad = producer(convolution.inputs[0])
    resize = producer(pad.inputs[0])
    beyond = _beyond(pad)
    before = (beyond + 1) // _FACTOR  # of it, in the picture
    pad.replace_input_with(0, resize.inputs[0])
    sides = add_constant(graph, f"{pad.outputs[0].name}_sides", np.array([0, 0, before, before] * 2, np.int64))
    pad.replace_input_with(1, sides)
    pad.attributes["mode"] = ir.AttrString("mode", "edge")
    graph.remove(resize, safe=True)

    read, old, bias = convolution.inputs
    weight = add_constant(graph, str(require(old).name), _transpose_weights(constant(old)))
    attributes = {
        "kernel_shape": [_FACTOR * 2] * 2,
        "strides": [_FACTOR] * 2,
        "pads": [_FACTOR * (before + 1) - beyond] * 4,
    }
    transposed = ir.node("ConvTranspose", [read, weight, bias], attributes, name=convolution.name)
    replace(convolution, transposed)


def _beyond(pad: ir.Node) -> int:
    """Return by how much a picture is padded, the same on every side."""
    return int(constant(pad.inputs[1])[-1])


def _transpose_weights(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return weights (I, O, 4, 4) of weights (O, I, 3, 3)."""
    taps: NDArray[np.float64] = np.einsum("yk,xl,oikl->ioyx", _TAPS, _TAPS, weight.astype(np.float64))
    return taps.astype(np.float32)
