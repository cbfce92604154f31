"""Put the weights into an engine that was built without them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from adain_models.errors import AdainError
from adain_rt.backends.builder import GraphBuilder, load_builder
from adain_rt.backends.tensorrt.engine_file import EngineFile
from adain_rt.backends.tensorrt.flavors import FLAVORS

if TYPE_CHECKING:
    import tensorrt

__all__ = ["refit"]


def refit(engine: tensorrt.ICudaEngine, file: EngineFile, directory: Path, builder: GraphBuilder | None = None) -> None:
    """Give a loaded engine the weights of the graph that it was built from.

    Args:
        engine: changed in place; no work of it may be under way.
        file: where it came from.
        directory: the folder of the model's weights and graphs in fp32.
        builder: what makes that graph; by default, the one that is installed.

    Raises:
        AdainError: the graph is missing, damaged or another one, or a package that makes it is not installed.

    """
    origin, recipe = file.manifest.origin, file.manifest.recipe
    flavor = FLAVORS[recipe.flavor]
    if builder is None:
        builder = load_builder(f"{file.path}: an engine without weights")
    graph = builder.engine_graph(directory, origin.graph, recipe.precision, recipe.upsampling)
    trt: Any = flavor.library()
    refitter: tensorrt.Refitter = trt.Refitter(engine, flavor.logger())
    parser = trt.OnnxParserRefitter(refitter, flavor.logger())
    if not parser.refit_from_bytes(graph) or not refitter.refit_cuda_engine():
        raise AdainError(f"{file.path}: the model's weights do not fit it; build it again")
