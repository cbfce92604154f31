"""What the builder does for TensorRT beside the graphs of ``adain_rt.backends.builder``: it builds engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from adain_rt.backends.builder import GraphBuilder
from adain_rt.backends.tensorrt.engine_file import EngineFile
from adain_rt.backends.tensorrt.manifest import Recipe

__all__ = ["EngineBuilder", "Progress"]

Progress = Callable[[float], object]
"""What a builder calls now and then with the share that is done, 0 to 1, in the thread that asked for the build.

An exception from it cancels the build.
"""


class EngineBuilder(GraphBuilder, Protocol):
    """Builds TensorRT engines."""

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
