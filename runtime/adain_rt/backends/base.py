"""What the backends do alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.contract import GRAPHS, MULTIPLE

__all__ = ["UnusableBackend", "check_ends", "check_there", "failure", "too_large"]


class UnusableBackend(AdainError):  # noqa: N818 - what it is
    """A backend cannot run on this machine at all, whatever the picture."""


def check_there(path: Path) -> None:
    """Refuse a graph that is not there."""
    if not path.is_file():
        raise AdainError(f"{path}: there is no such graph; write it with `adain-rt export`")


def check_ends(path: Path, graph: str, names: Sequence[str]) -> None:
    """Refuse a file whose inputs and outputs are not the graph's."""
    if list(names) != [tensor.name for tensor in (*GRAPHS[graph].inputs, *GRAPHS[graph].outputs)]:
        raise AdainError(f"{path}: is not the graph {graph}, which has other inputs and outputs; export it again")


def failure(library: str, graph: str, error: Exception, said: str, inputs: Mapping[str, NDArray[Any]]) -> AdainError:
    """Return what to raise for a library's error, ``said`` in one line; none has a type for too little memory."""
    if "alloc" not in str(error).lower():
        return AdainError(f"the graph {graph} failed in {library} ({said})")
    height, width = inputs["image"].shape[1:3]
    return AdainError(f"{width}x{height} pixels need more memory than there is: use a smaller size")


def too_large(height: int, width: int, needed: int | None, free: int, memory: str) -> AdainError:
    """Return what to raise for pictures that take more of a memory than is free, with the size that would fit."""
    if needed is None:
        return AdainError(f"{width}x{height} pixels need more {memory} than there is: use a smaller size")
    side = int(min(height, width) * min(1.0, math.sqrt(free / needed))) // MULTIPLE * MULTIPLE
    return AdainError(
        f"{width}x{height} pixels may take {needed / 1e9:.1f} GB of {memory}, and {free / 1e9:.1f} GB are free: "
        f"use a smaller size (a shorter side of {side} pixels fits)"
    )
