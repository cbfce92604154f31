"""How many operations each ONNX operator takes.

An operation is one addition, multiplication, division, root, rounding or comparison of two numbers, whatever their
type; so a multiply-add is two. Moving, copying and converting numbers counts as zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import onnx

from adain_models.errors import AdainError

__all__ = ["RULES", "Node", "Value"]


@dataclass(frozen=True)
class Value:
    """A tensor: its shape, its element type, and how many bytes it takes."""

    shape: tuple[int, ...]
    elem_type: int
    bytes: int

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Node:
    """A node with what a rule asks for: its inputs (``None`` where one is left out) and its output."""

    proto: onnx.NodeProto
    inputs: tuple[Value | None, ...]
    output: Value

    def ints(self, attribute: str) -> tuple[int, ...]:
        """Return an attribute that is there, a list of integers."""
        return tuple(next(each.ints for each in self.proto.attribute if each.name == attribute))

    def read(self, place: int) -> Value:
        """Return an input that is there."""
        value = self.inputs[place]
        if value is None:
            raise AdainError(f"node {self.proto.name!r} has no input {place}")
        return value


def _convolution(node: Node) -> int:
    """Return two operations for each weight that an output sums over, and one for its bias."""
    _, inputs_of_group, *kernel = node.read(1).shape
    bias = int(len(node.inputs) > 2)  # noqa: PLR2004 - data, weight, bias
    return node.output.elements * (2 * inputs_of_group * math.prod(kernel) + bias)


def _transposed_convolution(node: Node) -> int:
    """Return the same; a stride of s leaves an output one of s taps a side."""
    inputs, _, *kernel = node.read(1).shape
    bias = int(len(node.inputs) > 2)  # noqa: PLR2004 - data, weight, bias
    taps = math.prod(kernel) // math.prod(node.ints("strides"))
    return node.output.elements * (2 * inputs * taps + bias)


def _maximum_of_window(node: Node) -> int:
    return node.output.elements * (math.prod(node.ints("kernel_shape")) - 1)


def _mean_of_window(node: Node) -> int:
    return node.output.elements * math.prod(node.ints("kernel_shape"))


def _sum(node: Node) -> int:
    return node.read(0).elements - node.output.elements


def _mean(node: Node) -> int:
    return node.read(0).elements


def _each(operations: int) -> Callable[[Node], int]:
    """Return the rule of so many operations for each number of the output."""
    return lambda node: operations * node.output.elements


def _enlarge(node: Node) -> int:
    """Return none, for a picture enlarged by repetition."""
    mode = next((attribute.s for attribute in node.proto.attribute if attribute.name == "mode"), b"nearest")
    if mode != b"nearest":
        raise AdainError(f"node {node.proto.name!r}: there is no rule for what Resize costs in mode {mode.decode()}")
    return 0


def _clip(node: Node) -> int:
    """Return one comparison for each number and each bound."""
    return node.output.elements * sum(bound is not None for bound in node.inputs[1:])


RULES: dict[str, Callable[[Node], int]] = {
    "Conv": _convolution,
    "ConvTranspose": _transposed_convolution,
    "MaxPool": _maximum_of_window,
    "AveragePool": _mean_of_window,
    "ReduceSum": _sum,
    "ReduceProd": _sum,  # as many products as there would be sums
    "ReduceMean": _mean,
    **dict.fromkeys(("Add", "Sub", "Mul", "Div", "Max", "Relu", "Round", "Sqrt"), _each(1)),
    "Clip": _clip,
    "QuantizeLinear": _each(3),  # division, rounding, zero point
    "DequantizeLinear": _each(2),  # zero point, scale
    "Resize": _enlarge,
    **dict.fromkeys(("Cast", "Concat", "DepthToSpace", "Pad", "Reshape", "Shape", "Squeeze"), _each(0)),
    **dict.fromkeys(("Transpose", "Unsqueeze"), _each(0)),
}
"""Operations of a node, for every operator that the graphs have."""
