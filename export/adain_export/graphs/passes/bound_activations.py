"""Shift the activations into the range of int8, and clip them to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from adain_export.graphs.passes.editing import (
    CONVOLUTIONS,
    MOVERS,
    activations,
    add_constant,
    constant,
    convolution_name,
    convolutions,
    insert,
    producer,
    reader,
    source,
)

__all__ = ["BoundActivationsPass"]

_HALF = 128  # levels of int8 below zero; one less above
_LEAST = 1e-3  # a range's size where a layer is dead

_Channels = NDArray[np.float64]


class BoundActivationsPass(ir.passes.InPlacePass):
    """Keep activations within -128 s .. 127 s, where s is the scale of each; for a float graph with int8 weights.

    Nothing else changes: a number within its range goes through the graph as before. The offset that is subtracted from
    a value's channels is added again in the biases of the convolutions that read it. This is exact, since padding
    reflects or repeats the edge, but for a transposed convolution's four filters, which all get the same.

    1. The picture, cast to float: 128 is subtracted; s is 1.
    2. A Relu behind a convolution: s is the high end of its range / 255. The bias before it loses 128 s, and a Clip
       replaces it. What is neither a convolution nor a residual addition reads the sum of it and 128 s.
    3. A residual addition: if a convolution reads the sum, the middle of each channel's range is subtracted from it, in
       the bias of the branch's last convolution. If so asked, the branch is clipped; s is its furthest number / 127.
    4. Any other value that a convolution reads, which is a sum of scaled features and a code's numbers (AdaIN's output,
       or a modulation's): the middle of each channel's range is subtracted from the numbers, which are far fewer.
    5. What a convolution gives to a blur, which ``QuantizeBlursPass`` made a convolution: the middle of each channel's
       range is subtracted from it, in its bias.
    6. What a convolution reads of 3 to 5 is clipped; s is the furthest number of any channel / 127.
    7. The picture that the last convolution gives stays: it is rounded to uint8 in any case.
    """

    def __init__(self, ranges: Mapping[str, NDArray[np.float32]], *, branches: bool) -> None:
        """Set the ranges of the activations, and whether residual branches are clipped.

        Args:
            ranges: the ranges of ``activations`` by name, each float32 (2, C): the channels' low and high ends.
            branches: whether the terms of a residual sum are clipped as well. This loses digits, but ONNX Runtime
                multiplies in int8 only where a convolution's output is int8.

        """
        super().__init__()
        self.ranges = ranges
        self.branches = branches

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        _Bounding(model.graph, self.ranges, branches=self.branches).apply()
        return ir.passes.PassResult(model, modified=True)


class _Bounding:
    """One graph on its way. ``offsets`` holds what is subtracted from a value's channels, a number or (C,)."""

    def __init__(self, graph: ir.Graph, ranges: Mapping[str, NDArray[np.float32]], *, branches: bool) -> None:
        self.graph = graph
        self.branches = branches
        self.convolutions = convolutions(graph)
        self.ranges = {name: ranges[name].astype(np.float64) for name in activations(graph)}
        self.names = {value: name for name, value in activations(graph).items()}
        self.residuals = {node for each in self.convolutions if (node := reader(each.outputs[0])).op_type == "Add"}
        self.offsets: dict[ir.Value, float | _Channels] = {}

    def apply(self) -> None:
        """Go through the convolutions: first what each reads, then what it gives."""
        for convolution in self.convolutions:
            self._read(convolution)
            after = reader(convolution.outputs[0])
            if after.op_type == "Relu":
                self._give_relu(convolution, after)
            elif after in self.residuals:
                self._give_branch(convolution, after)
            elif after.op_type in CONVOLUTIONS:
                self._give_blur(convolution)

    def _read(self, convolution: ir.Node) -> None:
        read = source(convolution)
        if producer(read).op_type == "Cast":
            read = self._clip(self._shift(read, _HALF, "image_centred"), 1)
        elif producer(read).op_type != "Clip":
            name = f"{convolution_name(convolution)}.input"
            low, high = self.ranges[name]
            if read not in self.offsets:
                self._shift_sum(producer(read), (low + high) / 2, f"{name}_centred")
            read = self._clip(read, _scale((high - low).max() / 2, _HALF - 1), _moves(read))
        self._add_to_bias(convolution, _convolve_constant(convolution, self.offsets[read]))

    def _give_relu(self, convolution: ir.Node, relu: ir.Node) -> None:
        _, high = self.ranges[f"{convolution_name(convolution)}.output"]
        scale = _scale(high.max(), 2 * _HALF - 1)
        self._add_to_bias(convolution, -_HALF * scale)
        clipped = self._clip(convolution.outputs[0], scale)
        self.offsets[clipped] = _HALF * scale
        relu.outputs[0].replace_all_uses_with(clipped)
        self.graph.remove(relu, safe=True)
        moves = _moves(clipped)
        others = [use for use in clipped.uses() if use not in moves and use.node not in self.residuals]
        if others:
            self._shift(clipped, -_HALF * scale, f"{clipped.name}_whole", others)

    def _give_branch(self, convolution: ir.Node, addition: ir.Node) -> None:
        branch, total = convolution.outputs[0], addition.outputs[0]
        (skip,) = (value for value in addition.inputs if value is not None and value is not branch)
        low, high = self.ranges[f"{convolution_name(convolution)}.output"]
        middle = self.ranges[self.names[total]].mean(0) if total in self.names else np.zeros_like(low)
        offset = middle - self.offsets.get(skip, 0)
        self._add_to_bias(convolution, -offset)
        self.offsets[total] = middle
        if self.branches:
            self._clip(branch, _scale(max((high - offset).max(), (offset - low).max()), _HALF - 1))

    def _give_blur(self, convolution: ir.Node) -> None:
        low, high = self.ranges[f"{convolution_name(convolution)}.output"]
        middle = (low + high) / 2
        self._add_to_bias(convolution, -middle)
        self.offsets[convolution.outputs[0]] = middle
        self._clip(convolution.outputs[0], _scale((high - low).max() / 2, _HALF - 1))

    def _clip(self, value: ir.Value, scale: float, uses: Sequence[tuple[ir.Node, int]] | None = None) -> ir.Value:
        """Return what readers find in place of a value: clipped to what int8 holds at this scale."""
        name = f"{value.name}_clipped"
        ends = [
            add_constant(self.graph, f"{name}_{end}", np.array(number * scale, np.float32))
            for end, number in (("low", -_HALF), ("high", _HALF - 1))
        ]
        clipped = insert("Clip", value, ends, name, uses=uses)
        if value in self.offsets:
            self.offsets[clipped] = self.offsets[value]
        return clipped

    def _shift(
        self, value: ir.Value, offset: float | _Channels, name: str, uses: Sequence[tuple[ir.Node, int]] | None = None
    ) -> ir.Value:
        """Return what readers find in place of a value (N, C, h, w): less an offset, a number or (C,)."""
        numbers = -np.asarray(offset, np.float32).reshape((1, -1, 1, 1) if np.ndim(offset) else ())
        shifted = insert("Add", value, [add_constant(self.graph, f"{name}_offset", numbers)], name, uses=uses)
        self.offsets[shifted] = offset
        return shifted

    def _shift_sum(self, addition: ir.Node, offset: _Channels, name: str) -> None:
        """Subtract (C,) from a sum: from its second term, what a code adds to scaled features."""
        added = addition.inputs[1]
        assert added is not None  # noqa: S101 - for the type checker
        self._shift(added, offset, name, [use for use in added.uses() if use.node is addition])
        self.offsets[addition.outputs[0]] = offset

    def _add_to_bias(self, convolution: ir.Node, change: float | _Channels) -> None:
        bias = (constant(convolution.inputs[2]) + change).astype(np.float32)
        convolution.replace_input_with(2, add_constant(self.graph, f"{convolution_name(convolution)}.bias", bias))


def _convolve_constant(convolution: ir.Node, offset: float | _Channels) -> _Channels:
    """Return a convolution's output, without its bias, (O,), for a constant on each input channel, a number or (I,)."""
    stored, scales = (constant(value) for value in producer(convolution.inputs[1]).inputs[:2])
    sums = stored.sum((2, 3), dtype=np.float64)
    if convolution.op_type == "ConvTranspose":  # of stride 2: a quarter of the taps fall on each output
        sums = sums.T / 4
    gains: _Channels = sums * scales.astype(np.float64)[:, None]  # (O, I), or (O, 1) of a depthwise convolution
    return gains[:, 0] * offset if gains.shape[1] == 1 else gains @ np.broadcast_to(offset, gains.shape[1:])


def _scale(furthest: float, levels: int) -> float:
    """Return the scale, exact in float32, at which so many levels reach the furthest number."""
    return float(np.float32(max(furthest, _LEAST) / levels))


def _moves(value: ir.Value) -> list[tuple[ir.Node, int]]:
    """Return the uses of a value by the convolutions that read it."""
    return [use for use in value.uses() if use.node.op_type in CONVOLUTIONS | MOVERS]
