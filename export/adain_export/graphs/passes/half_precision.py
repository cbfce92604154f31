"""Let a graph's convolutions compute in half precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir

from adain_export.graphs.passes.editing import (
    MOVERS,
    add_constant,
    blur_behind,
    constant,
    insert,
    is_of_code,
    producer,
    require,
    source,
)
from adain_models.errors import AdainError
from adain_models.half import LARGEST, rounded

__all__ = ["LARGEST", "HalfPrecisionPass"]

_MIDDLE = 128

_BLURRED = LARGEST / 4

_KEPT = MOVERS | {"Add", "AveragePool", "Relu"}  # operators that are float16 where all that they read is


class HalfPrecisionPass(ir.passes.InPlacePass):
    """Make a float32 graph float16 but for AdaIN and the rounding of the picture.

    1. The picture, uint8, is cast to float16, and 128 is subtracted, both exact; the bias of the convolution that reads
       it gains as much. The rounding of that one's weights then costs by contrast, not by brightness.
    2. A convolution reads and gives float16; its weights and its bias become float16, under their old names. What
       rounding takes from one tap of a filter it gives to the next smaller: smooth inputs find the filter's whole sum.
    3. Float16 are also a Relu, a blur and a residual addition of float16, and what only moves it.
    4. Everything else stays float32: AdaIN's statistics, scale, shift and region weights, and the rounding of the
       picture, since halves above 128 are 1/8 apart. All that read the same value share one Cast.
    5. A Relu becomes a Clip, from 0. AdaIN's output gets a Clip before it is cast to float16: one bright spot on n flat
       positions lies √n deviations from their mean.
    6. They clip to ``LARGEST``, so that no convolution reads infinity and subtracts it from infinity. For the longest
       residual sum, of T terms, to stay finite without a Clip of its own, what is a term is clipped to
       ``LARGEST`` / (T + 1), and what the last convolution of a residual branch reads to what keeps the branch there.
       What a convolution gives to a blur, sums of four, is clipped to ``LARGEST`` / 4 either way.

    In TensorRT-RTX 1.7 each Clip is the end of a kernel that is there anyway, the convolution's or AdaIN's; behind a
    residual addition it would be a kernel, or change the convolution's. What the last convolution gives may be
    infinite: it is clipped to 255.

    Raises:
        AdainError: a weight is too large for float16.

    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        _Halving(model.graph).apply()
        return ir.passes.PassResult(model, modified=True)


