"""ONNX to TensorRT: an engine of one graph, with its manifest beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import onnx
from filelock import FileLock, Timeout
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from adain_export.graphs.engine_graph import engine_graph
from adain_export.tensorrt.layers import layers_from_inspector, layers_from_log
from adain_export.tensorrt.log import BuildLog
from adain_export.tensorrt.progress import build_progress
from adain_export.tensorrt.timing_cache import timing_cache
from adain_models.errors import AdainError
from adain_models.files import explain, replacing, sha256_of
from adain_models.weights.store import WEIGHTS_NAME, cache_dir
from adain_rt import contract
from adain_rt.backends.tensorrt import flavors
from adain_rt.backends.tensorrt.engine_file import EngineFile, gpu_label
from adain_rt.backends.tensorrt.flavors import FLAVORS
from adain_rt.backends.tensorrt.manifest import Manifest, Origin, Recipe, engine_stem, manifest_file, read_manifest
from adain_rt.cuda import hindrance, open_cuda

if TYPE_CHECKING:
    import tensorrt

__all__ = ["build_engine", "check_recipe"]

_LOG = logging.getLogger("adain_rt")

_BUILDING = Lock()
"""Held while a library builds: its logger is one for the process."""


def build_engine(directory: Path, graph: str, recipe: Recipe, folder: Path) -> EngineFile:
    """Build an engine and write its manifest, unless they are there already.

    Args:
        directory: of the model's weights and graphs in fp32.
        graph: one of the contract's.
        recipe: how.
        folder: where to write them.

    Raises:
        AdainError: a graph is missing or damaged, the library refuses it, or a file cannot be written.

    """
    check_recipe(recipe)
    trt = flavors.library(recipe.flavor)
    origin = _origin(directory, graph)
    gpu = "" if FLAVORS[recipe.flavor].portable else gpu_label(open_cuda().gpu)
    path = folder / f"{engine_stem(origin, recipe, trt.__version__, gpu)}.engine"
    with _locked(path):
        there = _there(path, origin, recipe)
        if there is not None:
            return there
        with replacing(path) as aside:  # first of all, to see whether it can be written
            engine, layers = _built(directory, origin, recipe, gpu, path.stem)
            aside.write_bytes(engine)
            manifest_file(path).unlink(missing_ok=True)  # there is never one beside another's engine
        manifest = Manifest(
            origin=origin,
            recipe=recipe,
            version=trt.__version__,
            gpu=gpu,
            adain_rt=version("adain-rt"),
            built=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            engine_sha256=sha256(engine).hexdigest(),
            engine_bytes=len(engine),
            layers=layers,
        )
        with replacing(manifest_file(path)) as aside:
            aside.write_text(manifest.to_json(), "utf-8")
    return EngineFile(path, manifest, trust=False)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Let one process at a time build an engine, and say who waits."""
    lock = FileLock(cache_dir() / "locks" / f"{sha256(str(path.resolve()).encode()).hexdigest()[:16]}.lock")
    try:
        Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=1)
        except Timeout:
            _LOG.warning("another process is building %s; waiting for it", path.name)
            lock.acquire()
    except OSError as error:
        raise AdainError(f"{lock.lock_file}: cannot be locked ({explain(error)})") from None
    try:
        yield
    finally:
        lock.release()


def check_recipe(recipe: Recipe) -> None:
    """Refuse what a library does not offer, or not without a GPU.

    Raises:
        AdainError: it does not.

    """
    flavor = FLAVORS[recipe.flavor]
    if flavor.portable and (recipe.hardware_compatibility != "none" or recipe.version_compatible):
        raise AdainError(
            f"{recipe.flavor} takes neither --hardware-compatibility nor --version-compatible: its engines run on all "
            "GPUs of their compute capabilities, and in one version"
        )
    if flavor.portable and recipe.optimization_level != Recipe.optimization_level:
        raise AdainError(f"{recipe.flavor} has no --optimization-level: its engines are finished on the GPU")
    if recipe.compute_capabilities and not flavor.portable:
        raise AdainError(f"{recipe.flavor} builds for the GPU here; --compute-capability is for --flavor tensorrt-rtx")
    without_gpu = flavor.builds_without_gpu and recipe.weights == "included"
    if not without_gpu and (why := hindrance()) is not None:
        way = "--weights included needs none" if flavor.builds_without_gpu else "--flavor tensorrt-rtx needs none"
        raise AdainError(f"{recipe.flavor} needs a GPU to build this engine, and none can be used here ({why}); {way}")


def _origin(directory: Path, graph: str) -> Origin:
    """Return what an engine of a model directory's graph is made of.

    Raises:
        AdainError: the graph is missing or damaged, or is not of the weights there.

    """
    path, weights = directory / contract.graph_file(graph), directory / WEIGHTS_NAME
    try:
        model = onnx.load(path, load_external_data=False)
        metadata = {prop.key: prop.value for prop in model.metadata_props}
        if metadata.get("weights_sha256") != sha256_of(weights):
            raise AdainError(f"{path}: the graph is not of the weights there; write it again with `adain-rt export`")
        int(metadata["channels"]), int(metadata["bytes_per_pixel"])
        if metadata["contract"] != str(contract.VERSION) or not metadata["model"]:
            raise AdainError(f"{path}: the graph is of another version of adain-rt; export it again")
        return Origin(graph, sha256_of(path), metadata)
    except (KeyError, ValueError):
        raise AdainError(f"{path}: the graph lacks what the export writes into it; export it again") from None
    except FileNotFoundError as error:
        raise AdainError(f"{error.filename}: there is no such file; write it with `adain-rt export`") from None
    except (OSError, DecodeError) as error:
        raise AdainError(f"{path}: the graph cannot be loaded ({explain(error)}); export it again") from None


