"""The engine builder that the runtime finds by its entry point."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from adain_export.graphs.engine_graph import engine_graph
from adain_export.tensorrt.build import build_engine

if TYPE_CHECKING:
    from adain_rt.backends.builder import Progress
    from adain_rt.backends.tensorrt.engine_file import EngineFile
    from adain_rt.backends.tensorrt.manifest import Recipe

__all__ = ["Builder"]


class Builder:
    """Builds engines with TensorRT, as ``adain_rt.backends.builder.EngineBuilder`` says."""

    def build(
        self, directory: Path, graph: str, recipe: Recipe, folder: Path, progress: Progress | None = None
    ) -> EngineFile:
        """Build an engine and write its manifest, unless they are there already."""
        del progress
        return build_engine(directory, graph, recipe, folder)

    def engine_graph(self, directory: Path, graph: str, precision: str, upsampling: str = "nearest") -> bytes:
        """Return the ONNX graph that an engine is built from, with its weights inside."""
        return engine_graph(directory, graph, precision, upsampling)
