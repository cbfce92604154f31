"""Replace a transposed convolution and the blur behind it by a plain convolution at the low resolution."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from adain_export.graphs.passes.editing import (
    add_constant,
    blur_behind,
    constant,
    convolution_name,
    convolutions,
    insert,
    reader,
    replace,
    require,
)
from adain_export.graphs.passes.upsample_phases import phase_weights

__all__ = ["UpsampleSmoothPass", "blur_in_blocks", "is_blurred_in_blocks"]

_FACTOR = 2

_BINOMIAL = np.array([1, 2, 1]) / 4


class UpsampleSmoothPass(ir.passes.InPlacePass):
    """Compute the transposed convolutions of ``UpsampleTransposedPass`` and a blur behind in blocks of 2x2 pixels.

    The same numbers; the arithmetic is that of the convolution of the enlarged picture, and the blur is in it.

    1. A transposed convolution, weights (I, O, 4, 4) and a bias (O,), and the two means of neighbours that blur what it
       gives become a 3x3 convolution, weights (4 O, I, 3, 3) and a bias (4 O,), named NAME.smooth.weight and
       NAME.smooth.bias.
    2. DepthToSpace, behind the Relu, puts the blocks in their places.
    3. A transposed convolution that no blur follows, or that leaves out half a block on each side, stays.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        graph = model.graph
        found = [convolution for convolution in convolutions(graph) if is_blurred_in_blocks(convolution)]
        for convolution in found:
            rectified = blur_in_blocks(graph, convolution)
            insert("DepthToSpace", rectified, [], f"{rectified.name}_enlarged", {"blocksize": _FACTOR})
        return ir.passes.PassResult(model, modified=bool(found))


def is_blurred_in_blocks(convolution: ir.Node) -> bool:
    """Whether rule 1 is about a convolution."""
    if convolution.op_type != "ConvTranspose" or not blur_behind(convolution):
        return False
    return bool(convolution.attributes["pads"].as_ints()[0] == _FACTOR)


def blur_in_blocks(graph: ir.Graph, convolution: ir.Node) -> ir.Value:
    """Apply rule 1; return the blocks, rectified, (N, 4 O, H, W).

    Args:
        graph: changed in place.
        convolution: one that the rule is about, behind the blur a Relu.

    """
    mean, blur = blur_behind(convolution)
    name = f"{convolution_name(convolution)}.smooth"
    read, weight, bias = map(require, convolution.inputs)
    constants = [
        add_constant(graph, f"{name}.weight", phase_weights(_blur_weights(constant(weight)))),
        add_constant(graph, f"{name}.bias", np.tile(constant(bias), _FACTOR**2)),
    ]
    in_blocks = ir.node("Conv", [read, *constants], {"kernel_shape": [3, 3]}, name=convolution.name)
    replace(blur, in_blocks)
    graph.remove([mean, convolution], safe=True)
    return reader(in_blocks.outputs[0]).outputs[0]


def _blur_weights(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return weights (I, O, 6, 6) of weights (I, O, 4, 4), whose outputs are blurred."""
    wide = np.zeros((*weight.shape[:2], 6, 6))
    for i, j in np.ndindex(3, 3):
        wide[:, :, i : i + 4, j : j + 4] += _BINOMIAL[i] * _BINOMIAL[j] * weight
    return wide.astype(np.float32)
