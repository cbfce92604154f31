"""The engine contract: the graphs that every backend runs, their tensors' names, types and shapes.

N pictures of H x W pixels, R regions, C feature channels. H and W are multiples of ``MULTIPLE`` and at least
``MIN_SIDE``; the runtime pads by reflection and crops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "GRAPHS",
    "MIN_SIDE",
    "MULTIPLE",
    "PRECISIONS",
    "VERSION",
    "GraphFacts",
    "GraphSpec",
    "Pixels",
    "TensorSpec",
    "graph_dir",
    "graph_file",
    "has_graphs",
    "source_dir",
]

Pixels = NDArray[np.uint8]
"""A picture (H, W, 3), pictures (N, H, W, 3), a mask (H, W) or masks (R, H, W), as the graphs take them."""

VERSION = 2
"""Rises when a change of this module would break a runtime or a graph made before it."""

MULTIPLE = 8
"""A feature position stands for this many pixels of a side."""

PRECISIONS = ("fp32", "fp16", "bf16", "int8")
"""What convolutions compute in; statistics, scale and shift stay in float32.

bf16 (on CPUs) is made from the fp32 graphs when they are loaded. So is fp16 (on GPUs) by backends that do not read fp16
graphs, or find none.
"""

MIN_SIDE = 16
"""Two feature positions: padding by reflection needs a second one to reflect, and so does an unbiased variance."""


@dataclass(frozen=True)
class TensorSpec:
    """An input or output: its name, NumPy dtype, and shape, in which a letter stands for any size."""

    name: str
    dtype: str
    shape: tuple[str | int, ...]

    def sized(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Return the shape in numbers, given the size of each of its letters."""
        return tuple(sizes[axis] if isinstance(axis, str) else axis for axis in self.shape)


@dataclass(frozen=True)
class GraphSpec:
    """What goes into a graph and what comes out, in order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def sizes_of(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, int]:
        """Return the size of each letter, given the shapes of inputs by name.

        Raises:
            ValueError: an input is missing, a shape has other axes, or two shapes give one letter different sizes.

        """
        sizes: dict[str, int] = {}
        for tensor in self.inputs:
            if tensor.name not in shapes:
                raise ValueError(f"{tensor.name} is missing")
            shape = tuple(shapes[tensor.name])
            if len(shape) == len(tensor.shape):
                named = {axis: size for axis, size in zip(tensor.shape, shape, strict=True) if isinstance(axis, str)}
                sizes = named | sizes  # the size that a letter has already stays
            wanted = tuple(sizes.get(axis, axis) if isinstance(axis, str) else axis for axis in tensor.shape)
            if shape != wanted:
                raise ValueError(f"{tensor.name} must be {tensor.dtype} {wanted}, not {shape}")
        return sizes


@dataclass(frozen=True)
class GraphFacts:
    """What a graph's metadata says of it.

    Attributes:
        model: the name of the model that it was exported from.
        weights_sha256: the SHA-256 of the model's weights file.
        contract: the version of the engine contract that it keeps.
        channels: C, the feature channels.
        precision: what its convolutions compute in.
        bytes_per_pixel: the most bytes of its tensors that are alive at once, for each pixel of a picture; ``None``
            until it has been counted.
        halo: how many pixels around a part of a picture, a multiple of ``MULTIPLE``, the graph must be given as well
            for the part to come out as it does of the whole picture; ``None`` until it has been computed. Statistics,
            which ``encode``, ``stylize`` and ``stylize_regions`` take over all that they are given, are left aside.
        int8_weights_sha256: for int8 only, the SHA-256 of the weights file that it multiplies by.

    """

    model: str
    weights_sha256: str
    contract: int
    channels: int
    precision: str
    bytes_per_pixel: int | None = None
    halo: int | None = None
    int8_weights_sha256: str | None = None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> GraphFacts:
        """Return the facts that a graph's metadata holds.

        Raises:
            ValueError: a fact is missing, or is not a whole number where one is wanted.

        """
        for name in ("model", "weights_sha256", "contract", "channels", "precision"):
            if name not in metadata:
                raise ValueError(f"its metadata has no {name}")
        for name in ("contract", "channels", "bytes_per_pixel", "halo"):
            if name in metadata and not metadata[name].isdecimal():
                raise ValueError(f"{name} is {metadata[name]!r} in its metadata, not a whole number")
        return cls(
            model=metadata["model"],
            weights_sha256=metadata["weights_sha256"],
            contract=int(metadata["contract"]),
            channels=int(metadata["channels"]),
            precision=metadata["precision"],
            bytes_per_pixel=int(metadata["bytes_per_pixel"]) if "bytes_per_pixel" in metadata else None,
            halo=int(metadata["halo"]) if "halo" in metadata else None,
            int8_weights_sha256=metadata.get("int8_weights_sha256"),
        )

    def to_metadata(self) -> dict[str, str]:
        """Return the facts as a graph's metadata."""
        return {each.name: str(value) for each in fields(self) if (value := getattr(self, each.name)) is not None}


