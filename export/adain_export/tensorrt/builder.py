"""The engine builder that the runtime finds by its entry point: an engine of one graph, with its manifest beside it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path

from filelock import FileLock, Timeout

from adain_export.graphs.engine_graph import engine_graph
from adain_export.graphs.source import read_source
from adain_export.tensorrt.build import build_engine
from adain_export.tensorrt.recipes import check_recipe
from adain_models.errors import AdainError
from adain_models.files import explain, replacing, sha256_of
from adain_models.weights.store import cache_dir
from adain_rt.backends.tensorrt.builder import Progress
from adain_rt.backends.tensorrt.engine_file import EngineFile, gpu_label
from adain_rt.backends.tensorrt.flavors import FLAVORS
from adain_rt.backends.tensorrt.manifest import Manifest, Origin, Recipe, engine_stem, manifest_file, read_manifest
from adain_rt.cuda import open_cuda

__all__ = ["Builder"]

_LOG = logging.getLogger("adain_rt")


class Builder:
    """Builds engines with TensorRT; see ``adain_rt.backends.tensorrt.builder.EngineBuilder``."""

    def build(
        self, directory: Path, graph: str, recipe: Recipe, folder: Path, progress: Progress | None = None
    ) -> EngineFile:
        """Build an engine and write its manifest, unless they are there already; see ``EngineBuilder.build``."""
        check_recipe(recipe)
        flavor = FLAVORS[recipe.flavor]
        library_version = flavor.library().__version__
        source = read_source(directory, graph)
        origin = Origin(graph, sha256_of(source.path), source.facts)
        gpu = "" if flavor.portable else gpu_label(open_cuda().gpu)
        path = folder / f"{engine_stem(origin, recipe, library_version, gpu)}.engine"
        with _lock(path):
            found = _find_engine(path, origin, recipe)
            if found is not None:
                return found
            with replacing(path) as aside:  # before the build, to find out whether the file can be written
                engine, layers = build_engine(flavor, source, recipe, gpu, progress)
                aside.write_bytes(engine)
                manifest_file(path).unlink(missing_ok=True)  # an engine never stands beside another's manifest
            manifest = Manifest(
                origin=origin,
                recipe=recipe,
                version=library_version,
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

    def engine_graph(self, directory: Path, graph: str, precision: str, upsampling: str = "nearest") -> bytes:
        """Return the ONNX graph that an engine is built from; see ``EngineBuilder.engine_graph``."""
        return engine_graph(directory, graph, precision, upsampling)


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Let one process at a time build an engine, and log that this one waits."""
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


def _find_engine(path: Path, origin: Origin, recipe: Recipe) -> EngineFile | None:
    """Return the engine at a path if it is whole and what its name says."""
    try:
        file = EngineFile(path, read_manifest(manifest_file(path)), trust=False)
    except AdainError:
        return None
    manifest = file.manifest
    return file if (manifest.origin, manifest.recipe) == (origin, recipe) and file.is_whole() else None
