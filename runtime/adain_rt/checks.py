"""What callers give: checked before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.contract import GRAPHS, MIN_SIDE, MULTIPLE, GraphSpec

__all__ = ["check_inputs", "check_strength", "find_graph"]


def find_graph(name: str) -> GraphSpec:
    """Return the contract's graph of a name.

    Raises:
        AdainError: there is no such graph.

    """
    if name not in GRAPHS:
        raise AdainError(f"there is no graph {name}", hint=f"use one of {', '.join(GRAPHS)}")
    return GRAPHS[name]


def check_inputs(graph: GraphSpec, inputs: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Return the size of each letter of a graph's inputs.

    Args:
        graph: the graph.
        inputs: arrays by name.

    Raises:
        AdainError: an input is missing, is empty, or is not of the contract's type and shape.

    """
    try:
        sizes = graph.sizes_of({name: array.shape for name, array in inputs.items()})
    except ValueError as error:
        raise AdainError(f"the input {error}") from None
    for tensor in graph.inputs:
        if inputs[tensor.name].dtype != tensor.dtype:
            raise AdainError(f"the input {tensor.name} must be {tensor.dtype}, not {inputs[tensor.name].dtype}")
    if 0 in sizes.values():
        raise AdainError("an input is empty")
    if any(sizes[side] % MULTIPLE or sizes[side] < MIN_SIDE for side in "HW"):
        raise AdainError(
            f"the sides of pictures for a graph are multiples of {MULTIPLE}, and {MIN_SIDE} at least, "
            f"not {sizes['W']}x{sizes['H']}"
        )
    return sizes


def check_strength(strength: float) -> None:
    """Refuse a strength that is not from 0 to 1.

    Raises:
        AdainError: the strength is not a number from 0 to 1.

    """
    try:
        fits = bool(0 <= strength <= 1)
    except (TypeError, ValueError):  # a text, or an array of many
        raise AdainError(f"the strength (alpha) is a number from 0 to 1, not {type(strength).__name__}") from None
    if not fits:
        raise AdainError(f"the strength (alpha) must be from 0 to 1, not {strength:g}")
