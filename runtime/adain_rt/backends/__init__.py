"""What runs the graphs. Each backend is a module of this package behind one small protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from adain_models.errors import AdainError

__all__ = ["AUTO", "NAMES", "Backend", "Choice", "candidates", "choose", "open_backend"]

AUTO = "auto"

NAMES = ("onnxruntime",)
"""Every backend, the one that ``auto`` prefers first."""


class Backend(Protocol):
    """Runs the graphs of one model directory; safe to call from several threads."""

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Return the outputs of one of the contract's graphs, in the contract's order.

        Raises:
            AdainError: the graph is missing or damaged, or memory does not suffice.

        """

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return what the export wrote into a graph: model, weights_sha256, contract, channels, precision.

        Raises:
            AdainError: the graph is missing or damaged.

        """


@dataclass(frozen=True)
class Choice:
    """A backend, whether this machine can run it, and why or why not."""

    name: str
    usable: bool
    reason: str


def candidates() -> list[Choice]:
    """Return every backend with whether it can run here, the preferred first."""
    if find_spec("onnxruntime") is None:
        return [Choice("onnxruntime", usable=False, reason="not installed: pip install onnxruntime")]
    return [Choice("onnxruntime", usable=True, reason="installed; runs on any CPU")]


def choose(name: str = AUTO) -> Choice:
    """Return the backend of this name, or the first usable one for ``auto``.

    Raises:
        AdainError: there is no such backend, or it cannot run here.

    """
    choices = candidates()
    wanted = [choice for choice in choices if name in (AUTO, choice.name)]
    if not wanted:
        raise AdainError(f"backend {name!r} is unknown: there are {', '.join((AUTO, *NAMES))}")
    for choice in wanted:
        if choice.usable:
            return choice
    raise AdainError(f"backend {name!r} cannot run here: {wanted[0].reason}")


def open_backend(name: str, directory: Path) -> Backend:
    """Return a usable backend for the graphs of a model directory; they load when they first run."""
    from adain_rt.backends.onnxruntime import OnnxRuntimeBackend

    backends: dict[str, type[Backend]] = {"onnxruntime": OnnxRuntimeBackend}
    return backends[name](directory)  # type: ignore[call-arg]
