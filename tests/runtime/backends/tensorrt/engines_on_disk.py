"""Engines on disk as a build leaves them, without a library."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from adain_models.files import sha256_of
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends.tensorrt.engine_file import gpu_label
from adain_rt.backends.tensorrt.manifest import Manifest, Origin, Recipe, engine_stem, manifest_file
from adain_rt.backends.tensorrt.profiles import parse_profile
from adain_rt.contract import GraphFacts
from adain_rt.cuda import Gpu

LITE = store.model_dir("lite")
ADA = Gpu("NVIDIA L4", "8.9", "13.0", 24 << 30)
VERSION = "11.4.0"
FACTS = GraphFacts("lite", "0" * 64, contract.VERSION, channels=128, precision="fp32", bytes_per_pixel=160, halo=112)
SMALL = parse_profile("16:256:512")
LARGE = parse_profile("1x16x16:1x1080x1920:2x4096x4096")


def put_engine(folder: Path, content: bytes = b"engine", graph: str = "stylize", **changes: object) -> Path:
    """Write an engine with its manifest as a build on ADA leaves them, but for some changes."""
    origin = Origin(graph, sha256_of(LITE / contract.graph_file(graph)), FACTS)
    recipe = Recipe("tensorrt", "fp16", (SMALL, LARGE))
    digest = sha256(content).hexdigest()
    made = Manifest(
        origin, recipe, VERSION, gpu_label(ADA), "0.1.0", "2026-01-01T00:00:00+00:00", digest, len(content), ()
    )
    for name in ("origin", "recipe"):
        fields = {key: changes.pop(key) for key in list(changes) if hasattr(getattr(made, name), key)}
        made = replace(made, **{name: replace(getattr(made, name), **fields)})
    made = replace(made, **changes)
    path = folder / f"{engine_stem(made.origin, made.recipe, made.version, made.gpu)}.engine"
    path.write_bytes(content)
    manifest_file(path).write_text(made.to_json(), "utf-8")
    return path