def _there(path: Path, origin: Origin, recipe: Recipe) -> EngineFile | None:
    """Return an engine that is there already, whole and what its name says."""
    try:
        file = EngineFile(path, read_manifest(manifest_file(path)), trust=False)
        file.read()
    except AdainError:
        return None
    return file if (file.manifest.origin, file.manifest.recipe) == (origin, recipe) else None


def _built(
    directory: Path, origin: Origin, recipe: Recipe, gpu: str, label: str
) -> tuple[bytes, tuple[Mapping[str, Any], ...]]:
    """Return an engine's bytes and its layers."""
    trt = flavors.library(recipe.flavor)
    onnx_bytes = engine_graph(directory, origin.graph, recipe.precision, recipe.upsampling)
    log = BuildLog()
    with _BUILDING, log.listening(), build_progress(trt, label) as monitor:
        builder = trt.Builder(flavors.logger(recipe.flavor))
        network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
        _parse(trt, network, onnx_bytes, directory / contract.graph_file(origin.graph), recipe.flavor)
        config = _configured(trt, builder, origin, recipe)
        config.progress_monitor = monitor
        with timing_cache(trt, config, gpu):
            engine = builder.build_serialized_network(network, config)
    if engine is None or log.error is not None:  # it goes on after some errors, and what it builds then is not whole
        raise AdainError(f"{recipe.flavor} built no engine of {origin.graph}: {log.error or 'it gave no reason'}")
    serialized = bytes(engine)
    portable = FLAVORS[recipe.flavor].portable
    return serialized, layers_from_log(log.layers) if portable else _inspected(trt, recipe.flavor, serialized)


def _parse(trt: Any, network: tensorrt.INetworkDefinition, onnx_bytes: bytes, path: Path, flavor: str) -> None:
    parser: tensorrt.OnnxParser = trt.OnnxParser(network, flavors.logger(flavor))
    if parser.parse(onnx_bytes):
        return
    if not parser.num_errors:
        raise AdainError(f"{path}: {flavor} {trt.__version__} cannot read the graph; export it again")
    error = parser.get_error(0)
    raise AdainError(
        f"{path}: {flavor} {trt.__version__} cannot take the node {error.node_name()} ({error.node_operator()}): "
        f"{error.desc()}; export the graph again, or install another version of {flavor}"
    )


def _configured(trt: Any, builder: tensorrt.Builder, origin: Origin, recipe: Recipe) -> tensorrt.IBuilderConfig:
    """Return the builder's configuration for a recipe."""
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for the layers' names; it costs no time
    config.clear_flag(trt.BuilderFlag.TF32)  # fp32 means it: TF32 has three digits
    for flag in _flags(trt, recipe):
        config.set_flag(flag)
    # Lets a context say what scratch memory it needs for a picture, not only for the largest of its profile.
    config.set_preview_feature(trt.PreviewFeature.RUNTIME_ACTIVATION_RESIZE_10_10, True)
    if recipe.workspace is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, recipe.workspace << 20)
    if FLAVORS[recipe.flavor].portable:
        _set_compute_capabilities(recipe, config)
    else:
        config.builder_optimization_level = recipe.optimization_level
        config.hardware_compatibility_level = getattr(
            trt.HardwareCompatibilityLevel, recipe.hardware_compatibility.upper()
        )
    for profile in recipe.profiles:
        optimization = builder.create_optimization_profile()
        for tensor in contract.GRAPHS[origin.graph].inputs:
            shapes = profile.shapes(tensor, int(origin.metadata["channels"]))
            optimization.set_shape(tensor.name, *shapes)  # type: ignore[arg-type]  # it takes tuples for Dims
        if config.add_optimization_profile(optimization) < 0:
            raise AdainError(f"{recipe.flavor} takes no profile of {profile}")
    return config


def _flags(trt: Any, recipe: Recipe) -> list[tensorrt.BuilderFlag]:
    flag = trt.BuilderFlag
    by_weights = {"included": [], "refittable": [flag.REFIT], "stripped": [flag.STRIP_PLAN, flag.REFIT_IDENTICAL]}
    return by_weights[recipe.weights] + ([flag.VERSION_COMPATIBLE] if recipe.version_compatible else [])


def _set_compute_capabilities(recipe: Recipe, config: Any) -> None:
    known = flavors.compute_capabilities(recipe.flavor)
    config.num_compute_capabilities = len(recipe.compute_capabilities)
    for place, capability in enumerate(recipe.compute_capabilities):
        if capability not in known:
            raise AdainError(
                f"compute capability {capability!r} is none that TensorRT-RTX builds for: there are {', '.join(known)}"
            )
        if not config.set_compute_capability(known[capability], place):
            raise AdainError(f"TensorRT-RTX does not build for compute capability {capability} beside the others")


def _inspected(trt: Any, flavor: str, engine: bytes) -> tuple[Mapping[str, Any], ...]:
    """Return an engine's layers, from the library itself; none if it does not tell, which is no reason to lose it."""
    runtime: tensorrt.Runtime = trt.Runtime(flavors.logger(flavor))
    runtime.engine_host_code_allowed = True  # it was built here a moment ago
    deserialized = runtime.deserialize_cuda_engine(engine)
    if deserialized is None:
        return ()
    inspector = deserialized.create_engine_inspector()
    return layers_from_inspector(inspector.get_engine_information(trt.LayerInformationFormat.JSON))
