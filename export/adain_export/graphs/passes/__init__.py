"""Changes of a graph. Each is a pass: one class in one file, whose docstring lists its rules."""

from adain_export.graphs.passes.block_output import BlockOutputPass
from adain_export.graphs.passes.bound_activations import BoundActivationsPass
from adain_export.graphs.passes.contract_shapes import ContractShapesPass
from adain_export.graphs.passes.explicit_rounding import ExplicitRoundingPass
from adain_export.graphs.passes.half_precision import HalfPrecisionPass
from adain_export.graphs.passes.quantize_activations import QuantizeActivationsPass
from adain_export.graphs.passes.quantize_blurs import QuantizeBlursPass
from adain_export.graphs.passes.quantize_weights import QuantizeWeightsPass
from adain_export.graphs.passes.repeat_edges import RepeatEdgesPass
from adain_export.graphs.passes.report_ranges import ReportRangesPass
from adain_export.graphs.passes.restore_biases import RestoreBiasesPass
from adain_export.graphs.passes.shared_weights import SharedWeightsPass
from adain_export.graphs.passes.uint8_activations import Uint8ActivationsPass
from adain_export.graphs.passes.upsample_phases import UpsamplePhasesPass
from adain_export.graphs.passes.upsample_smooth import UpsampleSmoothPass
from adain_export.graphs.passes.upsample_transposed import UpsampleTransposedPass

__all__ = [
    "BlockOutputPass",
    "BoundActivationsPass",
    "ContractShapesPass",
    "ExplicitRoundingPass",
    "HalfPrecisionPass",
    "QuantizeActivationsPass",
    "QuantizeBlursPass",
    "QuantizeWeightsPass",
    "RepeatEdgesPass",
    "ReportRangesPass",
    "RestoreBiasesPass",
    "SharedWeightsPass",
    "Uint8ActivationsPass",
    "UpsamplePhasesPass",
    "UpsampleSmoothPass",
    "UpsampleTransposedPass",
]
