"""Channels of more equal range, before an activation's one scale is chosen for all of them.

int8 has one scale for all channels of an activation. The widest channel sets it, and the others use few of the 256
levels. A ReLU, a sum, a blur and a padding commute with a positive factor for each channel: so what a convolution gives
is multiplied, and the convolutions that read it divide. In float the pictures stay the same (cross-layer equalization,
Nagel et al. 2019).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from adain_export.graphs.passes.editing import (
    CONVOLUTIONS,
    MOVERS,
    activations,
    add_constant,
    constant,
    convolutions,
    insert,
    producer,
    require,
    source,
)

__all__ = ["equalize"]

_SHARE = 0.6  # of the evening out that activations get; it makes weights coarser, which keep the rest
_FURTHEST = 6.0  # a factor, or one over it: a channel that is hardly ever above 0 is not blown up
_DEAD = 1e-3  # of the widest channel's range
_COMMUTING = MOVERS | {"AveragePool", "Relu"}

_Channels: TypeAlias = NDArray[np.float64]


def equalize(graph: ir.Graph, ranges: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Even out the ranges of channels in a float graph, whose weights change; return the new ranges.

    A channel's factor is w^0.4 / r^0.6 (SmoothQuant, Xiao et al. 2023, equation 4): r is its range relative to the
    widest channel's, the greatest over the activations that share the factor, and w its greatest weight relative to the
    greatest of the same filter, over the convolutions that read it. Codes, and features that are measured, keep their
    numbers; AdaIN's terms get the factors of what AdaIN makes.

    Args:
        graph: with its convolutions in float, as they were exported.
        ranges: of the activations by name, each float32 (2, C): the channels' low and high ends.

    """
    spaces = _Spaces(graph)
    entrances = {spaces.of(addition.outputs[0]): addition for addition in _entrances(graph)}
    named: dict[ir.Value, dict[str, ir.Value]] = defaultdict(dict)
    for name, value in activations(graph).items():
        named[spaces.of(value)][name] = value
    found: dict[str, NDArray[np.float32]] = {}
    for space, values in named.items():
        factors = np.ones(1)
        if space not in spaces.fixed:
            widths = [_width(ranges[name], value) for name, value in values.items()]
            factors = _factors(widths, [constant(node.inputs[1]) for node in spaces.readers[space]])
            for convolution in spaces.writers[space]:
                _multiply(graph, convolution, factors)
            for convolution in spaces.readers[space]:
                _divide(graph, convolution, factors)
            if space in entrances:
                _multiply_terms(graph, entrances[space], factors)
        found |= {name: (ranges[name] * factors).astype(np.float32) for name in values}
    return found


class _Spaces:
    """The values of a graph in groups; the channels of each group can only be scaled together.

    Attributes:
        readers: the convolutions that read a value of a space, by space.
        writers: the convolutions that give one.
        fixed: the spaces whose numbers stay as they are, since others than these read them.

    """

    def __init__(self, graph: ir.Graph) -> None:
        self._above: dict[ir.Value, ir.Value] = {}
        self.readers: dict[ir.Value, list[ir.Node]] = defaultdict(list)
        self.writers: dict[ir.Value, list[ir.Node]] = defaultdict(list)
        fixed: list[ir.Value] = []
        entrances = _entrances(graph)
        for node in graph:
            read = [value for value in node.inputs if value is not None]
            if node.op_type in _COMMUTING or _is_gained(node):
                self._join(read[0], node.outputs[0])
            elif _is_sum(node):
                self._join(read[0], read[1])
                self._join(read[0], node.outputs[0])
            elif node.op_type not in CONVOLUTIONS:
                fixed += read if node in entrances else [*read, *node.outputs]
        for node in graph:
            if node.op_type in CONVOLUTIONS:
                self.readers[self.of(require(node.inputs[0]))].append(node)
                self.writers[self.of(node.outputs[0])].append(node)
        self.fixed = {self.of(value) for value in fixed}

    def of(self, value: ir.Value) -> ir.Value:
        """Return the value that stands for a value's space."""
        while value in self._above:
            value = self._above[value]
        return value

    def _join(self, one: ir.Value, other: ir.Value) -> None:
        if self.of(one) is not self.of(other):
            self._above[self.of(one)] = self.of(other)


