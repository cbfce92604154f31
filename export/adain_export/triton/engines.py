"""The TensorRT engines that Triton can load: those of the full library, by the GPU that they are for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_rt.backends.tensorrt.engine_file import EngineFile
from adain_rt.backends.tensorrt.manifest import Manifest, manifest_file, read_manifest
from adain_rt.contract import GRAPHS, graph_file

__all__ = ["GraphEngines", "find_engines"]

_FLAVOR = "tensorrt"
"""Triton's TensorRT backend is the full library's, and loads no engine of TensorRT-RTX."""


@dataclass(frozen=True)
class GraphEngines:
    """Engines of one graph, built by one version of the library for the same sizes.

    Attributes:
        files: the engine for each compute capability, such as ``8.9``, the newest first; at least one.
        version: the version of TensorRT that built them.

    """

    files: Mapping[str, EngineFile]
    version: str

    def fit_batch(self, wanted: int) -> tuple[int, list[int]]:
        """Return how many pictures may be computed at once, and the profiles that take as many.

        Triton refuses a model whose profiles take fewer pictures than its configuration says.
        """
        counts = [profile.N.most for profile in next(iter(self.files.values())).manifest.recipe.profiles]
        batch = min(wanted, max(counts))
        return batch, [place for place, count in enumerate(counts) if count >= batch]


def find_engines(graphs: Path, precision: str, folder: Path) -> dict[str, GraphEngines]:
    """Return the engines of a model's graphs that Triton can load, by graph; some graphs may have none.

    Of several for one compute capability, the newest is taken. Left out are engines of another version of TensorRT than
    the newest of all has, since a server has one version; and engines for other sizes than the newest of their graph,
    since one configuration is for all GPUs.

    Args:
        graphs: the folder of the model's graphs in fp32, of which engines are made.
        precision: ``fp32`` or ``fp16``.
        folder: where the engines are.

    """
    hashes = {graph: sha256_of(graphs / graph_file(graph)) for graph in GRAPHS}
    found = [file for file in _list_engines(folder) if _fits(file.manifest, hashes, precision)]
    found.sort(key=lambda file: file.manifest.built, reverse=True)
    found = [file for file in found if file.manifest.version == found[0].manifest.version]
    engines = {}
    for graph in GRAPHS:
        own = [file for file in found if file.manifest.origin.graph == graph]
        files: dict[str, EngineFile] = {}
        for file in own:
            if file.manifest.recipe.profiles == own[0].manifest.recipe.profiles:
                files.setdefault(_compute_capability(file.manifest), file)
        if files:
            engines[graph] = GraphEngines(files, own[0].manifest.version)
    return engines


def _list_engines(folder: Path) -> Iterator[EngineFile]:
    """Yield the engines in a folder whose manifests can be read."""
    for path in folder.glob("*.engine"):
        try:
            manifest = read_manifest(manifest_file(path))
        except AdainError:  # it may be any file
            continue
        yield EngineFile(path, manifest, trust=False)


def _fits(manifest: Manifest, hashes: Mapping[str, str], precision: str) -> bool:
    """Whether an engine is one of the model that Triton can load; it puts no weights into a stripped one."""
    recipe, origin = manifest.recipe, manifest.origin
    asked = (recipe.flavor, recipe.precision, origin.onnx_sha256)
    return asked == (_FLAVOR, precision, hashes[origin.graph]) and recipe.weights != "stripped"


def _compute_capability(manifest: Manifest) -> str:
    """Return the compute capability in a GPU's label, such as ``NVIDIA L4 (8.9)``."""
    return manifest.gpu.rpartition("(")[2].rstrip(")")
