"""A model's graphs in int8, beside those in fp32.

The convolutions multiply 8-bit numbers. AdaIN's statistics, scale and shift and the residual additions stay float.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common
from safetensors.numpy import save_file

from adain_export.graphs.passes import (
    BlockOutputPass,
    BoundActivationsPass,
    QuantizeActivationsPass,
    QuantizeBlursPass,
    QuantizeWeightsPass,
    RepeatEdgesPass,
    SharedWeightsPass,
    Uint8ActivationsPass,
    UpsamplePhasesPass,
    UpsampleTransposedPass,
)
from adain_export.graphs.passes.editing import activations, constant
from adain_export.graphs.source import SourceGraph, read_source
from adain_export.graphs.staging import finish, stage
from adain_export.int8.calibration import Calibration, Pair
from adain_export.int8.equalize import equalize
from adain_export.psnr import psnr
from adain_models.errors import AdainError
from adain_models.files import replacing, sha256_of
from adain_models.weights.store import WEIGHTS_NAME
from adain_rt import contract
from adain_rt.backends import open_backend
from adain_rt.backends.onnxruntime.quiet import onnxruntime
from adain_rt.contract import GraphFacts

__all__ = ["CALIBRATION_NAME", "compare", "quantize_model", "uint8_file"]

CALIBRATION_NAME = "calibration.safetensors"

_PRECISION = "int8"
_LEAST_PSNR = 30.0  # decibels
_HEIGHT, _WIDTH = 96, 128


def uint8_file(graph: str) -> str:
    """Return the file name of a graph whose activations are uint8, for ONNX Runtime on x86."""
    return f"{graph}.uint8.onnx"


def quantize_model(source: Path, calibration: Calibration) -> Iterator[str]:
    """Write the int8 graphs of a model directory into its folder ``int8``; yield each graph's name, written.

    The folder holds ``weights.safetensors``, which all of its graphs read; ``GRAPH.onnx``, whose activations are int8,
    all zero points 0, for OpenVINO and TensorRT; ``GRAPH.uint8.onnx``, for ONNX Runtime, whose activations are uint8,
    residual branches among them, and whose transposed convolutions are plain ones, since it has kernels for no other;
    and the calibration. All are checked, against the ONNX standard and against the fp32 graphs, before the first takes
    its place.

    Args:
        source: a model directory with graphs in fp32.
        calibration: the ranges of this model's activations.

    Raises:
        AdainError: a graph is missing or damaged, the calibration is of another model, a file cannot be written, or an
            int8 graph is too far from its fp32 graph.

    """
    facts: dict[str, GraphFacts] = {}
    models: dict[str, ir.Model] = {}
    for graph in contract.GRAPHS:
        read = read_source(source, graph)
        _check_calibration(read, calibration)
        facts[graph] = read.facts
        ranges = equalize(read.model.graph, calibration.ranges)
        models[contract.graph_file(graph)] = _quantize_for_openvino(read.model.clone(), ranges)
        models[uint8_file(graph)] = _quantize_for_onnxruntime(read.model, ranges)
    with stage(contract.graph_dir(source, _PRECISION)) as aside:
        calibration.save(aside / CALIBRATION_NAME)
        weights = aside / WEIGHTS_NAME
        with replacing(weights) as part:
            shared: dict[str, NDArray[Any]] = {}
            for model in models.values():
                shared |= _read_shared(model)
            save_file(shared, part)
        digest = sha256_of(weights)
        for graph in contract.GRAPHS:
            quantized = replace(facts[graph], precision=_PRECISION, int8_weights_sha256=digest)
            for file in (contract.graph_file(graph), uint8_file(graph)):
                models[file].metadata_props.update(quantized.to_metadata())
                SharedWeightsPass(weights)(models[file])
                ir.save(models[file], aside / file)
                finish(aside / file)
            yield graph
        _verify(source, aside)


def compare(directory: Path, pairs: Iterable[Pair]) -> list[float]:
    """Return the PSNR in decibels of each pair's picture in int8 to the same in fp32, both in ONNX Runtime.

    Raises:
        AdainError: a graph is missing or damaged.

    """
    fp32, int8 = (
        open_backend("onnxruntime", contract.graph_dir(directory, precision), precision)
        for precision in ("fp32", _PRECISION)
    )
    ratios = []
    for content, style, strength in pairs:
        mean, std = fp32.run("encode", {"image": style[None]})
        inputs = {"image": content[None], "style_mean": mean, "style_std": std}
        inputs["strength"] = np.array([strength], np.float32)
        ratios.append(_least_psnr(int8.run("stylize", inputs), fp32.run("stylize", inputs)))
    return ratios


def _check_calibration(source: SourceGraph, calibration: Calibration) -> None:
    """Refuse a calibration of other weights, or one without a range that the graph needs."""
    missing = activations(source.model.graph).keys() - calibration.ranges.keys()
    if calibration.weights_sha256 != source.facts.weights_sha256 or missing:
        raise AdainError(f"{source.path.parent}: the calibration is of another model", hint="calibrate this one")


def _quantize_for_openvino(model: ir.Model, ranges: Mapping[str, NDArray[np.float32]]) -> ir.Model:
    """Return a graph, which is changed, in int8."""
    bounding = [RepeatEdgesPass(), BoundActivationsPass(ranges, branches=False)]
    return _quantize(model, [*bounding, QuantizeActivationsPass()])


def _quantize_for_onnxruntime(model: ir.Model, ranges: Mapping[str, NDArray[np.float32]]) -> ir.Model:
    """Return a graph, which is changed, in int8, as ONNX Runtime's kernels for x86 take it."""
    bounding = BoundActivationsPass(ranges, branches=True)
    return _quantize(model, [bounding, QuantizeActivationsPass(), UpsamplePhasesPass(), Uint8ActivationsPass()])


