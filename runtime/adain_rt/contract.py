"""The engine contract: the graphs that every backend runs, their tensors' names, types and shapes.

N pictures of H x W pixels, R regions, C feature channels. H and W are multiples of ``MULTIPLE`` and at least
``MIN_SIDE``; the runtime pads by reflection and crops.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GRAPHS",
    "MIN_SIDE",
    "MULTIPLE",
    "PRECISIONS",
    "VERSION",
    "GraphSpec",
    "Pixels",
    "TensorSpec",
    "graph_dir",
    "graph_file",
    "has_graphs",
]

Pixels = NDArray[np.uint8]
"""A picture (H, W, 3), pictures (N, H, W, 3), a mask (H, W) or masks (R, H, W), as the graphs take them."""

VERSION = 1
"""Rises when a change of this module would break a runtime or a graph made before it."""

MULTIPLE = 8
"""A feature position stands for this many pixels of a side."""

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
"""What convolutions compute in; statistics, scale and shift stay in float32. fp16 (on GPUs) and bf16 (on CPUs) are made
of the fp32 graphs when they are loaded."""

MIN_SIDE = 16
"""Two feature positions: padding by reflection needs a second one to reflect, and so does an unbiased variance."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output: its name, NumPy dtype, and shape, in which a letter stands for any size."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]


@dataclass(frozen=True)
class GraphSpec:
    """What goes into a graph and what comes out, in order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


_IMAGE = TensorSpec("image", "uint8", ("N", "H", "W", 3))
_STYLE = (TensorSpec("style_mean", "float32", ("N", "C")), TensorSpec("style_std", "float32", ("N", "C")))
_STRENGTH = TensorSpec("strength", "float32", ("N",))
_STYLIZED = (TensorSpec("stylized", "uint8", ("N", "H", "W", 3)),)

GRAPHS = {
    "encode": GraphSpec(
        inputs=(_IMAGE,),
        outputs=(TensorSpec("mean", "float32", ("N", "C")), TensorSpec("std", "float32", ("N", "C"))),
    ),
    "stylize": GraphSpec(inputs=(_IMAGE, *_STYLE, _STRENGTH), outputs=_STYLIZED),
    "stylize_fixed": GraphSpec(
        inputs=(
            _IMAGE,
            *_STYLE,
            TensorSpec("content_mean", "float32", ("N", "C")),
            TensorSpec("content_std", "float32", ("N", "C")),
            _STRENGTH,
        ),
        outputs=_STYLIZED,
    ),
    "stylize_regions": GraphSpec(
        inputs=(
            _IMAGE,
            TensorSpec("style_mean", "float32", ("N", "R", "C")),
            TensorSpec("style_std", "float32", ("N", "R", "C")),
            TensorSpec("masks", "uint8", ("N", "R", "H", "W")),
            _STRENGTH,
        ),
        outputs=_STYLIZED,
    ),
}
"""The four graphs by name.

``encode`` gives a picture's style code. ``stylize`` measures the content's statistics itself; ``stylize_fixed`` is
given them. ``stylize_regions`` averages the masks (0 outside, 255 inside) down to the features and divides them by
their sum; each region has statistics of its own, and a position under no mask keeps the content's features.
"""


def graph_file(graph: str) -> str:
    """Return the file name of a graph in its directory."""
    return f"{graph}.onnx"


def graph_dir(model_dir: Path, precision: str) -> Path:
    """Return the directory of a model directory's graphs for one precision: itself, or one inside it."""
    return model_dir / precision if precision == "int8" else model_dir


def has_graphs(model_dir: Path, precision: str) -> bool:
    """Whether all graphs of one precision are in a model directory."""
    directory = graph_dir(model_dir, precision)
    return all((directory / graph_file(graph)).is_file() for graph in GRAPHS)
