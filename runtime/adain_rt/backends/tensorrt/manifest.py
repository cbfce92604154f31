"""The manifest beside an engine: what it is made of, what for, and the SHA-256 of its bytes.

An engine file is code. One whose bytes are not those of its manifest is not loaded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from importlib.metadata import version as toolkit_version
from pathlib import Path
from typing import Any

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.backends.tensorrt.flavors import FLAVORS
from adain_rt.backends.tensorrt.profiles import Profile
from adain_rt.contract import GRAPHS

__all__ = ["FORMAT", "Manifest", "Origin", "Recipe", "engine_stem", "manifest_file", "read_manifest"]

FORMAT = 1
"""Rises when a manifest written before could be misread."""

_LARGEST = 16 << 20  # bytes of a manifest; a real one has some ten thousand


@dataclass(frozen=True)
class Recipe:
    """How an engine is built.

    Attributes:
        flavor: the library, ``tensorrt`` or ``tensorrt-rtx``.
        precision: ``fp32`` or ``fp16``.
        profiles: the sizes it is for; a picture runs in the one that serves it best.
        compute_capabilities: the GPUs that a portable engine is for, such as ``8.9``; none is the library's own choice.
        hardware_compatibility: the full library's ``none``, ``ampere_plus`` or ``same_compute_capability``.
        version_compatible: whether later versions of the full library may run it.
        weights: ``included``; ``refittable``, to be replaced; or ``stripped``, put in when it is loaded.
        upsampling: ``phases``, or ``nearest`` for the same pictures out of convolutions of enlarged ones.
        optimization_level: how long the full library searches, 0 to 5.
        workspace: the most scratch memory that a layer may take, in MiB; none is all there is.

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
        onnx_sha256: of the graph's file, in fp32.
        metadata: what the export wrote into it: model, weights_sha256, contract, channels, bytes_per_pixel.

    """

    graph: str
    onnx_sha256: str
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Manifest:
    """All that is known of an engine.

    Attributes:
        origin: what it is made of.
        recipe: how.
        version: of the library that built it.
        gpu: what it was built on, name and compute capability; empty for a portable engine.
        adain_rt: the version of this toolkit.
        built: date and time, ISO 8601, UTC.
        engine_sha256: of the file.
        engine_bytes: of the file.
        layers: what the builder made of the graph: name, type, precision, and the ONNX nodes within.

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
        """Write it down."""
        return json.dumps({"format": FORMAT} | asdict(self), indent=1) + "\n"


def engine_stem(origin: Origin, recipe: Recipe, version: str, gpu: str) -> str:
    """Return an engine's file name, less its ending: what a person looks for, and a digest of all it depends on."""
    depends = [asdict(origin), asdict(recipe), version, gpu, toolkit_version("adain-rt")]
    key = sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()
    model = re.sub("[^A-Za-z0-9._-]+", "-", origin.metadata["model"])  # it is whatever the graph's file says
    return f"{model}-{origin.graph}-{recipe.precision}-{recipe.flavor}-{key[:12]}"


def manifest_file(engine: Path) -> Path:
    """Return where the manifest of an engine lies."""
    return engine.with_suffix(".json")


def read_manifest(path: Path) -> Manifest:
    """Return a manifest.

    Raises:
        AdainError: the file is missing, or is none.

    """
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LARGEST))
        if content.pop("format") != FORMAT:
            raise AdainError(f"{path}: is a manifest of another version of adain-rt; build the engine again")
        return _from_json(content)
    except OSError as error:
        raise AdainError(f"{path}: the manifest cannot be read ({explain(error)})") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise AdainError(f"{path}: is not an engine's manifest, or is damaged; build the engine again") from None


def _from_json(content: dict[str, Any]) -> Manifest:
    origin, recipe = content.pop("origin"), content.pop("recipe")
    for name in ("profiles", "compute_capabilities"):
        recipe[name] = tuple(recipe[name])
    recipe["profiles"] = tuple(
        Profile(**{name: (int(low), int(best), int(high)) for name, (low, best, high) in each.items()})
        for each in recipe["profiles"]
    )
    content["layers"] = tuple(content["layers"])
    manifest = Manifest(Origin(**origin), Recipe(**recipe), **content)
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    """Refuse what JSON lets be and no engine has.

    Raises:
        TypeError: a number for a text, or the like.
        ValueError: a name or a number that there is not.

    """
    origin, recipe = manifest.origin, manifest.recipe
    for part in (manifest, origin, recipe):
        for each in fields(part):
            value = getattr(part, each.name)
            if each.type in _TYPES and not isinstance(value, _TYPES[str(each.type)]):
                raise TypeError(each.name)
    texts = [*origin.metadata.values(), *recipe.compute_capabilities]
    for layer in manifest.layers:
        texts += [layer["name"], layer["type"], *layer["inputs"], *layer["outputs"], *layer["nodes"]]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is none")
    ranges = [getattr(profile, name) for profile in recipe.profiles for name in "NHWR"]
    sound = all(1 <= low <= best <= high for low, best, high in ranges)
    if not sound or not ranges or origin.graph not in GRAPHS or recipe.flavor not in FLAVORS:
        raise ValueError("no engine is like this")
    int(origin.metadata["channels"]), int(origin.metadata["bytes_per_pixel"])
    if not {"model", "weights_sha256", "contract"} <= origin.metadata.keys():
        raise ValueError("the graph is not told")


_TYPES: dict[str, Any] = {
    "str": str,
    "int": int,
    "bool": bool,
    "int | None": (int, type(None)),
    "Mapping[str, str]": dict,
}
