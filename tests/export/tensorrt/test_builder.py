"""Engines built for real by TensorRT-RTX, which needs no GPU for it, with their manifests."""

from __future__ import annotations

import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx
import pytest

from adain_export.graphs.engine_graph import engine_graph
from adain_export.tensorrt import builder
from adain_export.tensorrt.builder import Builder
from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends.tensorrt.flavors import FLAVORS, LOG
from adain_rt.backends.tensorrt.manifest import Recipe, manifest_file, read_manifest
from adain_rt.backends.tensorrt.profiles import DEFAULTS, parse_profile, static_profile

pytestmark = pytest.mark.slow  # engines are built for real

LITE = store.model_dir("lite")
PORTABLE = Recipe("tensorrt-rtx", "fp16", DEFAULTS, compute_capabilities=("8.6", "8.9", "12.0"))
SMALL = Recipe("tensorrt-rtx", "fp32", (static_profile("64"),))
VGG19_PROFILES = (parse_profile("1x16x16:1x512x512:4x1024x1024"),)


def built_quietly(caplog: pytest.LogCaptureFixture, directory: Path, graph: str, recipe: Recipe, folder: Path) -> Any:
    """Build an engine, and hold the builder and the parser to silence."""
    file = Builder().build(directory, graph, recipe, folder)
    assert [record for record in caplog.records if record.name.startswith("adain_rt")] == []
    return file


def halves(layers: tuple[Any, ...]) -> set[str]:
    """Return what the convolutions of features among the layers give; those of a code, 256 numbers, stay in float32."""
    return {
        tensor.partition("[")[0]
        for layer in layers
        if layer["type"] == "correlation"
        for tensor in layer["outputs"]
        if not any(read.startswith("Float[") and ",256," in read for read in layer["inputs"])
    }


@pytest.mark.parametrize("graph", contract.GRAPHS)
@pytest.mark.parametrize("precision", ["fp16", "fp32"])
@pytest.mark.parametrize("model", ["lite", "vgg19"])
def test_every_graph_becomes_an_engine_of_its_precision_for_three_kinds_of_gpu(
    model, precision, graph, request, tmp_path, caplog
):
    directory = LITE if model == "lite" else request.getfixturevalue("vgg19_dir")
    profiles = DEFAULTS if model == "lite" else VGG19_PROFILES
    recipe = replace(PORTABLE, precision=precision, profiles=profiles)
    file = built_quietly(caplog, directory, graph, recipe, tmp_path)
    assert halves(file.manifest.layers) == {"Half" if precision == "fp16" else "Float"}
    assert len(file.read()) == file.manifest.engine_bytes > 1_000_000


def test_a_manifest_says_what_an_engine_is_made_of(tmp_path):
    file = Builder().build(LITE, "stylize", SMALL, tmp_path)
    manifest = read_manifest(manifest_file(file.path))
    assert manifest == file.manifest
    assert manifest.engine_sha256 == sha256_of(file.path)
    assert manifest.origin.onnx_sha256 == sha256_of(LITE / "stylize.onnx")
    assert manifest.origin.facts.weights_sha256 == sha256_of(LITE / "weights.safetensors")
    assert manifest.recipe == SMALL
    assert manifest.version == FLAVORS["tensorrt-rtx"].library().__version__
    assert manifest.gpu == ""
    assert sorted(tmp_path.iterdir()) == sorted([file.path, manifest_file(file.path)])
    built = onnx.load_from_string(engine_graph(LITE, "stylize", SMALL.precision, SMALL.upsampling))
    nodes = {node.name for node in built.graph.node}
    within = {node for layer in manifest.layers for node in layer["nodes"]}
    assert {node for node in nodes if "conv" in node} <= within <= nodes


def test_the_layers_of_a_real_engine_are_told_with_their_tensors(tmp_path):
    layers = Builder().build(LITE, "stylize", SMALL, tmp_path).manifest.layers
    first, last = (layer for layer in layers if {"node_conv2d", "node_conv2d_27"} & set(layer["nodes"]))
    assert (first["inputs"], first["outputs"]) == (["Float[1,3,68,68]"], ["Float[1,16,64,64]"])
    assert (last["inputs"], last["outputs"]) == (["Float[1,16,68,68]"], ["Float[1,3,64,64]"])
    assert layers[-1]["outputs"] == ["UInt8[1,64,64,3]"]


def test_an_engine_that_is_there_is_not_built_again(tmp_path, monkeypatch):
    file = Builder().build(LITE, "encode", SMALL, tmp_path)
    monkeypatch.setattr(builder, "build_engine", lambda *_: pytest.fail("built again"))
    assert Builder().build(LITE, "encode", SMALL, tmp_path) == file


@pytest.mark.parametrize("damaged", ["engine", "manifest"])
def test_an_engine_that_is_there_but_damaged_is_built_again(tmp_path, damaged):
    file = Builder().build(LITE, "encode", SMALL, tmp_path)
    content = file.path.read_bytes()
    (file.path if damaged == "engine" else manifest_file(file.path)).write_bytes(b"{}")
    assert Builder().build(LITE, "encode", SMALL, tmp_path).path == file.path
    assert read_manifest(manifest_file(file.path)).engine_sha256 == sha256(file.path.read_bytes()).hexdigest()
    assert abs(file.path.stat().st_size - len(content)) < 1000


def test_anothers_engine_under_its_name_is_not_taken_for_it(tmp_path):
    stylize, encode = (Builder().build(LITE, graph, SMALL, tmp_path) for graph in ("stylize", "encode"))
    shutil.copy(stylize.path, encode.path)
    shutil.copy(manifest_file(stylize.path), manifest_file(encode.path))
    assert Builder().build(LITE, "encode", SMALL, tmp_path).manifest.origin.graph == "encode"


@pytest.mark.parametrize("upsampling", ["nearest", "phases"])
def test_upsampling_is_built_as_it_is_asked_for(tmp_path, caplog, upsampling):
    file = built_quietly(caplog, LITE, "stylize", replace(SMALL, upsampling=upsampling), tmp_path)
    resized = any("upsample" in node for layer in file.manifest.layers for node in layer["nodes"])
    assert resized == (upsampling == "nearest")


def test_who_builds_at_the_same_time_waits_and_takes_what_the_first_built(tmp_path, monkeypatch, caplog):
    built, started = [], threading.Barrier(2)
    original = builder.build_engine

    def slowly(*arguments: Any) -> Any:
        built.append(1)
        time.sleep(1.5)
        return original(*arguments)

    monkeypatch.setattr(builder, "build_engine", slowly)

    def building(_: int) -> Any:
        started.wait()
        return Builder().build(LITE, "encode", SMALL, tmp_path)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(building, range(2))
    assert (first, len(built)) == (second, 1)
    assert "another process is building" in caplog.text


def test_two_builds_in_two_threads_keep_their_own_layers_and_the_logger_as_it_was(tmp_path):
    before = (LOG.level, LOG.propagate)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda graph: Builder().build(LITE, graph, SMALL, tmp_path), ["encode", "stylize"])
    assert (LOG.level, LOG.propagate) == before
    assert one.manifest.layers[-1]["outputs"] != other.manifest.layers[-1]["outputs"] == ["UInt8[1,64,64,3]"]


def test_where_nothing_can_be_written_nothing_is_built(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(builder, "build_engine", lambda *_: pytest.fail("built"))
    with pytest.raises(AdainError, match="cannot be written"):
        Builder().build(LITE, "encode", SMALL, tmp_path / "file")