_IMAGE = TensorSpec("image", "uint8", ("N", "H", "W", 3))
_STYLE = (TensorSpec("style_mean", "float32", ("N", "C")), TensorSpec("style_std", "float32", ("N", "C")))
_STRENGTH = TensorSpec("strength", "float32", ("N",))
_REGION_STYLES = (
    TensorSpec("style_mean", "float32", ("N", "R", "C")),
    TensorSpec("style_std", "float32", ("N", "R", "C")),
)
_MASKS = TensorSpec("masks", "uint8", ("N", "R", "H", "W"))
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
    "stylize_regions": GraphSpec(inputs=(_IMAGE, *_REGION_STYLES, _MASKS, _STRENGTH), outputs=_STYLIZED),
    "stylize_regions_fixed": GraphSpec(
        inputs=(
            _IMAGE,
            *_REGION_STYLES,
            TensorSpec("content_mean", "float32", ("N", "R", "C")),
            TensorSpec("content_std", "float32", ("N", "R", "C")),
            _MASKS,
            _STRENGTH,
        ),
        outputs=_STYLIZED,
    ),
    "measure": GraphSpec(
        inputs=(_IMAGE, _MASKS),
        outputs=(
            TensorSpec("count", "float32", ("N", "R")),
            TensorSpec("mean", "float32", ("N", "R", "C")),
            TensorSpec("m2", "float32", ("N", "R", "C")),
        ),
    ),
}
"""The six graphs by name.

``encode`` gives a picture's style code. ``stylize`` measures the content's statistics itself; ``stylize_fixed`` is
given them. ``stylize_regions`` averages the masks (0 outside, 255 inside) down to the features and divides them by
their sum; each region has statistics of its own, and a position under no mask keeps the content's features.
``stylize_regions_fixed`` is given the statistics of each region.

``measure`` gives what statistics are made of, for each region: how many positions it has, each counted by its share in
the region; their mean; and the sum of their squared differences from it. Such numbers of the parts of a picture add up
to those of the whole. With one mask, 255 where positions count and 0 elsewhere, it measures a part without its halo.
"""


def graph_file(graph: str) -> str:
    """Return the file name of a graph in its directory."""
    return f"{graph}.onnx"


def graph_dir(model_dir: Path, precision: str) -> Path:
    """Return the directory of a model's graphs in one precision: the model directory itself, or one inside it."""
    return model_dir / precision if precision in {"fp16", "int8"} else model_dir


def source_dir(model_dir: Path, precision: str) -> Path:
    """Return the directory of the graphs that a backend starts from; it can make fp16 and bf16 of those in fp32."""
    return graph_dir(model_dir, "int8" if precision == "int8" else "fp32")


def has_graphs(model_dir: Path, precision: str) -> bool:
    """Return whether a model directory has all graphs that a backend needs for one precision."""
    directory = source_dir(model_dir, precision)
    return all((directory / graph_file(graph)).is_file() for graph in GRAPHS)
