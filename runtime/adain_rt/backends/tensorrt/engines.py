"""The engines of one model on one GPU: found on disk, refused if they are for another model or machine, or built."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import cast

from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_rt import contract
from adain_rt.backends.builder import load_builder
from adain_rt.backends.tensorrt.builder import EngineBuilder
from adain_rt.backends.tensorrt.engine_file import EngineFile, engines_dir, gpu_label
from adain_rt.backends.tensorrt.flavors import Flavor
from adain_rt.backends.tensorrt.manifest import Manifest, Recipe, manifest_file, read_manifest
from adain_rt.backends.tensorrt.profiles import DEFAULTS
from adain_rt.cuda import Gpu
from adain_rt.errors import UnusableBackend

__all__ = ["Engines"]

_LOG = logging.getLogger("adain_rt")


class Engines:
    """Finds the engine for a graph and a size; builds one, once, if there is none.

    Args:
        directory: the folder of the model's graphs in fp32, of which engines are made.
        precision: ``fp32`` or ``fp16``.
        flavor: the library of the engines.
        gpu: where they will run.
        folder: where they are; ``None`` is the cache, the only place where a missing engine is built.
        trust: whether to load an engine even if its manifest does not describe its bytes.
        builder: what builds engines; by default, the one that is installed.

    """

    def __init__(
        self,
        directory: Path,
        precision: str,
        flavor: Flavor,
        gpu: Gpu,
        folder: Path | None = None,
        trust: bool = False,
        builder: EngineBuilder | None = None,
    ) -> None:
        self._directory = directory
        self._flavor = flavor
        self._recipe = Recipe(flavor.name, precision, DEFAULTS)
        self._gpu = gpu
        self._folder = folder
        self._trust = trust
        self._builder = builder
        self._found: dict[str, list[EngineFile]] = {}
        self._lock = Lock()

    def find(self, graph: str, sizes: Mapping[str, int]) -> tuple[EngineFile, int]:
        """Return the engine that serves a size best, and the number of its optimisation profile.

        Args:
            graph: one of the contract's.
            sizes: N, H and W, and R for regions.

        Raises:
            UnusableBackend: the named folder has no engine for this model and GPU.
            AdainError: there is no engine for this size, or an engine is missing and cannot be built.

        """
        best = _choose(self._list_usable(graph), sizes)
        if best is None and self._folder is None and any(profile.covers(sizes) for profile in DEFAULTS):
            best = _choose(self._list_usable(graph, with_default=True), sizes)
        if best is None:
            usable = self._list_usable(graph)
            built_for = ", ".join(str(each) for file in usable for each in file.manifest.recipe.profiles)
            regions = f" in {sizes['R']} regions (up to {_most_regions()} usually)" if "R" in sizes else ""
            raise AdainError(
                f"no engine of {graph} is for {'x'.join(str(sizes[name]) for name in 'NHW')}{regions}; there are "
                f"{built_for}",
                hint="use a smaller size, or build an engine for this one with `adain-rt build`",
            )
        return best

    def first(self, graph: str) -> EngineFile:
        """Return one of a graph's engines, whatever sizes it is for.

        Raises:
            UnusableBackend: the named folder has no engine for this model and GPU.
            AdainError: an engine is missing and cannot be built.

        """
        return self._list_usable(graph)[0]

    def _list_usable(self, graph: str, *, with_default: bool = False) -> list[EngineFile]:
        """Return the engines that can be used, at least one; ``with_default``, one for the default profiles too."""
        with self._lock:
            found = self._found.setdefault(graph, [])
            if not found:
                found += self._look(graph)
            if not found or (with_default and not any(file.manifest.recipe.profiles == DEFAULTS for file in found)):
                found.append(self._build(graph))
            return list(found)

    def _look(self, graph: str) -> list[EngineFile]:
        """Return the folder's engines that can be used."""
        usable, refused = self._scan(self._folder or engines_dir(), graph)
        if self._folder is not None and not usable:
            asked = f"{graph} in {self._recipe.precision} for {self._recipe.flavor}"
            raise UnusableBackend("; ".join([f"{self._folder}: no engine of this model's {asked} is there", *refused]))
        if not usable:
            for reason in refused:
                _LOG.warning("%s; it is built anew", reason)
        return usable

    def _scan(self, folder: Path, graph: str) -> tuple[list[EngineFile], list[str]]:
        """Return the engines that can be used, and why others of this graph cannot."""
        usable, refused = [], []
        for path in sorted(folder.glob("*.engine")):
            try:
                manifest = read_manifest(manifest_file(path))
            except AdainError as error:
                if self._folder is not None:  # in the cache it may be any model's, and is passed over
                    refused.append(str(error))
                continue
            if not self._concerns(manifest, graph):
                continue
            file = EngineFile(path, manifest, self._trust)
            why = self._explain_refusal(file)
            if why is None:
                usable.append(file)
            else:
                refused.append(f"{path.name} {why}")
        return usable, refused

    def _concerns(self, manifest: Manifest, graph: str) -> bool:
        """Whether an engine is of this graph of this model, and of the library and precision that are asked for."""
        origin, recipe = manifest.origin, manifest.recipe
        if (origin.graph, recipe.flavor, recipe.precision) != (graph, self._recipe.flavor, self._recipe.precision):
            return False
        return origin.onnx_sha256 == sha256_of(self._directory / contract.graph_file(graph))

    def _explain_refusal(self, file: EngineFile) -> str | None:
        """Return why an engine cannot be used here, or ``None``."""
        manifest, version = file.manifest, self._flavor.library().__version__
        newer = manifest.recipe.version_compatible and _numbers(manifest.version) <= _numbers(version)
        if manifest.version != version and not newer:
            return f"was built by {manifest.recipe.flavor} {manifest.version}, and {version} is installed"
        if self._folder is None and not file.is_whole():  # an engine of a named folder is refused when it is read
            return "is damaged"
        return _explain_other_gpu(manifest, self._gpu)

    def _build(self, graph: str) -> EngineFile:
        if self._builder is None:
            self._builder = cast("EngineBuilder", load_builder(f"building the engine of {graph}"))
        _LOG.warning("building the engine of %s for %s; this happens once and may take minutes", graph, self._gpu.name)
        return self._builder.build(self._directory, graph, self._recipe, engines_dir())


def _choose(files: Sequence[EngineFile], sizes: Mapping[str, int]) -> tuple[EngineFile, int] | None:
    """Return the engine and the number of its profile that serve a size best, or ``None`` if no profile covers it."""
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
    return max(profile.R.most for profile in DEFAULTS)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)]


def _explain_other_gpu(manifest: Manifest, gpu: Gpu) -> str | None:
    """Return why an engine is not for a GPU, or ``None``."""
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
    return f"was built on {manifest.gpu}, and this is {gpu_label(gpu)}"
