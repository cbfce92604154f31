"""The TensorRT engines that Triton can load: those of the full library, by the GPU that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_rt.backends.tensorrt.engine_file import EngineFile
from adain_rt.backends.tensorrt.manifest import Manifest, manifest_file, read_manifest
from adain_rt.contract import graph_file

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


def find_engines(graphs: Path, graph: str, precision: str, folder: Path) -> GraphEngines | None:
    """Return the engines of a graph that Triton can load, or ``None``.

    Of several for one compute capability, the newest is taken. Engines of another version of TensorRT, or for other
    sizes, than the newest of all are left out: one server has one version, and one configuration is for all.

    Args:
        graphs: the folder of the model's graphs in fp32, of which engines are made.
        graph: one of the contract's.
        precision: ``fp32`` or ``fp16``.
        folder: where the engines are.

    """
    origin = sha256_of(graphs / graph_file(graph))
    found = []
    for path in folder.glob("*.engine"):
        try:
            manifest = read_manifest(manifest_file(path))
        except AdainError:  # it may be any file
            continue
        if _fits(manifest, graph, precision, origin):
            found.append(EngineFile(path, manifest, trust=False))
    if not found:
        return None
    found.sort(key=lambda file: file.manifest.built, reverse=True)
    newest = found[0].manifest
    files: dict[str, EngineFile] = {}
    for file in found:
        alike = file.manifest.version == newest.version and file.manifest.recipe.profiles == newest.recipe.profiles
        if alike:
            files.setdefault(_compute_capability(file.manifest), file)
    return GraphEngines(files, newest.version)


def _fits(manifest: Manifest, graph: str, precision: str, onnx_sha256: str) -> bool:
    """Whether an engine is one of the graph that Triton can load; it puts no weights into a stripped one."""
    recipe, origin = manifest.recipe, manifest.origin
    asked = (recipe.flavor, recipe.precision, origin.graph, origin.onnx_sha256)
    return asked == (_FLAVOR, precision, graph, onnx_sha256) and recipe.weights != "stripped"


def _compute_capability(manifest: Manifest) -> str:
    """Return the compute capability in a GPU's label, such as ``NVIDIA L4 (8.9)``."""
    return manifest.gpu.rpartition("(")[2].rstrip(")")
