"""Put the weights into an engine that was built without them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adain_models.errors import AdainError
from adain_rt.backends.tensorrt import flavors
from adain_rt.backends.tensorrt.engine_file import EngineFile
from adain_rt.backends.tensorrt.flavors import FLAVORS

if TYPE_CHECKING:
    import tensorrt

__all__ = ["refit"]


def refit(engine: tensorrt.ICudaEngine, file: EngineFile, directory: Path) -> None:
    """Give a loaded engine the weights of the graph that it was built from.

    Args:
        engine: changed in place; nothing may be under way in it.
        file: where it came from.
        directory: of the model's graphs in fp32.

    Raises:
        AdainError: the graph is missing, damaged or another one, or onnx-ir is not installed.

    """
    origin, recipe = file.manifest.origin, file.manifest.recipe
    try:
        graphs = import_module("adain_export.graphs.engine_graph")
    except ModuleNotFoundError as error:
        install = FLAVORS[recipe.flavor].install
        raise AdainError(f"{file.path}: to put its weights in, {error.name} is needed: {install}") from None
    graph = graphs.engine_graph(directory, origin.graph, recipe.precision, recipe.upsampling)
    trt: Any = flavors.library(recipe.flavor)
    logger = flavors.logger(recipe.flavor)
    refitter: tensorrt.Refitter = trt.Refitter(engine, logger)
    if not trt.OnnxParserRefitter(refitter, logger).refit_from_bytes(graph) or not refitter.refit_cuda_engine():
        raise AdainError(f"{file.path}: the model's weights do not fit it; build it again")
