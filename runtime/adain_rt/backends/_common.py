"""What the backends do alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.contract import GRAPHS

__all__ = ["check_ends", "check_there", "failure"]


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
