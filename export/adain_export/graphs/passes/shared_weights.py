"""Make the graphs of a model read their weights from its one weights file."""

from __future__ import annotations

import json
from pathlib import Path

import onnx_ir as ir
from safetensors.numpy import load_file

__all__ = ["SharedWeightsPass"]


class SharedWeightsPass(ir.passes.InPlacePass):
    """Replace weights by references to their bytes in a safetensors file (ONNX external data).

    1. An initializer that has the name and the bytes of a tensor in the file becomes a reference to it.
    2. Every other initializer stays in the graph: constants, and the convolutions that something was folded into.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        self.weights = weights

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        tensors = load_file(self.weights)
        places = _places(self.weights)
        modified = False
        for name, value in model.graph.initializers.items():
            held = value.const_value
            if name not in tensors or held is None or held.tobytes() != tensors[name].tobytes():
                continue
            start, end = places[name]
            value.const_value = ir.ExternalTensor(
                self.weights.name, start, end - start, held.dtype, shape=ir.Shape(tensors[name].shape), name=name,
                base_dir=self.weights.parent,
            )  # fmt: skip
            modified = True
        return ir.passes.PassResult(model, modified=modified)


def _places(weights: Path) -> dict[str, tuple[int, int]]:
    """Return where each tensor's bytes start and end in a safetensors file.

    The file is the header's length (8 bytes, little-endian), the header (JSON), then the tensors' bytes, of which the
    header gives the offsets.
    """
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    begin = 8 + length
    return {
        name: (begin + entry["data_offsets"][0], begin + entry["data_offsets"][1])
        for name, entry in header.items()
        if name != "__metadata__"
    }
