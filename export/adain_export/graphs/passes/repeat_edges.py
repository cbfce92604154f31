"""Make a transposed convolution that a blur follows give an even number of rows and columns."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from adain_export.graphs.passes.editing import add_constant, constant, convolutions, insert, producer, reader

__all__ = ["RepeatEdgesPass"]

_WITH_COPIES, _WITHOUT = (2,) * 4, (3,) * 4
"""The padding of a transposed convolution whose input is padded once: without, it gives twice the picture."""

_ONCE = np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)


class RepeatEdgesPass(ir.passes.InPlacePass):
    """Repeat the outermost outputs of a transposed convolution rather than compute them.

    The same numbers, but that each phase's weights are rounded by themselves. OpenVINO shares rows out among threads,
    and some numbers of rows more evenly than others.

    1. A transposed convolution that ``QuantizeBlursPass`` has blurred, whose input repeats the edge of a picture once,
       gives one more row and column on each side than twice the picture. These are copies of those beside them: both
       read nothing but the edge. It leaves them out, and Pad repeats its edge.
    2. One whose input repeats the edge more often stays.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        graph = model.graph
        found = [convolution for convolution in convolutions(graph) if _has_copies(convolution)]
        for convolution in found:
            convolution.attributes["pads"] = ir.AttrInt64s("pads", _WITHOUT)
            output = convolution.outputs[0]
            sides = add_constant(graph, f"{output.name}_sides", _ONCE)
            insert("Pad", output, [sides], f"{output.name}_repeated", {"mode": "edge"})
        return ir.passes.PassResult(model, modified=bool(found))


def _has_copies(convolution: ir.Node) -> bool:
    """Whether rule 1 is about a convolution."""
    if convolution.op_type != "ConvTranspose" or reader(convolution.outputs[0]).op_type != "Conv":
        return False
    read_beyond = constant(producer(convolution.inputs[0]).inputs[1])
    return tuple(convolution.attributes["pads"].as_ints()) == _WITH_COPIES and bool((read_beyond == _ONCE).all())
