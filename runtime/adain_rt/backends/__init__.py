"""What runs the graphs. Each backend is a module of this package behind one small protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from adain_models.errors import AdainError

__all__ = ["AUTO", "BACKENDS", "Backend", "BackendSpec", "candidates", "choose", "open_backend"]

AUTO = "auto"


class Backend(Protocol):
    """Runs the graphs of one model directory; safe to call from several threads."""

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Return the outputs of one of the contract's graphs, in the contract's order.

        Raises:
            AdainError: the graph is missing, damaged or another one, or memory does not suffice.

        """

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return what the export wrote into a graph: model, weights_sha256, contract, channels, precision.

        Raises:
            AdainError: the graph is missing, damaged or another one.

        """


@dataclass(frozen=True)
class BackendSpec:
    """A backend: the module and class that implement it, and the package that it needs.

    ``waste`` is how many bytes it takes at most, in each precision, for each that a graph's tensors need (measured).
    It is below 1 where fused kernels never make some of them.
    """

    module: str
    backend: str
    package: str
    summary: str
    install: str
    waste: Mapping[str, float]


BACKENDS = {
    "openvino": BackendSpec(
        module="adain_rt.backends.openvino",
        backend="OpenVinoBackend",
        package="openvino",
        summary="the fastest on CPUs",
        install="pip install 'adain-rt[openvino]'",
        waste={"fp32": 1.7, "bf16": 1.7, "int8": 0.9},
    ),
    "onnxruntime": BackendSpec(
        module="adain_rt.backends.onnxruntime",
        backend="OnnxRuntimeBackend",
        package="onnxruntime",
        summary="runs on any CPU",
        install="pip install onnxruntime",
        waste={"fp32": 2.1, "int8": 2.1},
    ),
}
"""Every backend by name, the one that ``auto`` prefers first."""


def candidates() -> dict[str, str | None]:
    """Return every backend with ``None``, or why it cannot run here, the preferred first."""
    return {
        name: None if find_spec(spec.package) else f"not installed: {spec.install}" for name, spec in BACKENDS.items()
    }


def choose(name: str = AUTO) -> str:
    """Return the name of this backend, or of the first that can run here for ``auto``.

    Raises:
        AdainError: there is no such backend, or it cannot run here.

    """
    if name not in (AUTO, *BACKENDS):
        raise AdainError(f"backend {name!r} is unknown: there are {', '.join((AUTO, *BACKENDS))}")
    hindrances = {each: why for each, why in candidates().items() if name in (AUTO, each)}
    for each, why in hindrances.items():
        if why is None:
            return each
    raise AdainError("; ".join(f"backend {each!r} cannot run here, {why}" for each, why in hindrances.items()))


def open_backend(name: str, directory: Path, precision: str = "fp32", threads: int | None = None) -> Backend:
    """Return a backend for the graphs of a directory; they load when they first run.

    Args:
        name: of a backend that can run here.
        directory: where the graphs are, of one model.
        precision: one of the contract's, of these graphs.
        threads: how many it may use; ``None`` leaves it to the backend.

    Raises:
        AdainError: the backend or the processor does not compute in this precision.

    """
    spec = BACKENDS[name]
    backend: Backend = getattr(import_module(spec.module), spec.backend)(directory, precision, threads)
    return backend
