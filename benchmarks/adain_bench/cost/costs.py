"""What a graph costs for a size of picture: operations and bytes, by layer and by group of layers."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Costs", "Group", "Layer"]


@dataclass(frozen=True)
class Layer:
    """One node that works when the graph runs.

    Attributes:
        name: the node's.
        op_type: the ONNX operator.
        output: the name of the tensor that it gives.
        precision: what it computes in: ``fp32``, ``bf16``, ``fp16`` or ``int8``.
        flops: operations.

    """

    name: str
    op_type: str
    output: str
    precision: str
    flops: int


@dataclass(frozen=True)
class Group:
    """Nodes that run as one: a convolution with its neighbours, or a pass over the features.

    Attributes:
        name: of the node that the group is about.
        layers: its nodes, in the graph's order.
        read: bytes of other groups' values, and of the graph's inputs, each once.
        written: bytes of the values that other groups read, and of the graph's outputs.
        weights: bytes of its weights.

    """

    name: str
    layers: tuple[Layer, ...]
    read: int
    written: int
    weights: int

    @property
    def bytes(self) -> int:
        """All bytes that it moves."""
        return self.read + self.written + self.weights

    @property
    def flops(self) -> int:
        """Operations."""
        return sum(layer.flops for layer in self.layers)

    @property
    def flops_by_precision(self) -> dict[str, int]:
        """Operations in each precision that it computes in."""
        found: dict[str, int] = {}
        for layer in self.layers:
            if layer.flops:
                found[layer.precision] = found.get(layer.precision, 0) + layer.flops
        return found


@dataclass(frozen=True)
class Costs:
    """What one run of a graph costs. Every layer is in one group."""

    groups: tuple[Group, ...]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """All layers, group by group."""
        return tuple(layer for group in self.groups for layer in group.layers)

    @property
    def flops(self) -> int:
        """Operations."""
        return sum(group.flops for group in self.groups)
