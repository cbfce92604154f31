"""``adain-rt build`` and ``adain-rt inspect`` as a person runs them, with TensorRT-RTX and no GPU."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx
import pytest

from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends.tensorrt.engine_file import engines_dir
from adain_rt.backends.tensorrt.manifest import manifest_file, read_manifest
from adain_rt.backends.tensorrt.profiles import DEFAULTS, Profile

pytestmark = pytest.mark.slow  # engines are built for real

LITE = store.model_dir("lite")
QUICK = ("build", "--static", "64", "--graph", "encode", "--flavor", "tensorrt-rtx")


@pytest.fixture
def engine(run, tmp_path) -> Path:
    """A small engine."""
    assert run(*QUICK, "-o", tmp_path).status == 0
    return next(tmp_path.glob("*.engine"))


def test_build_makes_engines_of_all_graphs_for_the_usual_sizes_in_fp16(run, tmp_path):
    result = run("build", "-o", tmp_path)
    assert (result.status, result.err) == (0, "")
    manifests = [read_manifest(manifest_file(path)) for path in tmp_path.glob("*.engine")]
    assert {manifest.origin.graph for manifest in manifests} == set(contract.GRAPHS)
    assert {manifest.recipe.precision for manifest in manifests} == {"fp16"}
    assert {manifest.recipe.profiles for manifest in manifests} == {DEFAULTS}
    assert result.out.count(".engine  ") == len(contract.GRAPHS)


def test_build_writes_into_the_cache_unless_told(run, tmp_path, monkeypatch):
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    assert run(*QUICK).status == 0
    assert [path.suffix for path in sorted(engines_dir().iterdir())] == [".engine", ".json"]


def test_build_takes_what_it_is_told(run, tmp_path):
    options = ("--graph", "stylize", "--precision", "fp32", "--flavor", "tensorrt-rtx", "--upsampling", "nearest")
    sizes = ("--profile", "64:96:128", "--static", "1x64x80")
    gpus = ("--compute-capability", "8.9", "--compute-capability", "12.0", "--compute-capability", "8.9")
    result = run("build", *options, *sizes, *gpus, "--workspace", "512", "-o", tmp_path)
    assert (result.status, result.err) == (0, "")
    recipe = read_manifest(next(tmp_path.glob("*.json"))).recipe
    assert recipe.profiles == (
        Profile((1, 1, 1), (64, 96, 128), (64, 96, 128)),
        Profile((1, 1, 1), (64, 64, 64), (80, 80, 80)),
    )
    assert (recipe.precision, recipe.upsampling, recipe.workspace) == ("fp32", "nearest", 512)
    assert recipe.compute_capabilities == ("8.9", "12.0")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--profile", "512"), ("profile '512'", "MIN:OPT:MAX")),
        (("--static", "100"), ("size '100'", "multiples of 8")),
        (("--model", "nothing"), ("model 'nothing'",)),
        (("--flavor", "tensorrt"), ("tensorrt needs a GPU", "use --flavor tensorrt-rtx")),
        (("--weights", "stripped"), ("needs a GPU", "use --weights included")),
        (("--optimization-level", "5"), ("no optimization level", "leave out --optimization-level")),
        (("--workspace", "99999999999999"), ("--workspace",)),
        (("--profile", "16:512:1000000"), ("size '1000000'", "16384")),
        (("--compute-capability", "9.0"), ("'9.0'", "8.9")),
        (("--version-compatible",), ("--version-compatible",)),
        (("--precision", "int8"), ("--precision", "fp16")),
    ],
)
def test_build_refuses_what_it_cannot_do_in_one_line(run, tmp_path, arguments, parts):
    run("build", "--graph", "encode", *arguments, "-o", tmp_path).refused(*parts)
    assert list(tmp_path.iterdir()) == []


def test_build_names_the_model_that_has_no_weights(run, tmp_path, monkeypatch):
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    run("build", "--model", "vgg19", "-o", tmp_path).refused("adain-rt weights fetch vgg19")


def test_build_says_what_to_install(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx_ir", None)
    for name in [name for name in sys.modules if name.startswith("adain_export")]:
        monkeypatch.delitem(sys.modules, name)
    run("build", "-o", tmp_path).refused("build needs onnx_ir", "pip install 'adain-rt[tensorrt-rtx]'")


def test_inspect_tells_what_an_engine_is(run, engine):
    result = run("inspect", engine)
    assert (result.status, result.err) == (0, "")
    for part in (
        "encode of lite",
        "tensorrt-rtx",
        "image uint8 [N, H, W, 3]",
        "1x64x64:1x64x64:1x64x64",
        "correlation",
    ):
        assert part in result.out
    assert run("inspect", engine, "--layers").out.count("node_conv2d") >= 8
    assert run("inspect", manifest_file(engine)).out == result.out


def test_inspect_gives_json(run, engine):
    facts = json.loads(run("inspect", engine, "--json").out)
    assert facts["sha256"] == read_manifest(manifest_file(engine)).engine_sha256
    assert facts["layers"][0]["inputs"] == ["UInt8[1,64,64,3]"]


def test_inspect_tells_what_a_graph_is(run):
    result = run("inspect", LITE / "stylize.onnx")
    assert (result.status, result.err) == (0, "")
    for part in ("stylized uint8 [N, H, W, 3]", "weights.safetensors", "lite", "28 Conv float32"):
        assert part in result.out
    assert "Conv" in run("inspect", LITE / "stylize.onnx", "--layers").out


def test_inspect_refuses_an_engine_that_is_not_its_manifests(run, engine):
    engine.write_bytes(b"other")
    run("inspect", engine).refused(engine.name, "is not the engine that its manifest describes")


def test_inspect_tells_what_is_not_usual(run, tmp_path):
    run(*QUICK, "--workspace", "512", "--upsampling", "nearest", "-o", tmp_path)
    told = run("inspect", next(tmp_path.glob("*.engine"))).out
    assert "workspace              512" in told
    assert "upsampling             nearest" in told


def test_inspect_takes_a_graph_whose_ends_are_no_tensors(run, tmp_path):
    node = onnx.helper.make_node("SequenceLength", ["x"], ["y"])
    number = onnx.TensorProto.FLOAT
    ends = (
        [onnx.helper.make_tensor_sequence_value_info("x", number, [1])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT64, [])],
    )
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([node], "sequences", *ends)), tmp_path / "s.onnx")
    result = run("inspect", tmp_path / "s.onnx")
    assert (result.status, result.err) == (0, "")
    assert "x ? []" in result.out


@pytest.mark.parametrize("name", ["stylize.onnx", "thing.engine", "thing.json", "thing.txt"])
def test_inspect_refuses_what_is_neither(run, tmp_path, name):
    (tmp_path / name).write_bytes(b"\0" * 100)
    run("inspect", tmp_path / name).refused(str(tmp_path / name.split(".")[0]))
