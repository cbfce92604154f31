"""The engines of one model on one GPU: found on disk, refused if they are not of this model and machine, or built."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from threading import Lock

from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_rt import contract
from adain_rt.backends.base import UnusableBackend
from adain_rt.backends.tensorrt import flavors
from adain_rt.backends.tensorrt.engine_file import EngineFile, engines_dir, gpu_label
from adain_rt.backends.tensorrt.flavors import FLAVORS
from adain_rt.backends.tensorrt.manifest import Manifest, Recipe, manifest_file, read_manifest
from adain_rt.backends.tensorrt.profiles import DEFAULTS
from adain_rt.cuda import Gpu

__all__ = ["Engines"]

_LOG = logging.getLogger("adain_rt")


class Engines:
    """Finds the engine for a graph and a size; builds one, once, where none is.

    Args:
        directory: of the model's graphs in fp32, of which engines are made.
        precision: ``fp32`` or ``fp16``.
        flavor: whose engines.
        gpu: where they will run.
        folder: where they are; ``None`` is the cache, and the only place where one is built unasked.
        trust: whether to load an engine whose bytes are not those of its manifest.

    """

    def __init__(
        self, directory: Path, precision: str, flavor: str, gpu: Gpu, folder: Path | None = None, trust: bool = False
    ) -> None:
        self._directory = directory
        self._recipe = Recipe(flavor, precision, DEFAULTS)
        self._gpu = gpu
        self._folder = folder
        self._trust = trust
        self._found: dict[str, list[EngineFile]] = {}
        self._lock = Lock()

    def find(self, graph: str, sizes: Mapping[str, int]) -> tuple[EngineFile, int]:
        """Return the engine that serves a size best, and the number of its optimisation profile.

        Args:
            graph: one of the contract's.
            sizes: N, H and W, and R for regions.

        Raises:
            UnusableBackend: none of the named folder's engines is for this model and GPU.
            AdainError: no engine is for this size, or none is there and none can be built.

        """
        best = _best(self._usable(graph), sizes)
        if best is None and self._folder is None and any(profile.covers(sizes) for profile in DEFAULTS):
            best = _best(self._usable(graph, usual=True), sizes)
        if best is None:
            built_for = ", ".join(str(each) for file in self._usable(graph) for each in file.manifest.recipe.profiles)
            regions = f" in {sizes['R']} regions (up to {_most_regions()} usually)" if "R" in sizes else ""
            raise AdainError(
                f"no engine of {graph} is for {'x'.join(str(sizes[name]) for name in 'NHW')}{regions}; there are "
                f"{built_for}: use less, or build one with `adain-rt build --profile`"
            )
        return best

    def first(self, graph: str) -> EngineFile:
        """Return one of a graph's engines, whatever sizes it is for.

        Raises:
            UnusableBackend: none of the named folder's engines is for this model and GPU.
            AdainError: none is there and none can be built.

        """
        return self._usable(graph)[0]

    def _usable(self, graph: str, *, usual: bool = False) -> list[EngineFile]:
        """Return the engines that can be used, at least one; with ``usual``, one for the usual sizes among them."""
        with self._lock:
            found = self._found.setdefault(graph, [])
            if not found:
                found += self._look(graph)
            if not found or (usual and not any(file.manifest.recipe.profiles == DEFAULTS for file in found)):
                found.append(self._build(graph))
            return list(found)

    def _look(self, graph: str) -> list[EngineFile]:
        """Return the folder's engines that can be used."""
        usable, refused = self._scan(self._folder or engines_dir(), graph)
        if self._folder is not None and not usable:
            asked = f"{graph} in {self._recipe.precision} for {self._recipe.flavor}"
            raise UnusableBackend("; ".join([f"{self._folder}: no engine of this model's {asked} is there", *refused]))
        for reason in [] if usable else refused:
            _LOG.warning("%s; it is built anew", reason)
        return usable

    def _scan(self, folder: Path, graph: str) -> tuple[list[EngineFile], list[str]]:
        """Return the engines that can be used, and why others of this graph cannot."""
        usable, refused = [], []
        for path in sorted(folder.glob("*.engine")):
            try:
                manifest = read_manifest(manifest_file(path))
            except AdainError as error:
                if self._folder is not None:  # in the cache it may be any model's, and is none's
                    refused.append(str(error))
                continue
            if not self._concerns(manifest, graph):
                continue
            file = EngineFile(path, manifest, self._trust)
            why = self._hindrance(file)
            if why is None:
                usable.append(file)
            else:
                refused.append(f"{path.name} {why}")
        return usable, refused

    def _concerns(self, manifest: Manifest, graph: str) -> bool:
        """Whether an engine is of this graph of this model, and of the library and precision that are asked for."""
        origin, recipe = manifest.origin, manifest.recipe
        return (
            (origin.graph, recipe.flavor, recipe.precision) == (graph, self._recipe.flavor, self._recipe.precision)
            and origin.onnx_sha256 == sha256_of(self._directory / contract.graph_file(graph))
        )  # fmt: skip

    def _hindrance(self, file: EngineFile) -> str | None:
        """Say why an engine cannot be used here."""
        manifest, version = file.manifest, flavors.library(self._recipe.flavor).__version__
        newer = manifest.recipe.version_compatible and _numbers(manifest.version) <= _numbers(version)
        if manifest.version != version and not newer:
            return f"is built by {manifest.recipe.flavor} {manifest.version}, and {version} is installed"
        if self._folder is None and not file.is_whole():  # a named folder's is refused when it is read
            return "is damaged"
        return _other_gpu(manifest, self._gpu)

    def _build(self, graph: str) -> EngineFile:
        try:
            builder = import_module("adain_export.tensorrt.build")
        except ModuleNotFoundError as error:
            install = FLAVORS[self._recipe.flavor].install
            raise AdainError(f"to build the engine of {graph}, {error.name} is needed: {install}") from None
        _LOG.warning("building the engine of %s for %s: once, it may take minutes", graph, self._gpu.name)
        built: EngineFile = builder.build_engine(self._directory, graph, self._recipe, engines_dir())
        return built


def _best(files: Sequence[EngineFile], sizes: Mapping[str, int]) -> tuple[EngineFile, int] | None:
    """Return the engine and the number of its profile that serve a size best, of those that do."""
    fits = [
        (profile.distance(sizes), place, file)
        for file in files
        for place, profile in enumerate(file.manifest.recipe.profiles)
        if profile.covers(sizes)
    ]
    if not fits:
        return None
    _, place, file = min(fits, key=lambda fit: fit[0])
    return file, place


def _most_regions() -> int:
    return max(profile.R[2] for profile in DEFAULTS)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _other_gpu(manifest: Manifest, gpu: Gpu) -> str | None:
    """Say why an engine is not for a GPU."""
    recipe = manifest.recipe
    if recipe.compute_capabilities and gpu.compute_capability not in recipe.compute_capabilities:
        return f"is for compute capabilities {', '.join(recipe.compute_capabilities)}, not {gpu.compute_capability}"
    if not manifest.gpu or manifest.gpu == gpu_label(gpu):
        return None
    theirs, ours = manifest.gpu.rpartition("(")[2].rstrip(")"), gpu.compute_capability
    if recipe.hardware_compatibility == "same_compute_capability" and theirs == ours:
        return None
    if recipe.hardware_compatibility == "ampere_plus" and float(ours) >= 8:  # noqa: PLR2004 - Ampere's
        return None
    return f"is built on {manifest.gpu}, and this is {gpu_label(gpu)}"
