"""The engine builder: a package above the runtime supplies it, and the runtime finds it by its entry point.

It needs packages that the light runtime does not install, and is loaded when a backend first asks for something that
is not on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from adain_models.errors import AdainError

if TYPE_CHECKING:
    from adain_rt.backends.tensorrt.engine_file import EngineFile
    from adain_rt.backends.tensorrt.manifest import Recipe

__all__ = ["GROUP", "EngineBuilder", "Progress", "load_builder"]

GROUP = "adain_rt.engine_builders"
"""The group of the entry point. Its object is called without arguments and returns an ``EngineBuilder``."""

Progress = Callable[[float], object]
"""What a builder calls now and then with the share that is done, 0 to 1, in the thread that asked for the build.

An exception from it cancels the build.
"""


class EngineBuilder(Protocol):
    """Makes TensorRT engines, and the graphs that they are made from."""

    def build(
        self, directory: Path, graph: str, recipe: Recipe, folder: Path, progress: Progress | None = None
    ) -> EngineFile:
        """Build an engine and write its manifest, unless they are there already.

        Args:
            directory: the model directory, with its weights and graphs in fp32.
            graph: one of the contract's.
            recipe: how to build it.
            folder: where to write the two files.
            progress: what to call with the share that is done.

        Raises:
            AdainError: a graph is missing or damaged, the library refuses it, or a file cannot be written.

        """

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


def load_builder(purpose: str) -> EngineBuilder:
    """Return the engine builder that is installed.

    Args:
        purpose: what needs it, as the subject of the error's line, such as ``fp16``.

    Raises:
        AdainError: no builder is installed, or it lacks a package.

    """
    install = "pip install 'adain-rt[engines]'"
    for entry_point in entry_points(group=GROUP):
        try:
            builder: EngineBuilder = entry_point.load()()
        except ModuleNotFoundError as error:
            raise AdainError(f"{purpose} needs {error.name}", hint=install) from None
        return builder
    raise AdainError(f"{purpose} needs an engine builder", hint=install)
