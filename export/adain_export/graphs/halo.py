"""How far a graph reads around what it gives: the halo that a part of a picture needs to come out as of the whole."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from adain_export.graphs.passes.editing import constant, require
from adain_rt.contract import MULTIPLE

__all__ = ["find_halo"]

_SIDE = 1 << 13
"""Pixels of a picture's side, many more than any network reads around one of them."""

_POINTWISE = frozenset(
    {"Add", "Cast", "Clip", "Div", "Max", "Mul", "Relu", "Round", "Sqrt", "Sub", "Transpose", "Unsqueeze"}
)
_REDUCTIONS = frozenset({"ReduceMean", "ReduceSum"})
_WINDOWS = frozenset({"AveragePool", "Conv", "MaxPool"})


@dataclass(frozen=True)
class _Line:
    """The positions along a side of a feature map, of which those from ``first`` to ``last`` depend on no padding."""

    length: int
    first: int
    last: int

    @property
    def margin(self) -> int:
        """How many pixels from the edge of the picture padding is felt."""
        return max(self.first, self.length - 1 - self.last) * (_SIDE // self.length)


def find_halo(graph: ir.Graph) -> int:
    """Return how many pixels around a part of a picture a graph must read, rounded up to a multiple of ``MULTIPLE``.

    A part that is cut out of a picture is padded where the picture goes on. What the graph gives is that of the whole
    picture except where the padding is felt. Its convolutions and poolings are followed from ``image`` to where their
    numbers leave the graph or are summed up over all positions. Sides are alike, as are the rows and the columns.

    Args:
        graph: a graph of the contract as it is exported, in fp32.

    Raises:
        ValueError: a node that reads features is of a kind that is not known here.

    """
    lines: dict[ir.Value, _Line] = {
        value: _Line(_SIDE, 0, _SIDE - 1) for value in graph.inputs if value.name == "image"
    }
    margins = [0]
    for node in graph:
        read = [lines[value] for value in node.inputs if value in lines]
        if not read or node.op_type == "Shape":
            continue
        if node.op_type in _REDUCTIONS and _sums_positions(node):
            margins.append(read[0].margin)
        else:
            lines[node.outputs[0]] = _follow(node, read)
    margins += [lines[value].margin for value in graph.outputs if value in lines]
    return max(margins) + -max(margins) % MULTIPLE


def _follow(node: ir.Node, read: list[_Line]) -> _Line:
    """Return what a node makes of the lines that it reads."""
    line = read[0]
    if node.op_type in _WINDOWS:
        (_, side), (_, stride) = (node.attributes[name].as_ints() for name in ("kernel_shape", "strides"))
        length = (line.length - side) // stride + 1
        return _Line(length, -(-line.first // stride), (line.last - side + 1) // stride)
    if node.op_type == "Pad":
        pads = [int(pad) for pad in constant(node.inputs[1])]  # of all axes before, then of all axes behind
        before, behind = pads[len(pads) // 2 - 1], pads[-1]
        return _Line(line.length + before + behind, line.first + before, line.last + before)
    if node.op_type == "Resize":
        times = int(constant(node.inputs[2])[-1])
        return _Line(line.length * times, line.first * times, line.last * times + times - 1)
    if node.op_type in _POINTWISE or node.op_type in _REDUCTIONS:
        return _Line(line.length, max(each.first for each in read), min(each.last for each in read))
    raise ValueError(f"{node.name} ({node.op_type}) reads features, and how far is not known")


def _sums_positions(node: ir.Node) -> bool:
    """Whether a node sums up over the positions of feature maps, their last two axes, and not over regions."""
    return bool(constant(require(node.inputs[1])).max() > 1)