def _entrances(graph: ir.Graph) -> list[ir.Node]:
    """Return the additions that a convolution reads and that add no convolution's output: AdaIN's, for the decoder."""
    above = dict.fromkeys(producer(source(convolution)) for convolution in convolutions(graph))
    return [node for node in above if node.op_type == "Add" and not _is_sum(node)]


def _is_sum(node: ir.Node) -> bool:
    """Whether a node adds what a convolution gives: a residual branch, or a modulation's shift."""
    return node.op_type == "Add" and any(_is_convolved(require(value)) for value in node.inputs)


def _is_gained(node: ir.Node) -> bool:
    """Whether a node multiplies features by a modulation's gain."""
    return node.op_type == "Mul" and _is_convolved(require(node.inputs[1]))


def _is_convolved(value: ir.Value) -> bool:
    """Whether a convolution gives a value, which may be moved since."""
    node = value.producer()
    while node is not None and node.op_type in MOVERS:
        node = require(node.inputs[0]).producer()
    return node is not None and node.op_type in CONVOLUTIONS


def _width(ends: NDArray[np.float32], value: ir.Value) -> _Channels:
    """Return each channel's range relative to the widest; that of a Relu's output begins at 0."""
    low, high = ends.astype(np.float64)
    width = high if producer(value).op_type == "Relu" else high - low
    relative: _Channels = width / max(width.max(), np.finfo(np.float32).tiny)
    return relative


def _factors(widths: Sequence[_Channels], weights: Sequence[NDArray[np.float32]]) -> _Channels:
    """Return a factor for each channel of a space, (C,), given its ranges and its readers' weights (O, C, kh, kw)."""
    width = np.max(widths, axis=0)
    taps = [np.abs(each).max((2, 3)) for each in weights]
    weight = np.max([(each / each.max(1, keepdims=True).clip(_DEAD)).max(0) for each in taps], axis=0)
    live = (width > _DEAD) & (weight > _DEAD)
    factors = np.ones(len(width))
    if live.any():
        factors[live] = weight[live] ** (1 - _SHARE) / width[live] ** _SHARE
        factors[live] /= np.exp(np.log(factors[live]).mean())
    return factors.clip(1 / _FURTHEST, _FURTHEST)


def _multiply(graph: ir.Graph, convolution: ir.Node, factors: _Channels) -> None:
    """Scale what a convolution gives."""
    _change(graph, convolution, 1, factors.reshape(-1, 1, 1, 1))
    _change(graph, convolution, 2, factors)


def _divide(graph: ir.Graph, convolution: ir.Node, factors: _Channels) -> None:
    """Scale back what a convolution reads."""
    _change(graph, convolution, 1, 1 / factors.reshape(1, -1, 1, 1))


def _change(graph: ir.Graph, node: ir.Node, place: int, factors: _Channels) -> None:
    value = require(node.inputs[place])
    changed = (constant(value) * factors).astype(np.float32)
    node.replace_input_with(place, add_constant(graph, str(value.name), changed))


def _multiply_terms(graph: ir.Graph, addition: ir.Node, factors: _Channels) -> None:
    """Scale both terms of AdaIN's sum: of features that are scaled there, the numbers that scale them, far fewer."""
    for place, term in enumerate(addition.inputs):
        user, read = addition, require(term)
        if producer(read).op_type == "Mul":
            user, place = producer(read), 1  # noqa: PLW2901 - the second factor is a code's
            read = require(user.inputs[1])
        numbers = add_constant(graph, f"{read.name}_factors", factors.astype(np.float32).reshape(1, -1, 1, 1))
        insert("Mul", read, [numbers], f"{read.name}_evened", uses=[(user, place)])
