"""Changes of a graph, each a pass: one class in one file, its docstring the list of its rules."""

from adain_export.passes.contract_shapes import ContractShapesPass
from adain_export.passes.shared_weights import SharedWeightsPass

__all__ = ["ContractShapesPass", "SharedWeightsPass"]
