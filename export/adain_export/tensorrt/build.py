"""Drive a TensorRT library: a graph in, an engine and its layers out."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import TYPE_CHECKING, Any

import onnx_ir as ir

from adain_export.graphs.engine_graph import convert
from adain_export.graphs.source import SourceGraph
from adain_export.tensorrt.layers import layers_from_inspector, layers_from_log
from adain_export.tensorrt.log import BuildLog
from adain_export.tensorrt.progress import make_monitor, run_cancellable
from adain_export.tensorrt.timing_cache import timing_cache
from adain_models.errors import AdainError
from adain_rt import contract
from adain_rt.backends.tensorrt.builder import Progress
from adain_rt.backends.tensorrt.flavors import Flavor
from adain_rt.backends.tensorrt.manifest import Recipe

if TYPE_CHECKING:
    import tensorrt

__all__ = ["build_engine"]

_BUILDING = Lock()
"""Held while a library builds: its logger is one for the process."""


def build_engine(
    flavor: Flavor, source: SourceGraph, recipe: Recipe, gpu: str, progress: Progress | None
) -> tuple[bytes, tuple[Mapping[str, Any], ...]]:
    """Return an engine's bytes and its layers.

    Args:
        flavor: the library.
        source: the graph in fp32, which is changed.
        recipe: how to build it.
        gpu: the label of the GPU that a library times its kernels on; empty for a portable engine.
        progress: what to call with the share that is done.

    Raises:
        AdainError: the library refuses the graph or the recipe, or the weights are damaged.

    """
    trt = flavor.library()
    onnx_bytes = ir.to_proto(convert(source, recipe.precision, recipe.upsampling)).SerializeToString(deterministic=True)
    log, monitor = BuildLog(), make_monitor(trt)

    def work() -> Any:
        builder = trt.Builder(flavor.logger())
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        _parse(trt, network, onnx_bytes, source, flavor)
        config = _configure(trt, builder, source, recipe, flavor)
        config.progress_monitor = monitor
        with timing_cache(trt, config, gpu):
            return builder.build_serialized_network(network, config)

    with _BUILDING, log.listen():
        engine = run_cancellable(work, monitor, progress)
    if engine is None or log.error is not None:  # it goes on after some errors, and what it builds then is not whole
        raise AdainError(f"{flavor.name} built no engine of {source.graph}: {log.error or 'it gave no reason'}")
    serialized = bytes(engine)
    return serialized, layers_from_log(log.layers) if flavor.portable else _inspect(trt, flavor, serialized)


def _parse(
    trt: Any, network: tensorrt.INetworkDefinition, onnx_bytes: bytes, source: SourceGraph, flavor: Flavor
) -> None:
    parser: tensorrt.OnnxParser = trt.OnnxParser(network, flavor.logger())
    if parser.parse(onnx_bytes):
        return
    library = f"{flavor.name} {trt.__version__}"
    if not parser.num_errors:
        raise AdainError(f"{source.path}: {library} cannot read the graph; export it again")
    error = parser.get_error(0)
    raise AdainError(
        f"{source.path}: {library} cannot take the node {error.node_name()} ({error.node_operator()}): {error.desc()}",
        hint=f"export the graph again, or install another version of {flavor.name}",
    )


def _configure(
    trt: Any, builder: tensorrt.Builder, source: SourceGraph, recipe: Recipe, flavor: Flavor
) -> tensorrt.IBuilderConfig:
    """Return the builder's configuration for a recipe."""
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for the layers' names; it costs no time
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means it: TF32 has three digits
    for flag in _flags(trt, recipe):
        config.set_flag(flag)
    # A context then says what scratch memory it needs for a picture, and not only for the largest of its profile.
    config.set_preview_feature(trt.PreviewFeature.RUNTIME_ACTIVATION_RESIZE_10_10, True)
    if recipe.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, recipe.workspace << 20)
    if flavor.portable:
        _set_compute_capabilities(config, recipe, flavor)
    else:
        config.builder_optimization_level = recipe.optimization_level
        config.hardware_compatibility_level = getattr(
            trt.HardwareCompatibilityLevel, recipe.hardware_compatibility.upper()
        )
    for profile in recipe.profiles:
        optimization = builder.create_optimization_profile()
        for tensor in contract.GRAPHS[source.graph].inputs:
            shapes = profile.shapes(tensor, source.facts.channels)
            optimization.set_shape(tensor.name, *shapes)  # type: ignore[arg-type]  # it takes tuples for Dims
        if config.add_optimization_profile(optimization) < 0:
            raise AdainError(f"{flavor.name} takes no profile of {profile}")
    return config


def _flags(trt: Any, recipe: Recipe) -> list[tensorrt.BuilderFlag]:
    flag = trt.BuilderFlag
    by_weights = {"included": [], "refittable": [flag.REFIT], "stripped": [flag.STRIP_PLAN, flag.REFIT_IDENTICAL]}
    return by_weights[recipe.weights] + ([flag.VERSION_COMPATIBLE] if recipe.version_compatible else [])


def _set_compute_capabilities(config: Any, recipe: Recipe, flavor: Flavor) -> None:
    known = flavor.compute_capabilities()
    config.num_compute_capabilities = len(recipe.compute_capabilities)
    for place, capability in enumerate(recipe.compute_capabilities):
        if capability not in known:
            raise AdainError(
                f"{flavor.name} does not build for compute capability {capability!r}: there are {', '.join(known)}"
            )
        if not config.set_compute_capability(known[capability], place):
            raise AdainError(f"{flavor.name} does not build for compute capability {capability} beside the others")


def _inspect(trt: Any, flavor: Flavor, engine: bytes) -> tuple[Mapping[str, Any], ...]:
    """Return an engine's layers from the library itself.

    Return no layers if the library cannot list them, which is no reason to refuse the engine.
    """
    runtime: tensorrt.Runtime = trt.Runtime(flavor.logger())
    runtime.engine_host_code_allowed = True  # it was built here a moment ago
    deserialized = runtime.deserialize_cuda_engine(engine)
    if deserialized is None:
        return ()
    inspector = deserialized.create_engine_inspector()
    return layers_from_inspector(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
