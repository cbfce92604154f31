"""A model's graphs in int8, beside those in fp32.

The convolutions multiply 8-bit numbers. AdaIN's statistics, scale and shift and the residual additions stay float.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
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
from adain_export.graphs.staging import finish, read_graph, staged
from adain_export.int8.calibration import Calibration, Pair
from adain_export.psnr import psnr
from adain_models.errors import AdainError
from adain_models.files import replacing, sha256_of
from adain_models.weights.store import WEIGHTS_NAME
from adain_rt import contract
from adain_rt.backends import open_backend
from adain_rt.backends.onnxruntime.quiet import onnxruntime

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
    and the calibration. They are checked, against the ONNX standard and against the fp32 graphs, before any takes its
    place.

    Args:
        source: a model directory with graphs in fp32.
        calibration: of this model.

    Raises:
        AdainError: a graph is missing or damaged, the calibration is another model's, a file cannot be written, or an
            int8 graph is too far from its fp32 graph.

    """
    models: dict[str, ir.Model] = {}
    for graph in contract.GRAPHS:
        model = read_graph(source, graph)
        _check_calibration(model, calibration, source)
        models |= {
            contract.graph_file(graph): _for_openvino(model.clone(), calibration),
            uint8_file(graph): _for_onnxruntime(model, calibration),
        }
    with staged(contract.graph_dir(source, _PRECISION)) as aside:
        calibration.save(aside / CALIBRATION_NAME)
        weights = aside / WEIGHTS_NAME
        with replacing(weights) as part:
            save_file({name: numbers for model in models.values() for name, numbers in _shared(model).items()}, part)
        digest = sha256_of(weights)
        for graph in contract.GRAPHS:
            for file in (contract.graph_file(graph), uint8_file(graph)):
                models[file].metadata_props["int8_weights_sha256"] = digest
                SharedWeightsPass(weights)(models[file])
                ir.save(models[file], aside / file)
                finish(aside / file)
            yield graph
        _verify(source, aside)


def compare(directory: Path, pairs: Iterable[Pair]) -> list[float]:
    """Return the PSNR in decibels of each pair's picture in int8, against the same in fp32, both in ONNX Runtime.

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
        ratios.append(_psnr(int8.run("stylize", inputs), fp32.run("stylize", inputs)))
    return ratios


def _check_calibration(model: ir.Model, calibration: Calibration, source: Path) -> None:
    """Refuse a calibration of other weights, or one without a range that the graph needs."""
    missing = activations(model.graph).keys() - calibration.ranges.keys()
    if calibration.weights_sha256 != model.metadata_props.get("weights_sha256") or missing:
        raise AdainError(f"{source}: the calibration is another model's; calibrate this one")


def _for_openvino(model: ir.Model, calibration: Calibration) -> ir.Model:
    """Return a graph, which is changed, in int8."""
    bounding = [RepeatEdgesPass(), BoundActivationsPass(calibration.ranges, branches=False)]
    return _quantized(model, [*bounding, QuantizeActivationsPass()])


def _for_onnxruntime(model: ir.Model, calibration: Calibration) -> ir.Model:
    """Return a graph, which is changed, in int8, as ONNX Runtime's kernels for x86 take it."""
    bounding = BoundActivationsPass(calibration.ranges, branches=True)
    return _quantized(model, [bounding, QuantizeActivationsPass(), UpsamplePhasesPass(), Uint8ActivationsPass()])


def _quantized(model: ir.Model, passes: Sequence[ir.passes.InPlacePass]) -> ir.Model:
    """Make a graph's weights int8, then apply passes that make its activations so."""
    weights = [UpsampleTransposedPass(), BlockOutputPass(), QuantizeWeightsPass(), QuantizeBlursPass()]
    ir.passes.Sequential(*weights, *passes, common.RemoveUnusedNodesPass())(model)
    model.metadata_props["precision"] = _PRECISION
    return model


def _shared(model: ir.Model) -> dict[str, NDArray[Any]]:
    """Return the numbers of a graph's convolutions by name."""
    return {
        name: constant(value)
        for name, value in model.graph.initializers.items()
        if name.endswith((".weight", ".weight_scale", ".bias"))
    }


def _verify(source: Path, made: Path) -> None:
    """Hold int8 graphs against the fp32 graphs of a model directory, on pictures with details of every size."""
    backend = open_backend("onnxruntime", source, "fp32")
    generator = np.random.default_rng(0)
    image, paintings = _textures(generator), _textures(generator)
    mean, std = backend.run("encode", {"image": paintings})
    content_mean, content_std = backend.run("encode", {"image": image})
    masks = np.zeros((2, 2, _HEIGHT, _WIDTH), np.uint8)
    masks[:, 0, :, : _WIDTH // 2], masks[:, 1, :, _WIDTH // 2 :] = 255, 255
    plain = {"image": image, "style_mean": mean, "style_std": std, "strength": np.array([0.5, 1], np.float32)}
    two = {"style_mean": np.stack([mean, mean[::-1]], 1), "style_std": np.stack([std, std[::-1]], 1)}
    inputs: dict[str, Mapping[str, NDArray[Any]]] = {
        "encode": {"image": paintings},
        "stylize": plain,
        "stylize_fixed": plain | {"content_mean": content_mean, "content_std": content_std},
        "stylize_regions": plain | two | {"masks": masks},
    }
    for graph in contract.GRAPHS:
        expected = backend.run(graph, inputs[graph])
        for file in (contract.graph_file(graph), uint8_file(graph)):
            ratio = _psnr(onnxruntime.InferenceSession(made / file).run(None, dict(inputs[graph])), expected)
            if ratio < _LEAST_PSNR:
                raise AdainError(
                    f"{source}: {file} is {ratio:.1f} dB from fp32, less than {_LEAST_PSNR:.0f}; "
                    "calibrate with more pairs, of pictures like those to be stylised"
                )


def _textures(generator: np.random.Generator) -> NDArray[np.uint8]:
    """Return two pictures, uint8 (2, H, W, 3): the sum of noise in squares of 1 to 32 pixels."""
    total = np.zeros((2, _HEIGHT, _WIDTH, 3))
    for side in (1, 2, 4, 8, 16, 32):
        noise = generator.normal(0, 20, (2, _HEIGHT // side, _WIDTH // side, 3))
        total += noise.repeat(side, 1).repeat(side, 2)
    return (128 + total).round().clip(0, 255).astype(np.uint8)


def _psnr(made: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]]) -> float:
    """Return the least PSNR in decibels of a graph's outputs; the peak is 255, or a code's largest number."""
    return min(
        psnr(numbers, wanted, 255.0 if wanted.dtype == np.uint8 else float(np.abs(wanted).max()))
        for numbers, wanted in zip(made, expected, strict=True)
    )