def _quantize(model: ir.Model, passes: Sequence[ir.passes.InPlacePass]) -> ir.Model:
    """Make a graph's weights int8, then apply the passes that make its activations int8."""
    weights = [UpsampleTransposedPass(), BlockOutputPass(), QuantizeWeightsPass(), QuantizeBlursPass()]
    ir.passes.Sequential(*weights, *passes, common.RemoveUnusedNodesPass())(model)
    return model


def _read_shared(model: ir.Model) -> dict[str, NDArray[Any]]:
    """Return the numbers of a graph's convolutions by name."""
    return {
        name: constant(value)
        for name, value in model.graph.initializers.items()
        if name.endswith((".weight", ".weight_scale", ".bias"))
    }


def _verify(source: Path, made: Path) -> None:
    """Compare int8 graphs with the fp32 graphs of a model directory, on pictures with details of every size."""
    backend = open_backend("onnxruntime", source, "fp32")
    generator = np.random.default_rng(0)
    image, paintings = _make_textures(generator), _make_textures(generator)
    mean, std = backend.run("encode", {"image": paintings})
    content_mean, content_std = backend.run("encode", {"image": image})
    masks = np.zeros((2, 2, _HEIGHT, _WIDTH), np.uint8)
    masks[:, 0, :, : _WIDTH // 2], masks[:, 1, :, _WIDTH // 2 :] = 255, 255
    plain = {"image": image, "style_mean": mean, "style_std": std, "strength": np.array([0.5, 1], np.float32)}
    fixed = plain | {"content_mean": content_mean, "content_std": content_std}
    two = {name: np.stack([code, code[::-1]], 1) for name, code in fixed.items() if name.endswith(("_mean", "_std"))}
    styles = {name: code for name, code in two.items() if name.startswith("style")}
    inputs: dict[str, Mapping[str, NDArray[Any]]] = {
        "encode": {"image": paintings},
        "stylize": plain,
        "stylize_fixed": fixed,
        "stylize_regions": plain | styles | {"masks": masks},
        "stylize_regions_fixed": plain | two | {"masks": masks},
        "measure": {"image": image, "masks": masks},
    }
    for graph in contract.GRAPHS:
        expected = backend.run(graph, inputs[graph])
        for file in (contract.graph_file(graph), uint8_file(graph)):
            ratio = _least_psnr(onnxruntime.InferenceSession(made / file).run(None, dict(inputs[graph])), expected)
            if ratio < _LEAST_PSNR:
                raise AdainError(
                    f"{source}: {file} is {ratio:.1f} dB from fp32, less than {_LEAST_PSNR:.0f}",
                    hint="calibrate with more pairs, of pictures like those to be stylised",
                )


def _make_textures(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return two pictures, uint8 (2, H, W, 3): the sum of noise in squares of 1 to 32 pixels."""
    total = np.zeros((2, _HEIGHT, _WIDTH, 3))
    for side in (1, 2, 4, 8, 16, 32):
        noise = generator.normal(0, 20, (2, _HEIGHT // side, _WIDTH // side, 3))
        total += noise.repeat(side, 1).repeat(side, 2)
    return (128 + total).round().clip(0, 255).astype(np.uint8)


def _least_psnr(made: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]) -> float:
    """Return the least PSNR in decibels over a graph's outputs; the peak is 255, or a code's largest number."""
    return min(
        psnr(numbers, wanted, 255.0 if wanted.dtype == np.uint8 else float(np.abs(wanted).max()))
        for numbers, wanted in zip(made, expected, strict=True)
    )
