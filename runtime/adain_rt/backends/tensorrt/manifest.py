"""The manifest beside an engine: what the engine is made of, what it is for, and the SHA-256 of its bytes.

An engine file is code. An engine is not loaded if its manifest does not describe its bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from importlib.metadata import version as toolkit_version
from pathlib import Path
from typing import Any

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.backends.tensorrt.flavors import FLAVORS
from adain_rt.backends.tensorrt.profiles import Profile, Range
from adain_rt.contract import GRAPHS, GraphFacts

__all__ = ["FORMAT", "Manifest", "Origin", "Recipe", "engine_stem", "manifest_file", "read_manifest"]

FORMAT = 1
"""Rises when a manifest written before could be misread."""

_LARGEST = 16 << 20  # bytes of a manifest; a real one has some ten thousand


@dataclass(frozen=True)
class Recipe:
    """How an engine is built.

    Attributes:
        flavor: the library's name, ``tensorrt`` or ``tensorrt-rtx``.
        precision: ``fp32`` or ``fp16``.
        profiles: the sizes that it is for; a picture runs in the one that serves it best.
        compute_capabilities: the GPUs that a portable engine is for, such as ``8.9``; if empty, the library chooses.
        hardware_compatibility: the full library's ``none``, ``ampere_plus`` or ``same_compute_capability``.
        version_compatible: whether later versions of the full library may run it.
        weights: ``included``; ``refittable``, to be replaced later; or ``stripped``, put in when it is loaded.
        upsampling: ``phases``, or ``nearest`` for the same pictures out of convolutions of enlarged ones.
        optimization_level: how long the full library searches, 0 to 5.
        workspace: the most scratch memory that a layer may take, in MiB; ``None`` is all there is.

    """

    flavor: str
    precision: str
    profiles: tuple[Profile, ...]
    compute_capabilities: tuple[str, ...] = ()
    hardware_compatibility: str = "none"
    version_compatible: bool = False
    weights: str = "included"
    upsampling: str = "phases"
    optimization_level: int = 3
    workspace: int | None = None


@dataclass(frozen=True)
class Origin:
    """What an engine is made of.

    Attributes:
        graph: one of the contract's.
        onnx_sha256: the SHA-256 of the graph's file, in fp32.
        facts: what the export wrote into that file.

    """

    graph: str
    onnx_sha256: str
    facts: GraphFacts

    def to_json(self) -> dict[str, Any]:
        """Return what a manifest holds of it."""
        return {"graph": self.graph, "onnx_sha256": self.onnx_sha256, "metadata": self.facts.to_metadata()}


@dataclass(frozen=True)
class Manifest:
    """All that is known of an engine.

    Attributes:
        origin: what it is made of.
        recipe: how it is built.
        version: the version of the library that built it.
        gpu: the name and the compute capability of the GPU that it was built on; empty for a portable engine.
        adain_rt: the version of this toolkit.
        built: date and time, ISO 8601, UTC.
        engine_sha256: the SHA-256 of the engine's file.
        engine_bytes: the size of the engine's file.
        layers: what the builder made of the graph: of each layer its name and type, the tensors that it reads and
            writes, and the ONNX nodes within.

    """

    origin: Origin
    recipe: Recipe
    version: str
    gpu: str
    adain_rt: str
    built: str
    engine_sha256: str
    engine_bytes: int
    layers: tuple[Mapping[str, Any], ...] = field(repr=False)

    def to_json(self) -> str:
        """Return the text of its file."""
        content = asdict(self) | {"origin": self.origin.to_json()}
        return json.dumps({"format": FORMAT} | content, indent=1) + "\n"


def engine_stem(origin: Origin, recipe: Recipe, version: str, gpu: str) -> str:
    """Return an engine's file name without its ending: what a person looks for, and a digest of all it depends on."""
    depends = [origin.to_json(), asdict(recipe), version, gpu, toolkit_version("adain-rt")]
    key = sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
    model = re.sub("[^A-Za-z0-9._-]+", "-", origin.facts.model)  # it is whatever the graph's file says
    return f"{model}-{origin.graph}-{recipe.precision}-{recipe.flavor}-{key[:12]}"


def manifest_file(engine: Path) -> Path:
    """Return the path of an engine's manifest."""
    return engine.with_suffix(".json")


def read_manifest(path: Path) -> Manifest:
    """Return a manifest.

    Raises:
        AdainError: the file cannot be read, or is not a manifest.

    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LARGEST))
        if content.pop("format") != FORMAT:
            raise AdainError(f"{path}: is a manifest of another version of adain-rt; build the engine again")
        return _read_content(content)
    except OSError as error:
        raise AdainError(f"{path}: the manifest cannot be read ({explain(error)})") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise AdainError(f"{path}: is not an engine's manifest, or is damaged; build the engine again") from None


_ORIGIN = {"graph": str, "onnx_sha256": str, "metadata": dict}
_RECIPE = {
    "flavor": str,
    "precision": str,
    "hardware_compatibility": str,
    "version_compatible": bool,
    "weights": str,
    "upsampling": str,
    "optimization_level": int,
}
_MANIFEST = {"version": str, "gpu": str, "adain_rt": str, "built": str, "engine_sha256": str, "engine_bytes": int}
"""The type of each value in a manifest's JSON; the values that are not listed are read one by one."""


def _read_content(content: dict[str, Any]) -> Manifest:
    """Return the manifest that JSON holds.

    Raises:
        TypeError: a value has another type, or a name is unknown or missing.
        KeyError: a name is missing.
        ValueError: a name or a number is not one that an engine can have.

    """
    origin, recipe, layers = (content.pop(name) for name in ("origin", "recipe", "layers"))
    _check_types(content, _MANIFEST)
    for layer in layers:
        _check_texts([layer["name"], layer["type"], *layer["inputs"], *layer["outputs"], *layer["nodes"]])
    return Manifest(_read_origin(origin), _read_recipe(recipe), layers=tuple(layers), **content)


def _read_origin(content: dict[str, Any]) -> Origin:
    _check_types(content, _ORIGIN)
    metadata = content.pop("metadata")
    _check_texts(metadata.values())
    origin = Origin(facts=GraphFacts.from_metadata(metadata), **content)
    if origin.graph not in GRAPHS or origin.facts.bytes_per_pixel is None:
        raise ValueError("no engine is made of such a graph")
    return origin


def _read_recipe(content: dict[str, Any]) -> Recipe:
    _check_types(content, _RECIPE)
    profiles = tuple(_read_profile(each) for each in content.pop("profiles"))
    compute_capabilities = tuple(content.pop("compute_capabilities"))
    _check_texts(compute_capabilities)
    recipe = Recipe(profiles=profiles, compute_capabilities=compute_capabilities, **content)
    if not profiles or recipe.flavor not in FLAVORS or not isinstance(recipe.workspace, int | None):
        raise ValueError("no engine is built like this")
    return recipe


def _read_profile(content: dict[str, Any]) -> Profile:
    ranges = {letter: Range(*map(int, sizes)) for letter, sizes in content.items()}
    if not all(1 <= each.least <= each.best <= each.most for each in ranges.values()):
        raise ValueError("the sizes of a profile do not rise")
    return Profile(**ranges)


def _check_types(content: Mapping[str, Any], types: Mapping[str, type]) -> None:
    for name, kind in types.items():
        if not isinstance(content[name], kind):
            raise TypeError(name)


def _check_texts(texts: Iterable[Any]) -> None:
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is missing")
