"""The builder of graphs and engines: a package above the runtime supplies it, and the runtime finds its entry point.

It needs packages that the light runtime does not install, and is loaded when a backend first asks for something that
is not on disk.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from adain_models.errors import AdainError

__all__ = ["GROUP", "GraphBuilder", "load_builder"]

GROUP = "adain_rt.engine_builders"
"""The group of the entry point. Its object is called without arguments and returns the builder."""


class GraphBuilder(Protocol):
    """Makes graphs from those of a model directory. The builder of TensorRT engines is one."""

    def engine_graph(self, directory: Path, graph: str, precision: str, upsampling: str = "nearest") -> bytes:
        """Return the ONNX graph that an engine is built from, with its weights inside.

        Args:
            directory: the model directory, with its weights and graphs in fp32.
            graph: one of the contract's.
            precision: ``fp32`` or ``fp16``.
            upsampling: ``nearest`` or ``phases``.

        Raises:
            AdainError: the graph or the weights are missing or damaged, or a weight is too large for float16.

        """


def load_builder(purpose: str) -> GraphBuilder:
    """Return the builder that is installed; see also ``adain_rt.backends.tensorrt.builder``.

    Args:
        purpose: what needs it, as the subject of the error's line, such as ``fp16``.

    Raises:
        AdainError: no builder is installed, or it lacks a package.

    """
    install = "pip install 'adain-rt[engines]'"
    for entry_point in entry_points(group=GROUP):
        try:
            builder: GraphBuilder = entry_point.load()()
        except ModuleNotFoundError as error:
            raise AdainError(f"{purpose} needs {error.name}", hint=install) from None
        return builder
    raise AdainError(f"{purpose} needs an engine builder", hint=install)
