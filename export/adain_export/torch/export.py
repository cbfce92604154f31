"""PyTorch to ONNX: the engine contract's graphs of one model, beside its weights; the same in fp16."""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import onnx_ir as ir
import torch
from onnx_ir.passes import common
from safetensors.numpy import save_file

from adain_export.graphs.engine_graph import engine_model
from adain_export.graphs.halo import find_halo
from adain_export.graphs.passes import ContractShapesPass, RestoreBiasesPass, SharedWeightsPass
from adain_export.graphs.passes.editing import constant
from adain_export.graphs.staging import finish, stage
from adain_export.torch import deploy
from adain_export.torch.verify import verify, verify_half
from adain_models.errors import AdainError
from adain_models.files import replacing, sha256_of
from adain_models.networks.base import Network
from adain_models.weights import checkpoint
from adain_models.weights.store import WEIGHTS_NAME
from adain_rt import contract
from adain_rt.contract import GraphFacts, TensorSpec

__all__ = ["OPSET", "export_half", "export_model"]

OPSET = 20

_EXAMPLE_SIZES = {"N": 2, "R": 3, "H": 32, "W": 48}  # all different, so that no two are taken for one symbol


def export_model(source: Path, model: str, destination: Path) -> Iterator[str]:
    """Write the graphs of a model directory's weights, and the weights beside them; yield each graph's name, exported.

    All are written aside and checked, against the ONNX standard and against PyTorch, before the first takes its place.

    Args:
        source: a model directory, of which ``weights.safetensors`` is read.
        model: the name that the graphs carry.
        destination: the directory to write; may be ``source``.

    Raises:
        AdainError: the weights cannot be read, a file cannot be written, or a graph does not agree with PyTorch.

    """
    network = checkpoint.load(source / WEIGHTS_NAME)
    with stage(destination) as aside:
        weights = aside / WEIGHTS_NAME
        shutil.copyfile(source / WEIGHTS_NAME, weights)
        facts = GraphFacts(model, sha256_of(weights), contract.VERSION, network.channels, "fp32")
        for graph in contract.GRAPHS:
            exported = _clean(_trace(network, graph), graph, network.channels, weights)
            exported.metadata_props.update(replace(facts, halo=find_halo(exported.graph)).to_metadata())
            path = aside / contract.graph_file(graph)
            ir.save(exported, path)
            finish(path)
            yield graph
        verify(aside)


def export_half(directory: Path) -> Iterator[str]:
    """Write the fp16 graphs of a model directory into its folder ``fp16``; yield each graph's name, written.

    The folder holds ``weights.safetensors`` in float16, which all of its graphs read. All are written aside and
    checked, against the ONNX standard and against PyTorch, before the first takes its place.

    Args:
        directory: a model directory with graphs in fp32.

    Raises:
        AdainError: a graph or the weights are missing or damaged, a file cannot be written, a weight is too large for
            float16, or a graph is too far from PyTorch.

    """
    models = {graph: engine_model(directory, graph, "fp16") for graph in contract.GRAPHS}
    with stage(contract.graph_dir(directory, "fp16")) as aside:
        weights = aside / WEIGHTS_NAME
        with replacing(weights) as part:
            initializers = models["stylize"].graph.initializers
            save_file({name: constant(initializers[name]) for name in initializers if _is_shared(name)}, part)
        for graph, model in models.items():
            SharedWeightsPass(weights)(model)
            path = aside / contract.graph_file(graph)
            ir.save(model, path)
            finish(path)
            yield graph
        verify_half(directory, aside)


def _is_shared(name: str) -> bool:
    """Whether an initializer of this name belongs to a convolution, and is the same in all graphs."""
    return name.endswith((".weight", ".bias"))


def _trace(network: Network, graph: str) -> ir.Model:
    """Return what PyTorch's exporter makes of one graph, its N, R, H and W dynamic."""
    spec = contract.GRAPHS[graph]
    sizes = _EXAMPLE_SIZES | {"C": network.channels}
    examples = tuple(torch.zeros(tensor.sized(sizes), dtype=_dtype(tensor)) for tensor in spec.inputs)
    dynamic = tuple(
        {axis: torch.export.Dim.AUTO for axis, size in enumerate(tensor.shape) if size in _EXAMPLE_SIZES}
        for tensor in spec.inputs
    )
    with _quiet_exporter():
        program = torch.onnx.export(
            deploy.GRAPH_MODULES[graph](network).eval(),
            examples,
            dynamo=True,
            dynamic_shapes=dynamic,
            opset_version=OPSET,
            input_names=[tensor.name for tensor in spec.inputs],
            output_names=[tensor.name for tensor in spec.outputs],
            custom_translation_table={
                torch.ops.adain_export.degrees_of_freedom.default: deploy.degrees_of_freedom_onnx
            },
            verbose=False,
        )
    if program is None:
        raise AdainError(f"PyTorch {torch.__version__} exported no graph", hint="install another version of PyTorch")
    exported: ir.Model = program.model
    return exported


def _clean(model: ir.Model, graph: str, channels: int, weights: Path) -> ir.Model:
    """Return the graph with the contract's shapes, without the exporter's traces, reading the shared weights."""
    model.producer_name = "adain-rt"
    model.producer_version = None
    model.graph.name = graph
    passes = ir.passes.Sequential(
        common.CommonSubexpressionEliminationPass(),
        common.DeduplicateInitializersPass(),
        common.RemoveUnusedNodesPass(),
        common.ClearMetadataAndDocStringPass(),
        common.NameFixPass(),
        RestoreBiasesPass(),
        ContractShapesPass(contract.GRAPHS[graph], channels),
        SharedWeightsPass(weights),
    )
    return passes(model).model


def _dtype(tensor: TensorSpec) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, tensor.dtype)
    return dtype


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter's remarks on its own inner workings (a deprecation, absent torchvision) from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
