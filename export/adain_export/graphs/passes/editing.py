"""What the passes read from a graph and change in it: its convolutions, and the nodes between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

__all__ = [
    "CONVOLUTIONS",
    "MOVERS",
    "activations",
    "add_constant",
    "blur_behind",
    "constant",
    "convolution_name",
    "convolutions",
    "insert",
    "is_of_code",
    "producer",
    "reader",
    "replace",
    "require",
    "source",
]

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
"""Operators that are convolutions; a transposed one has stride 2, as ``UpsampleTransposedPass`` makes it."""

MOVERS = frozenset({"DepthToSpace", "MaxPool", "Pad", "Resize", "Transpose"})
"""Operators that only move or choose numbers, as the graphs use them, and so commute with a shift and with rounding."""


def convolutions(graph: ir.Graph) -> list[ir.Node]:
    """Return a graph's convolutions of features in its order; each has a bias."""
    return [node for node in graph if node.op_type in CONVOLUTIONS and not is_of_code(node)]


def is_of_code(node: ir.Node) -> bool:
    """Whether a node is a convolution that reads a code, which is joined of means and deviations, not features."""
    above = node.inputs[0].producer() if node.op_type == "Conv" and node.inputs[0] is not None else None
    return above is not None and above.op_type == "Concat"


def convolution_name(convolution: ir.Node) -> str:
    """Return a convolution's name in its network, such as ``decoder.up1``."""
    return str(require(convolution.inputs[2]).name).removesuffix(".bias")


def source(convolution: ir.Node) -> ir.Value:
    """Return what a convolution reads, before it is moved."""
    value = require(convolution.inputs[0])
    while producer(value).op_type in MOVERS:
        value = require(producer(value).inputs[0])
    return value


def reader(value: ir.Value) -> ir.Node:
    """Return the node that reads a value, the first if several do, after nodes that only move it."""
    node = next(iter(value.uses())).node
    return reader(node.outputs[0]) if node.op_type in MOVERS else node


def blur_behind(convolution: ir.Node) -> list[ir.Node]:
    """Return the two means of neighbours, [1 2 1] / 4 each way, that blur a convolution's output; [] without a blur."""
    means: list[ir.Node] = []
    node = next((use.node for use in convolution.outputs[0].uses()), None)
    while node is not None and node.op_type == "AveragePool":
        means.append(node)
        node = next((use.node for use in node.outputs[0].uses()), None)
    return means


def activations(graph: ir.Graph) -> dict[str, ir.Value]:
    """Return the values, all float (N, C, h, w), whose ranges int8 needs, by names that all graphs of a model share.

    ``NAME.output`` is what the convolution NAME gives, behind its Relu if it has one, unless that is the picture;
    ``NAME.input`` is what it reads, before it is moved, unless that is a picture, the output of a Relu or of another
    convolution. ``NAME.smooth.output`` is what NAME gives after a blur and a Relu.
    """
    found: dict[str, ir.Value] = {}
    for convolution in convolutions(graph):
        name, read, output = convolution_name(convolution), source(convolution), convolution.outputs[0]
        if producer(read).op_type not in {"Cast", "Relu", *CONVOLUTIONS}:
            found[f"{name}.input"] = read
        after = reader(output)
        if after.op_type == "Relu":
            found[f"{name}.output"] = after.outputs[0]
        elif after.op_type in {"Add", "AveragePool", "Conv"}:
            found[f"{name}.output"] = output
        if blur := blur_behind(convolution):
            found[f"{name}.smooth.output"] = reader(blur[-1].outputs[0]).outputs[0]
    return found


def constant(value: ir.Value | None) -> NDArray[Any]:
    """Return the numbers of an initializer."""
    held = require(value).const_value
    if held is None:
        raise ValueError(f"{value} is not a constant")
    return held.numpy()


def add_constant(graph: ir.Graph, name: str, numbers: NDArray[Any]) -> ir.Value:
    """Return a new initializer; it takes the place of one of the same name."""
    graph.initializers.pop(name, None)
    tensor = ir.tensor(np.asarray(numbers, order="C"), name=name)
    value = ir.Value(name=name, shape=ir.Shape(numbers.shape), type=ir.TensorType(tensor.dtype), const_value=tensor)
    graph.register_initializer(value)
    return value


def insert(
    op_type: str,
    value: ir.Value,
    constants: Sequence[ir.Value],
    name: str,
    attributes: Mapping[str, int | str | Sequence[int]] | None = None,
    uses: Sequence[tuple[ir.Node, int]] | None = None,
) -> ir.Value:
    """Insert a node behind the producer of the value that it reads; return its output.

    Args:
        op_type: the node's operator.
        value: what it reads; not an initializer, and not an input of the graph.
        constants: the initializers that it reads as well.
        name: the name of the node and of its output.
        attributes: the node's attributes.
        uses: the uses of ``value`` that become uses of the output, each a node and an input's place; by default all.

    """
    moved = list(value.uses()) if uses is None else uses
    node = ir.node(op_type, [value, *constants], attributes, name=name)
    node.outputs[0].name = name
    above = producer(value)
    if above.graph is None:
        raise ValueError(f"{above} is in no graph")
    above.graph.insert_after(above, node)
    for user, place in moved:
        user.replace_input_with(place, node.outputs[0])
    return node.outputs[0]


def replace(node: ir.Node, new: ir.Node) -> None:
    """Put a node with one output, which is not an output of the graph, in the place of another."""
    (output,), (made,) = node.outputs, new.outputs
    if node.graph is None:
        raise ValueError(f"{node} is in no graph")
    made.name, made.type = output.name, output.type
    node.graph.insert_after(node, new)
    output.replace_all_uses_with(made)
    node.graph.remove(node, safe=True)


def producer(value: ir.Value | None) -> ir.Node:
    """Return the node that makes a value; a value that is an input of the graph or an initializer is an error."""
    node = require(value).producer()
    if node is None:
        raise ValueError(f"no node makes {value}")
    return node


def require(value: ir.Value | None) -> ir.Value:
    """Return a node's input; an input that is left out is an error."""
    if value is None:
        raise ValueError("a node leaves out an input that all nodes of its kind have in these graphs")
    return value
