"""Store activations as uint8 where a graph has them as int8."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from adain_export.graphs.passes.editing import add_constant
from adain_export.graphs.passes.quantize_activations import ZERO_POINT

__all__ = ["Uint8ActivationsPass"]


class Uint8ActivationsPass(ir.passes.InPlacePass):
    """Store the same numbers 128 higher: ONNX Runtime's kernels for x86 take no other activations.

    1. The initializer that is every activation's zero point becomes uint8 128.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Apply the rules."""
        old = model.graph.initializers[ZERO_POINT]
        new = add_constant(model.graph, ZERO_POINT, np.array(128, np.uint8))
        old.replace_all_uses_with(new)
        return ir.passes.PassResult(model, modified=True)
