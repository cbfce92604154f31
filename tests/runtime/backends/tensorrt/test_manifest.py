"""Manifests: what is in them, what is refused, and the name that follows from them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.runtime.backends.tensorrt.engines_on_disk import FACTS, LARGE, LITE, SMALL, VERSION, put_engine

from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_rt.backends.tensorrt import manifest
from adain_rt.backends.tensorrt.manifest import Origin, Recipe, engine_stem, manifest_file, read_manifest


def test_a_manifest_is_read_as_it_was_written(tmp_path):
    layer = {"name": "conv", "type": "kgen", "inputs": ["Half[1]"], "outputs": ["Half[2]"], "nodes": ["a", "b"]}
    path = put_engine(tmp_path, layers=(layer,), workspace=64)
    read = read_manifest(manifest_file(path))
    assert read.origin == Origin("stylize", sha256_of(LITE / "stylize.onnx"), FACTS)
    assert read.recipe == Recipe("tensorrt", "fp16", (SMALL, LARGE), workspace=64)
    assert (read.version, read.gpu, read.engine_bytes) == (VERSION, "NVIDIA L4 (8.9)", 6)
    assert read.layers == (layer,)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda _: "[]",
        lambda _: "null",
        lambda text: text.replace('"version"', '"vorsion"'),
        lambda text: text.replace('"engine_bytes": 6', '"engine_bytes": "6"'),
        lambda text: text.replace('"contract": "2"', '"contract": 2'),
        lambda text: text.replace('"gpu": "NVIDIA L4 (8.9)"', '"gpu": null'),
        lambda text: json.dumps(json.loads(text) | {"recipe": json.loads(text)["recipe"] | {"profiles": [{"N": [1]}]}}),
        lambda _: "[" * 100_000,
        lambda text: text.replace("256", "1e400"),
        lambda text: text.replace("256", "0"),
        lambda text: text.replace('"graph": "stylize"', '"graph": "dance"'),
        lambda text: text.replace('"flavor": "tensorrt"', '"flavor": "vanilla"'),
        lambda text: text.replace('"channels": "128"', '"channels": "many"'),
        lambda text: text.replace('"model": "lite",', ""),
        lambda text: text.replace('"layers": []', '"layers": [1]'),
        lambda text: text.replace('"layers": []', '"layers": [{}]'),
        lambda text: text.replace('"compute_capabilities": []', '"compute_capabilities": [8]'),
        lambda text: " " * (17 << 20) + text,
    ],
)
def test_a_damaged_manifest_is_refused_with_its_name(tmp_path, damage):
    path = manifest_file(put_engine(tmp_path))
    path.write_text(damage(path.read_text()))
    with pytest.raises(AdainError, match=f"{path.name}: is not an engine's manifest"):
        read_manifest(path)


def test_a_manifest_of_another_format_is_refused(tmp_path, monkeypatch):
    path = manifest_file(put_engine(tmp_path))
    monkeypatch.setattr(manifest, "FORMAT", 2)
    with pytest.raises(AdainError, match="another version of adain-rt"):
        read_manifest(path)


def test_all_that_an_engine_depends_on_is_in_its_name():
    origin, recipe = Origin("stylize", "1" * 64, FACTS), Recipe("tensorrt", "fp16", (SMALL,))
    stems = {
        engine_stem(origin, recipe, VERSION, "a"),
        engine_stem(origin, recipe, VERSION, "b"),
        engine_stem(origin, recipe, "11.3.0", "a"),
        engine_stem(replace(origin, onnx_sha256="2" * 64), recipe, VERSION, "a"),
        engine_stem(replace(origin, facts=replace(FACTS, weights_sha256="3" * 64)), recipe, VERSION, "a"),
        engine_stem(origin, replace(recipe, profiles=(LARGE,)), VERSION, "a"),
        engine_stem(origin, replace(recipe, profiles=(replace(SMALL, R=(1, 1, 2)),)), VERSION, "a"),
        engine_stem(origin, replace(recipe, precision="fp32"), VERSION, "a"),
        engine_stem(origin, replace(recipe, flavor="tensorrt-rtx"), VERSION, "a"),
        engine_stem(origin, replace(recipe, compute_capabilities=("8.9",)), VERSION, "a"),
        engine_stem(origin, replace(recipe, hardware_compatibility="ampere_plus"), VERSION, "a"),
        engine_stem(origin, replace(recipe, version_compatible=True), VERSION, "a"),
        engine_stem(origin, replace(recipe, weights="stripped"), VERSION, "a"),
        engine_stem(origin, replace(recipe, upsampling="nearest"), VERSION, "a"),
        engine_stem(origin, replace(recipe, optimization_level=5), VERSION, "a"),
        engine_stem(origin, replace(recipe, workspace=64), VERSION, "a"),
    }
    assert len(stems) == 16
    assert engine_stem(origin, recipe, VERSION, "a").startswith("lite-stylize-fp16-tensorrt-")


def test_a_models_name_does_not_lead_out_of_the_folder():
    for name in ("../escaped/x", "/etc/x", "a b/c"):
        origin = Origin("stylize", "1" * 64, replace(FACTS, model=name))
        assert "/" not in engine_stem(origin, Recipe("tensorrt", "fp16", (SMALL,)), VERSION, "")
