"""Give a graph's inputs and outputs the engine contract's shapes."""

from __future__ import annotations

import onnx_ir as ir

from adain_rt.contract import GraphSpec, TensorSpec

__all__ = ["ContractShapesPass"]


class ContractShapesPass(ir.passes.InPlacePass):
    """State the contract's shapes where the exporter states expressions of its own symbols.

    1. Each input and output has the contract's shape, its letters as symbolic sizes and C as a number.
    2. Values between have no stated shape: whoever loads the graph infers them from its ends.
    """

    def __init__(self, spec: GraphSpec, channels: int) -> None:
        super().__init__()
        self.spec = spec
        self.channels = channels

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        graph = model.graph
        for value, tensor in zip(graph.inputs, self.spec.inputs, strict=True):
            value.shape = self._shape(tensor)
        for node in graph:
            for value in node.outputs:
                value.shape = None
        for value, tensor in zip(graph.outputs, self.spec.outputs, strict=True):
            value.shape = self._shape(tensor)
        return ir.passes.PassResult(model, modified=True)

    def _shape(self, tensor: TensorSpec) -> ir.Shape:
        return ir.Shape([self.channels if size == "C" else size for size in tensor.shape])