class _Halving:
    """One graph on its way. ``halves`` are the values that are float16 by now, ``raised`` their casts to float32."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self.term = _largest_term(graph)
        self.halves: set[ir.Value] = set()
        self.raised: dict[ir.Value, ir.Value] = {}

    def apply(self) -> None:
        """Go through the nodes in their order."""
        for node in list(self.graph):
            if node.op_type == "Conv" and not is_of_code(node):
                self._lower_input(node)
                self._lower_constants(node)
                self._mark(node.outputs[0])
                if blur_behind(node):
                    self._mark(self._clip(node.outputs[0], -_BLURRED, _BLURRED, np.float16))
            elif node.op_type in _KEPT and all(value in self.halves for value in node.inputs if _is_computed(value)):
                self._keep(node)
            else:
                for place, value in enumerate(node.inputs):
                    if value in self.halves:
                        node.replace_input_with(place, self._raise(require(value)))

    def _lower_input(self, convolution: ir.Node) -> None:
        """Make float16 of what a convolution reads, before it is moved, if it is the picture or AdaIN's output."""
        value = source(convolution)
        if value not in self.halves:
            if producer(value).op_type == "Cast":
                self._lower_picture(value, convolution)
            else:
                high = self._limit(value)
                clipped = self._clip(value, -high, high, np.float32)
                self._mark(insert("Cast", clipped, [], f"{value.name}_half", {"to": ir.DataType.FLOAT16}))
        moved = require(convolution.inputs[0])
        while moved not in self.halves:
            self._mark(moved)
            moved = require(producer(moved).inputs[0])

    def _lower_picture(self, picture: ir.Value, convolution: ir.Node) -> None:
        """Cast a picture to float16 instead, and subtract its middle."""
        producer(picture).attributes["to"] = ir.AttrInt64("to", ir.DataType.FLOAT16)
        self._mark(picture)
        name = f"{picture.name}_centred"
        middle = add_constant(self.graph, f"{name}_offset", np.array(-_MIDDLE, np.float16))
        self._mark(insert("Add", picture, [middle], name))
        weight, bias = (constant(value).astype(np.float64) for value in convolution.inputs[1:])
        whole = (bias + _MIDDLE * weight.sum((1, 2, 3))).astype(np.float32)
        convolution.replace_input_with(2, add_constant(self.graph, str(require(convolution.inputs[2]).name), whole))

    def _lower_constants(self, convolution: ir.Node) -> None:
        weight, bias = (require(value) for value in convolution.inputs[1:])
        for value in (weight, bias):
            if not np.abs(constant(value)).max() <= LARGEST:
                raise AdainError(f"{value.name} holds a number that is too large for float16")
        halves = (rounded(constant(weight)), constant(bias).astype(np.float16))
        for place, value, numbers in zip((1, 2), (weight, bias), halves, strict=True):
            convolution.replace_input_with(place, add_constant(self.graph, str(value.name), numbers))

    def _keep(self, node: ir.Node) -> None:
        """Leave a node in float16; a Relu becomes a Clip."""
        (output,) = node.outputs
        self._mark(output)
        if node.op_type == "Relu":
            clipped = self._clip(require(node.inputs[0]), 0, self._limit(output), np.float16)
            self._mark(clipped)
            output.replace_all_uses_with(clipped)
            self.graph.remove(node, safe=True)

    def _limit(self, value: ir.Value) -> float:
        """Return how large a value may be, a half, for all that reads it to stay finite."""
        limits = [LARGEST]
        for node in _readers(value):
            if _is_residual(node):
                limits.append(self.term)
            elif node.op_type == "Conv" and any(map(_is_residual, _readers(node.outputs[0]))):
                limits.append(_largest_input(node, self.term))
        if min(limits) <= 0:
            raise AdainError(f"what reads {value.name} adds a number that is too large for float16: use fp32")
        return _down(min(limits))

    def _clip(self, value: ir.Value, low: float, high: float, dtype: type[np.floating[Any]]) -> ir.Value:
        """Return what readers find in place of a value: clipped."""
        name = f"{value.name}_clipped"
        ends = [
            add_constant(self.graph, f"{name}_{end}", np.array(number, dtype))
            for end, number in (("low", low), ("high", high))
        ]
        return insert("Clip", value, ends, name)

    def _raise(self, value: ir.Value) -> ir.Value:
        """Return a value in float32."""
        if value not in self.raised:
            self.raised[value] = insert("Cast", value, [], f"{value.name}_float", {"to": ir.DataType.FLOAT}, uses=[])
        return self.raised[value]

    def _mark(self, value: ir.Value) -> None:
        value.type = ir.TensorType(ir.DataType.FLOAT16)
        self.halves.add(value)


def _largest_term(graph: ir.Graph) -> float:
    """Return how large the terms of residual additions may be for the longest of their sums to stay finite."""
    terms: dict[ir.Value, int] = {}
    for node in graph:
        if _is_residual(node):
            terms[node.outputs[0]] = sum(terms.get(require(value), 1) for value in node.inputs)
    return LARGEST / (max(terms.values(), default=1) + 1)


def _is_residual(node: ir.Node) -> bool:
    """Whether a node adds what a convolution gives."""
    return node.op_type == "Add" and any(
        _is_computed(value) and producer(value).op_type == "Conv" for value in node.inputs
    )


def _largest_input(convolution: ir.Node, output: float) -> float:
    """Return how large a convolution's input, not negative, may be for its output to stay within ``output``."""
    weight, bias = (constant(value).astype(np.float64) for value in convolution.inputs[1:])
    gain = max(np.maximum(sign * weight, 0).sum((1, 2, 3)).max() for sign in (1, -1))
    return float((output - np.abs(bias).max()) / gain)


def _readers(value: ir.Value) -> list[ir.Node]:
    """Return the nodes that read a value, after nodes that only move it."""
    readers = []
    for use in value.uses():
        readers += _readers(use.node.outputs[0]) if use.node.op_type in MOVERS else [use.node]
    return readers


def _is_computed(value: ir.Value | None) -> bool:
    return value is not None and value.producer() is not None


def _down(number: float) -> float:
    """Return the largest half that is no larger than a positive number."""
    half = np.float16(number)
    return float(half if half <= number else np.nextafter(half, np.float16(0)))
