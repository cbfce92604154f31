"""What a graph costs for a size of picture, counted from the graph itself: operations and bytes, layer by layer.

An operation is one addition, multiplication, division, root, rounding or comparison of two numbers, whatever their
type; so a multiply-add is two. Moving, copying and converting numbers counts as zero. So does what depends on
weights and sizes alone, which is computed once, when a graph is loaded.

Bytes are those of a backend that fuses nodes. The nodes form groups, and only what one group hands to another goes
through memory:

1. A convolution starts a group, and so does a reduction (AdaIN's mean, its variance), since it needs every position
   before what follows can begin.
2. A value that can be made again from stored values hardly larger than itself is made by whoever reads it: padding,
   doubling, dequantising, AdaIN's scale and shift. It belongs to the first group that reads it.
3. Everything else belongs to the group of what it reads, the latest if several: ReLU, pooling, quantising, the residual
   addition, the rounding of the picture.
4. A group reads each stored value of another group once, and its weights once; it writes what others read.

So a pass that sums up the features, and what is computed from the sum and the features again, count the features once.
A backend that fuses convolutions with one another, tile by tile, moves less still; none of ours does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from adain_bench.cost.costs import Costs, Group, Layer
from adain_bench.cost.operators import RULES, Node, Value
from adain_export.graphs.footprint import with_shapes
from adain_export.graphs.passes.editing import CONVOLUTIONS
from adain_models.errors import AdainError
from adain_models.files import explain

__all__ = ["count", "count_file"]

_HARDLY_LARGER = 1.5  # per-channel numbers beside the features are, another term of a sum is not

_STARTS_GROUP = CONVOLUTIONS | {"ReduceMean", "ReduceSum"}

_PRECISIONS: dict[int, str] = {
    onnx.TensorProto.FLOAT: "fp32",
    onnx.TensorProto.FLOAT16: "fp16",
    onnx.TensorProto.INT8: "int8",
    onnx.TensorProto.UINT8: "int8",
}


def count_file(path: Path, sizes: Mapping[str, int], *, bf16: bool = False) -> Costs:
    """Return what a graph file costs; its weights need not be beside it.

    Args:
        path: an ONNX graph.
        sizes: as ``count`` takes.
        bf16: as ``count`` takes.

    Raises:
        AdainError: the file cannot be read, is no ONNX graph, or as ``count`` does.

    """
    try:
        model = onnx.load(path, load_external_data=False)
    except (OSError, DecodeError) as error:
        raise AdainError(f"{path}: is not an ONNX graph, or is damaged ({explain(error)})") from None
    return count(model, sizes, bf16=bf16)


def count(model: onnx.ModelProto, sizes: Mapping[str, int], *, bf16: bool = False) -> Costs:
    """Return what one run of a graph costs.

    Args:
        model: an ONNX graph.
        sizes: of the graph's symbolic axes: N pictures of H x W pixels, and R regions where the graph has them.
        bf16: whether float32 is stored and multiplied as bfloat16, as OpenVINO does where it is asked to.

    Raises:
        AdainError: there is no rule for an operator, or a size is missing or does not fit the graph.

    """
    for node in model.graph.node:
        if node.op_type not in RULES:
            raise AdainError(
                f"node {node.name!r}: there is no rule for what {node.op_type} costs",
                hint="add one to adain_bench/cost/operators.py",
            )
    return _Counting(with_shapes(model, sizes), bf16=bf16).costs()


class _Counting:
    """One graph on its way to its costs."""

    def __init__(self, graph: onnx.GraphProto, *, bf16: bool) -> None:
        self.graph = graph
        self.bf16 = bf16
        self.weights = {tensor.name for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}
        self.values = {each.name: self._value(each) for each in (*graph.input, *graph.value_info, *graph.output)}
        self.values |= {each.name: self._weight(each) for each in graph.initializer}
        self.producers = {node.output[0]: node for node in graph.node}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.working:
            for name in dict.fromkeys(node.input):
                self.readers.setdefault(name, []).append(node)
        self.sources: dict[str, frozenset[str]] = {}
        for name in (*self.weights, *(value.name for value in graph.input)):
            self.sources[name] = frozenset([name])

    @cached_property
    def constants(self) -> frozenset[str]:
        """What weights and sizes alone decide."""
        found = set(self.weights)
        for node in self.graph.node:
            if node.op_type == "Shape" or found.issuperset(filter(None, node.input)):
                found.add(node.output[0])
        return frozenset(found)

    @cached_property
    def working(self) -> list[onnx.NodeProto]:
        """The nodes that work when the graph runs."""
        return [node for node in self.graph.node if node.output[0] not in self.constants]

    def costs(self) -> Costs:
        """Return the graph's groups in the order in which they start."""
        for node in self.graph.node:
            self.sources[node.output[0]] = self._sources(node)
        places = self._places()
        groups: dict[int, list[onnx.NodeProto]] = {}
        for node in self.working:
            groups.setdefault(places[node.output[0]], []).append(node)
        return Costs(tuple(self._group(nodes) for _, nodes in sorted(groups.items())))

    def _sources(self, node: onnx.NodeProto) -> frozenset[str]:
        """Return the stored values that a node's output is made of: itself, if it is stored (rules 1 to 3)."""
        (name,) = node.output
        read = [each for each in node.input if each and each not in self.constants]
        behind = self._behind(node)
        if name in self.constants:
            return frozenset() if node.op_type == "Shape" else behind
        kept = (
            node.op_type in _STARTS_GROUP
            or name in self.outputs
            or self._bytes(behind - self.weights) > _HARDLY_LARGER * self.values[name].bytes
            or self._takes_the_place_of(name, read)
        )
        return frozenset([name]) if kept else behind

    def _takes_the_place_of(self, name: str, read: list[str]) -> bool:
        """Whether a value is no larger than the only one it is made of, stored and read by nothing else."""
        if len(read) != 1 or self.sources[read[0]] != {read[0]} or read[0] not in self.producers:
            return False
        return len(self.readers[read[0]]) == 1 and self.values[name].bytes <= self.values[read[0]].bytes

    def _behind(self, node: onnx.NodeProto) -> frozenset[str]:
        return frozenset().union(*(self.sources[each] for each in node.input if each))

    def _places(self) -> dict[str, int]:
        """Return the number of each value's group, by when the group starts."""
        places: dict[str, int] = {}
        for number, node in enumerate(self.working):
            (name,) = node.output
            if self._is_stored(name):
                above = [places[each] for each in self._behind(node) if each in places]
                places[name] = number if node.op_type in _STARTS_GROUP or not above else max(above)
        for node in reversed(self.working):
            (name,) = node.output
            if name not in places:
                places[name] = min(places[reader.output[0]] for reader in self.readers[name])
        return places

    def _is_stored(self, name: str) -> bool:
        return self.sources[name] == {name}

    def _group(self, nodes: list[onnx.NodeProto]) -> Group:
        made = {node.output[0] for node in nodes}
        stored = [node for node in nodes if self._is_stored(node.output[0])]
        behind = frozenset().union(*(self._behind(node) for node in stored)) - made
        written = [node.output[0] for node in stored if self._leaves(node.output[0], made)]
        about = next((node for node in nodes if node.op_type in _STARTS_GROUP), nodes[0])
        return Group(
            name=about.name,
            layers=tuple(self._layer(node) for node in nodes),
            read=self._bytes(behind - self.weights),
            written=self._bytes(written),
            weights=self._bytes(behind & self.weights),
        )

    def _leaves(self, name: str, made: set[str]) -> bool:
        """Whether a group's value is read outside it, or is the graph's output."""
        return name in self.outputs or any(
            name in self._behind(node) and self._is_stored(node.output[0]) and node.output[0] not in made
            for node in self.working
        )

    def _layer(self, node: onnx.NodeProto) -> Layer:
        sized = Node(
            node, tuple(self.values[name] if name else None for name in node.input), self.values[node.output[0]]
        )
        return Layer(
            name=node.name,
            op_type=node.op_type,
            output=node.output[0],
            precision=self._precision(node),
            flops=RULES[node.op_type](sized),
        )

    def _precision(self, node: onnx.NodeProto) -> str:
        """Return what a node computes in: a convolution, what its weights are stored in; others, the wider type."""
        names = self.sources[node.input[1]] if node.op_type in CONVOLUTIONS else {node.input[0], node.output[0]}
        kinds = {_PRECISIONS.get(self.values[name].elem_type, "fp32") for name in names}
        if node.op_type in CONVOLUTIONS:
            kind = "int8" if "int8" in kinds else kinds.pop()
        else:
            kind = next(each for each in ("fp32", "fp16", "int8") if each in kinds)
        return "bf16" if self.bf16 and kind == "fp32" else kind

    def _bytes(self, names: Iterable[str]) -> int:
        return sum(self.values[name].bytes for name in names)

    def _value(self, value: onnx.ValueInfoProto) -> Value:
        tensor = value.type.tensor_type
        return self._make_value(tuple(dim.dim_value for dim in tensor.shape.dim), tensor.elem_type)

    def _weight(self, tensor: onnx.TensorProto) -> Value:
        return self._make_value(tuple(tensor.dims), tensor.data_type)

    def _make_value(self, shape: tuple[int, ...], elem_type: int) -> Value:
        item = onnx.helper.tensor_dtype_to_np_dtype(elem_type).itemsize
        if self.bf16 and elem_type == onnx.TensorProto.FLOAT:
            item = np.dtype(np.uint16).itemsize
        return Value(shape, elem_type, math.prod(shape) * item)
