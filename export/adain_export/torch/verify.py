"""Compare exported graphs with the PyTorch reference, right after they are written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray

from adain_export.graphs.passes import ExplicitRoundingPass
from adain_export.graphs.staging import read_graph
from adain_export.psnr import psnr
from adain_models import reference
from adain_models.errors import AdainError
from adain_models.networks.base import Network
from adain_models.weights import checkpoint
from adain_models.weights.store import WEIGHTS_NAME
from adain_rt.backends import open_backend
from adain_rt.backends.onnxruntime.quiet import onnxruntime

__all__ = ["LEAST_PSNR", "half_session", "verify", "verify_half"]

LEAST_PSNR = 35.0
"""How close to PyTorch graphs in fp16 must be, in decibels."""

_HEIGHT, _WIDTH = 48, 64
_RELATIVE = 1e-4  # of a style's largest number

_Arrays = dict[str, NDArray[Any]]


def verify(directory: Path) -> None:
    """Compare all graphs of a model directory in ONNX Runtime with PyTorch in float64, on two noisy pictures.

    Raises:
        AdainError: a picture differs by more than one level, or a statistic by more than 1e-4 of its largest number.

    """
    backend = open_backend("onnxruntime", directory, "fp32")
    for graph, (inputs, expected) in _cases(checkpoint.load(directory / WEIGHTS_NAME)).items():
        made = backend.run(graph, inputs)
        if graph in ("encode", "measure"):
            _compare_statistics(graph, made, expected)
            continue
        difference = int(np.abs(made[0].astype(int) - expected[0].astype(int)).max())
        if difference > 1:
            raise AdainError(f"{directory}: the graph {graph} differs from PyTorch by {difference} of 256 levels")


def verify_half(directory: Path, made: Path) -> None:
    """Compare graphs in fp16, rounding as they say, with PyTorch in float64, on the same pictures.

    Args:
        directory: a model directory.
        made: the directory of its graphs in fp16.

    Raises:
        AdainError: a picture or a code is further from PyTorch than ``LEAST_PSNR``.

    """
    for graph, (inputs, expected) in _cases(checkpoint.load(directory / WEIGHTS_NAME)).items():
        outputs = half_session(read_graph(made, graph)).run(None, inputs)
        for numbers, wanted in zip(outputs, expected, strict=True):
            ratio = psnr(numbers, wanted, 255.0 if wanted.dtype == np.uint8 else float(np.abs(wanted).max()))
            if not ratio >= LEAST_PSNR:
                raise AdainError(f"{directory}: the graph {graph} in fp16 is {ratio:.1f} dB from PyTorch; use fp32")


def half_session(model: ir.Model) -> onnxruntime.InferenceSession:
    """Return a session on the CPU for a graph in fp16, which is changed; it rounds to halves as the graph says."""
    ir.external_data.load_to_model(model)
    ExplicitRoundingPass()(model)
    return onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())


def _cases(network: Network) -> dict[str, tuple[_Arrays, tuple[NDArray[Any], ...]]]:
    """Return inputs for each graph, two noisy pictures among them, and what a network makes of them in float64."""
    network = network.double()
    generator = np.random.default_rng(0)
    contents = generator.integers(80, 180, (2, _HEIGHT, _WIDTH, 3), np.uint8)
    paintings = generator.integers(0, 256, (2, _HEIGHT, _WIDTH, 3), np.uint8)
    masks = np.zeros((2, 2, _HEIGHT, _WIDTH), np.uint8)
    masks[:, 0, :, :24], masks[:, 1, :, 16:56] = 255, 200  # they overlap, and leave a strip to neither
    strength = np.array([0.6, 1], np.float32)

    codes = [reference.encode(network, torch.from_numpy(pictures)) for pictures in (paintings, contents)]
    (mean, std), (content_mean, content_std) = ((_float32(mean), _float32(std)) for mean, std in codes)
    plain: _Arrays = {"image": contents, "style_mean": mean, "style_std": std, "strength": strength}
    fixed = plain | {"content_mean": content_mean, "content_std": content_std}
    two = {name: np.stack([code, code[::-1]], 1) for name, code in fixed.items() if name.endswith(("_mean", "_std"))}
    styles = {name: code for name, code in two.items() if name.startswith("style")}
    image, alpha, masked = torch.from_numpy(contents), torch.from_numpy(strength).double(), torch.from_numpy(masks)
    style_codes, content_codes = (
        (_tensor(two[f"{whose}_mean"]), _tensor(two[f"{whose}_std"])) for whose in ("style", "content")
    )
    regions = [
        reference.stylize_regions(network, image, style_codes, masked, alpha, content).numpy()
        for content in (None, content_codes)
    ]
    return {
        "encode": ({"image": paintings}, (mean, std)),
        "stylize": (plain, (reference.stylize(network, image, codes[0], alpha).numpy(),)),
        "stylize_fixed": (fixed, (reference.stylize(network, image, codes[0], alpha, codes[1]).numpy(),)),
        "stylize_regions": (plain | styles | {"masks": masks}, (regions[0],)),
        "stylize_regions_fixed": (plain | two | {"masks": masks}, (regions[1],)),
        "measure": (
            {"image": contents, "masks": masks},
            tuple(numbers.numpy() for numbers in reference.measure(network, image, masked)),
        ),
    }


def _compare_statistics(graph: str, made: tuple[NDArray[np.generic], ...], expected: tuple[NDArray[Any], ...]) -> None:
    for values, wanted in zip(made, expected, strict=True):
        if not np.allclose(values, wanted, rtol=0, atol=_RELATIVE * np.abs(wanted).max()):
            raise AdainError(
                f"the graph {graph} differs from PyTorch", hint="install other versions of torch, onnx and onnxscript"
            )


def _float32(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.float().numpy()


def _tensor(values: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(values).double()
