"""The ranges of a model's activations, measured on pictures, from which int8 scales follow."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from safetensors.numpy import save_file

from adain_export.graphs.passes import ReportRangesPass
from adain_export.graphs.source import read_source
from adain_models.errors import AdainError
from adain_models.files import read_safetensors, replacing
from adain_rt.backends.onnxruntime.quiet import onnxruntime
from adain_rt.contract import Pixels

__all__ = ["Calibration", "Pair", "calibrate"]

Pair = tuple[Pixels, Pixels, float]
"""A content and a style, uint8 (H, W, 3) with sides that the contract takes, and a strength in 0..1."""

_QUANTILE = 0.95  # of the pairs: the range of a channel leaves out the widest twentieth at either end


@dataclass(frozen=True, eq=False)
class Calibration:
    """The ranges of one model's activations.

    Attributes:
        weights_sha256: the SHA-256 of the model's weights file, as its graphs carry it.
        ranges: by the names of ``adain_export.graphs.passes.editing.activations``, each float32 (2, C): the low and
            the high end of each channel.

    """

    weights_sha256: str
    ranges: Mapping[str, NDArray[np.float32]]

    def save(self, path: Path) -> None:
        """Write a safetensors file.

        Raises:
            AdainError: the file cannot be written.

        """
        with replacing(path) as aside:
            save_file(dict(self.ranges), aside, metadata={"weights_sha256": self.weights_sha256})

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Return the calibration that ``save`` wrote.

        Raises:
            AdainError: the file is missing or damaged, or is not a calibration.

        """
        ranges, metadata = read_safetensors(path, "numpy")
        if "weights_sha256" not in metadata or not all(map(_is_range, ranges.values())):
            raise AdainError(f"{path}: is not a calibration", hint="make one with `adain-rt quantize`")
        return cls(metadata["weights_sha256"], ranges)


def calibrate(directory: Path, pairs: Iterable[Pair]) -> Calibration:
    """Return the ranges of a model's activations over pairs: at either end the 0.95 quantile of the pairs' extremes.

    Each content is stylised by ``stylize``, and each style encoded by ``encode``, whose activations count as well.

    Args:
        directory: a model directory with graphs in fp32.
        pairs: one pair or more.

    Raises:
        AdainError: a graph is missing or damaged, or there are no pairs.

    """
    encode, stylize = (_Reporter(directory, graph) for graph in ("encode", "stylize"))
    lows: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    highs: dict[str, list[NDArray[np.float32]]] = defaultdict(list)
    for content, style, strength in pairs:
        (mean, std), of_style = encode.run({"image": style[None]})
        inputs = {"image": content[None], "style_mean": mean, "style_std": std}
        _, of_content = stylize.run(inputs | {"strength": np.array([strength], np.float32)})
        for name, (low, high) in (*of_style.items(), *of_content.items()):
            lows[name].append(low)
            highs[name].append(high)
    if not lows:
        raise AdainError("a calibration needs at least one pair of pictures")
    return Calibration(
        stylize.weights_sha256,
        {
            name: np.stack([np.quantile(lows[name], 1 - _QUANTILE, 0), np.quantile(highs[name], _QUANTILE, 0)]).astype(
                np.float32
            )
            for name in lows
        },
    )


class _Reporter:
    """Runs a graph of a model directory in ONNX Runtime, and returns the ranges of its activations as well."""

    def __init__(self, directory: Path, graph: str) -> None:
        source = read_source(directory, graph)
        self.weights_sha256 = source.facts.weights_sha256
        model = source.load_weights()
        self._outputs = len(model.graph.outputs)
        ReportRangesPass()(model)
        self._names = [str(value.name) for value in model.graph.outputs[self._outputs :: 2]]
        self._session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())

    def run(
        self, inputs: Mapping[str, NDArray[Any]]
    ) -> tuple[list[NDArray[Any]], dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]]:
        """Return the outputs, and by name the channels' low and high ends, each (C,), of a batch of one."""
        results = self._session.run(None, dict(inputs))
        lows, highs = (results[self._outputs + end :: 2] for end in (0, 1))
        names = (name.removesuffix(".low") for name in self._names)
        return results[: self._outputs], {
            name: (low[0], high[0]) for name, low, high in zip(names, lows, highs, strict=True)
        }


def _is_range(numbers: NDArray[np.generic]) -> bool:
    return bool(
        numbers.dtype == np.float32
        and numbers.ndim == 2  # noqa: PLR2004 - (2, C)
        and len(numbers) == 2  # noqa: PLR2004
        and np.isfinite(numbers).all()
        and (numbers[0] <= numbers[1]).all()
    )
