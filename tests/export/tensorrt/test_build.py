"""Engines built for real by TensorRT-RTX, which needs no GPU for it; what only the full library has, on a stand-in."""

from __future__ import annotations

import itertools
import json
import logging
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import onnx
import pytest

from adain_export.graphs.engine_graph import engine_graph
from adain_export.tensorrt import build
from adain_export.tensorrt.build import build_engine, check_recipe
from adain_export.tensorrt.log import BuildLog
from adain_export.tensorrt.progress import Progress
from adain_export.tensorrt.timing_cache import timing_cache
from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends.tensorrt import flavors
from adain_rt.backends.tensorrt.manifest import Recipe, manifest_file, read_manifest
from adain_rt.backends.tensorrt.profiles import DEFAULTS, parse_profile, static_profile
from adain_rt.cuda import Gpu

LITE = store.model_dir("lite")
PORTABLE = Recipe("tensorrt-rtx", "fp16", DEFAULTS, compute_capabilities=("8.6", "8.9", "12.0"))
SMALL = Recipe("tensorrt-rtx", "fp32", (static_profile("64"),))
VGG19_PROFILES = (parse_profile("1x16x16:1x512x512:4x1024x1024"),)


def built_quietly(caplog: pytest.LogCaptureFixture, directory: Path, graph: str, recipe: Recipe, folder: Path) -> Any:
    """Build an engine, and hold the builder and the parser to silence."""
    file = build_engine(directory, graph, recipe, folder)
    assert [record for record in caplog.records if record.name.startswith("adain_rt")] == []
    return file


def halves(layers: tuple[Any, ...]) -> set[str]:
    """Return what the convolutions among the layers give."""
    return {
        tensor.partition("[")[0] for layer in layers if layer["type"] == "correlation" for tensor in layer["outputs"]
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
    file = build_engine(LITE, "stylize", SMALL, tmp_path)
    manifest = read_manifest(manifest_file(file.path))
    assert manifest == file.manifest
    assert manifest.engine_sha256 == sha256_of(file.path)
    assert manifest.origin.onnx_sha256 == sha256_of(LITE / "stylize.onnx")
    assert manifest.origin.metadata["weights_sha256"] == sha256_of(LITE / "weights.safetensors")
    assert manifest.recipe == SMALL
    assert manifest.version == flavors.library("tensorrt-rtx").__version__
    assert manifest.gpu == ""
    assert sorted(tmp_path.iterdir()) == sorted([file.path, manifest_file(file.path)])
    built = onnx.load_from_string(engine_graph(LITE, "stylize", SMALL.precision, SMALL.upsampling))
    nodes = {node.name for node in built.graph.node}
    within = {node for layer in manifest.layers for node in layer["nodes"]}
    assert {node for node in nodes if "conv" in node} <= within <= nodes


def test_an_engine_that_is_there_is_not_built_again(tmp_path, monkeypatch):
    file = build_engine(LITE, "encode", SMALL, tmp_path)
    monkeypatch.setattr(build, "_built", lambda *_: pytest.fail("built again"))
    assert build_engine(LITE, "encode", SMALL, tmp_path) == file


@pytest.mark.parametrize("damaged", ["engine", "manifest"])
def test_an_engine_that_is_there_but_damaged_is_built_again(tmp_path, damaged):
    file = build_engine(LITE, "encode", SMALL, tmp_path)
    content = file.path.read_bytes()
    (file.path if damaged == "engine" else manifest_file(file.path)).write_bytes(b"{}")
    assert build_engine(LITE, "encode", SMALL, tmp_path).path == file.path
    assert read_manifest(manifest_file(file.path)).engine_sha256 == sha256(file.path.read_bytes()).hexdigest()
    assert abs(file.path.stat().st_size - len(content)) < 1000


@pytest.mark.parametrize("upsampling", ["nearest", "phases"])
def test_upsampling_is_built_as_it_is_asked_for(tmp_path, caplog, upsampling):
    file = built_quietly(caplog, LITE, "stylize", replace(SMALL, upsampling=upsampling), tmp_path)
    resized = any("upsample" in node for layer in file.manifest.layers for node in layer["nodes"])
    assert resized == (upsampling == "nearest")


def test_a_node_that_the_parser_does_not_know_is_named(tmp_path, monkeypatch):
    tensor = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("Mystery", ["image"], ["stylized"], name="the_node")
    types = onnx.TensorProto
    ends = ([tensor("image", types.UINT8, [1, 16])], [tensor("stylized", types.UINT8, [1, 16])])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "stylize", *ends))
    monkeypatch.setattr(build, "engine_graph", lambda *_: model.SerializeToString())
    with pytest.raises(
        AdainError, match=r"stylize\.onnx: tensorrt-rtx [\d.]+ cannot take the node the_node \(Mystery\)"
    ):
        build_engine(LITE, "stylize", SMALL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_the_builder_cannot_do_is_one_line_with_its_reason(tmp_path, caplog):
    with pytest.raises(AdainError, match=r"tensorrt-rtx built no engine of stylize: .*OutOfMemory") as raised:
        build_engine(LITE, "stylize", replace(SMALL, profiles=DEFAULTS, workspace=1), tmp_path)
    assert "\n" not in str(raised.value)
    assert (list(tmp_path.iterdir()), caplog.records) == ([], [])


def test_a_warning_of_the_builder_reaches_the_user(tmp_path, caplog, monkeypatch):
    configured = build._configured

    def configured_oddly(trt: Any, *arguments: Any) -> Any:
        config = configured(trt, *arguments)
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
        return config

    monkeypatch.setattr(build, "_configured", configured_oddly)
    build_engine(LITE, "encode", SMALL, tmp_path)
    assert [(record.name, record.levelno) for record in caplog.records] == [("adain_rt", logging.WARNING)]
    assert "unsupported in TensorRT-RTX" in caplog.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"weights": "stripped"}, "tensorrt-rtx needs a GPU to build this engine.*--weights included needs none"),
        ({"weights": "refittable"}, "tensorrt-rtx needs a GPU to build this engine.*--weights included needs none"),
        ({"flavor": "tensorrt"}, "tensorrt needs a GPU to build this engine.*--flavor tensorrt-rtx needs none"),
        ({"optimization_level": 5}, "tensorrt-rtx has no --optimization-level"),
        ({"version_compatible": True}, "neither --hardware-compatibility nor --version-compatible"),
        ({"hardware_compatibility": "ampere_plus"}, "neither --hardware-compatibility nor --version-compatible"),
        ({"flavor": "tensorrt", "compute_capabilities": ("8.9",)}, "--compute-capability is for --flavor tensorrt-rtx"),
    ],
)
def test_what_a_library_does_not_offer_here_is_refused(change, said, monkeypatch):
    monkeypatch.setattr(build, "hindrance", lambda: "no GPU is here")
    with pytest.raises(AdainError, match=said):
        check_recipe(replace(SMALL, **change))


@pytest.mark.parametrize("capability", ["9.0", "8", "89", "SM86", ""])
def test_a_gpu_that_tensorrt_rtx_does_not_build_for_is_refused(tmp_path, capability):
    with pytest.raises(AdainError, match=r"none that TensorRT-RTX builds for: there are .*8\.6"):
        build_engine(LITE, "encode", replace(SMALL, compute_capabilities=(capability,)), tmp_path)


@pytest.fixture
def copied(tmp_path) -> Path:
    """A copy of the bundled model."""
    return Path(shutil.copytree(LITE, tmp_path / "model"))


def test_a_graph_that_is_not_of_the_weights_there_is_refused(copied, tmp_path):
    (copied / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(AdainError, match=r"encode\.onnx: the graph is not of the weights there"):
        build_engine(copied, "encode", SMALL, tmp_path)


@pytest.mark.parametrize("name", ["encode.onnx", "weights.safetensors"])
def test_a_missing_file_is_named(copied, tmp_path, name):
    (copied / name).unlink()
    with pytest.raises(AdainError, match=f"{name}: there is no such file; write it with `adain-rt export`"):
        build_engine(copied, "encode", SMALL, tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"channels": None}, "lacks what the export writes"),
        ({"channels": "x"}, "lacks what the export writes"),
        ({"model": None}, "lacks what the export writes"),
        ({"bytes_per_pixel": None}, "lacks what the export writes"),
        ({"contract": "7"}, "of another version of adain-rt"),
    ],
)
def test_a_graph_without_its_metadata_is_refused(copied, tmp_path, change, said):
    model = onnx.load(copied / "encode.onnx", load_external_data=False)
    metadata = {prop.key: prop.value for prop in model.metadata_props} | change
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: value for key, value in metadata.items() if value is not None})
    onnx.save(model, copied / "encode.onnx")
    with pytest.raises(AdainError, match=rf"encode\.onnx: the graph .*{said}|encode\.onnx: the graph is {said}"):
        build_engine(copied, "encode", SMALL, tmp_path)


def test_a_damaged_graph_is_named(copied, tmp_path):
    (copied / "encode.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(AdainError, match=r"encode\.onnx: the graph cannot be loaded"):
        build_engine(copied, "encode", SMALL, tmp_path)


def test_progress_counts_nested_phases_into_their_parents_step():
    progress = Progress()
    progress.start("build", None, 4)
    progress.step("build", 0)
    progress.start("layers", "build", 10)
    progress.step("layers", 4)
    assert progress.share == pytest.approx(0.25 + 0.25 * 0.5)
    progress.finish("layers")
    progress.step("build", 1)
    assert progress.share == pytest.approx(0.5)
    progress.finish("build")
    assert progress.share == 1


def test_progress_of_a_real_build_rises_to_the_end(tmp_path, monkeypatch):
    shares: list[float] = []
    step = Progress.step

    def noted(self: Progress, name: str, number: int) -> None:
        step(self, name, number)
        shares.append(self.share)

    monkeypatch.setattr(Progress, "step", noted)
    build_engine(LITE, "encode", SMALL, tmp_path)
    assert max(shares) > 0.8  # the last steps have no number
    assert all(0 <= share <= 1 for share in shares)


@pytest.mark.parametrize(("number", "ended"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
@pytest.mark.parametrize("place", ["step", "start", "finish", "log"])
def test_a_signal_ends_a_build_and_leaves_nothing(tmp_path, monkeypatch, number, ended, place):
    """Wherever it meets the library's callbacks."""
    where = BuildLog if place == "log" else Progress
    name = "emit" if place == "log" else place
    original, calls = getattr(where, name), itertools.count()

    def interrupted(*arguments: Any) -> None:
        original(*arguments)
        if next(calls) == 3:
            signal.raise_signal(number)

    monkeypatch.setattr(where, name, interrupted)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the command line has it
    try:
        with pytest.raises(ended):
            build_engine(LITE, "encode", SMALL, tmp_path)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_the_library_goes_on_after_is_a_failed_build(tmp_path, monkeypatch):
    configured = build._configured

    def configured_badly(*arguments: Any) -> Any:
        flavors.LOG.error("kMAX values are not self-consistent\nand more")
        return configured(*arguments)

    monkeypatch.setattr(build, "_configured", configured_badly)
    with pytest.raises(AdainError, match=r"built no engine of encode: kMAX values are not self-consistent$"):
        build_engine(LITE, "encode", SMALL, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_who_builds_at_the_same_time_waits_and_takes_what_the_first_built(tmp_path, monkeypatch, caplog):
    built, started = [], threading.Barrier(2)
    original = build._built

    def slowly(*arguments: Any) -> Any:
        built.append(1)
        time.sleep(1.5)
        return original(*arguments)

    monkeypatch.setattr(build, "_built", slowly)

    def building(_: int) -> Any:
        started.wait()
        return build_engine(LITE, "encode", SMALL, tmp_path)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(building, range(2))
    assert (first, len(built)) == (second, 1)
    assert "another process is building" in caplog.text


def test_two_builds_in_two_threads_keep_their_own_layers_and_the_logger_as_it_was(tmp_path):
    before = (flavors.LOG.level, flavors.LOG.propagate)
    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(lambda graph: build_engine(LITE, graph, SMALL, tmp_path), ["encode", "stylize"])
    assert (flavors.LOG.level, flavors.LOG.propagate) == before
    assert one.manifest.layers[-1]["outputs"] != other.manifest.layers[-1]["outputs"] == ["UInt8[1,64,64,3]"]


def test_anothers_engine_under_its_name_is_not_taken_for_it(tmp_path):
    stylize, encode = (build_engine(LITE, graph, SMALL, tmp_path) for graph in ("stylize", "encode"))
    shutil.copy(stylize.path, encode.path)
    shutil.copy(manifest_file(stylize.path), manifest_file(encode.path))
    assert build_engine(LITE, "encode", SMALL, tmp_path).manifest.origin.graph == "encode"


def test_where_nothing_can_be_written_nothing_is_built(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(build, "_built", lambda *_: pytest.fail("built"))
    with pytest.raises(AdainError, match="cannot be written"):
        build_engine(LITE, "encode", SMALL, tmp_path / "file")


H200 = Gpu("NVIDIA H200", "9.0", "13.0", 141 << 30)
INSPECTED = {
    "Layers": [
        {
            "Name": "conv + relu",
            "LayerType": "CaskConvolution",
            "Inputs": [{"Name": "x", "Dimensions": [1, 64, 66, 66], "Datatype": "Half"}] * 2,
            "Outputs": [{"Name": "y", "Dimensions": [1, 64, 64, 64], "Datatype": "Half"}],
            "Metadata": "[ONNX Layer: node_conv2d][ONNX Layer: node_relu]",
        },
        {"Name": "older", "LayerType": "Reformat", "Outputs": [{"Name": "z", "Format/Datatype": "Float"}]},
    ]
}


@pytest.fixture
def full_library(monkeypatch, tmp_path) -> Iterator[MagicMock]:
    """A stand-in for the full TensorRT, which takes every call and builds four bytes, on a machine with a GPU."""
    trt = MagicMock(name="tensorrt")
    trt.__version__ = "11.4.0"
    trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED = 1
    trt.IProgressMonitor = flavors.library("tensorrt-rtx").IProgressMonitor
    trt.Builder.return_value.build_serialized_network.return_value = b"plan"
    config = trt.Builder.return_value.create_builder_config.return_value
    config.get_timing_cache.return_value.serialize.return_value = b"times"
    config.add_optimization_profile.side_effect = itertools.count()
    inspector = trt.Runtime.return_value.deserialize_cuda_engine.return_value.create_engine_inspector.return_value
    inspector.get_engine_information.return_value = json.dumps(INSPECTED)
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(flavors, "library", lambda _: trt)
    monkeypatch.setattr(flavors, "logger", lambda _: None)
    monkeypatch.setattr(build, "hindrance", lambda: None)
    monkeypatch.setattr(build, "open_cuda", lambda: SimpleNamespace(gpu=H200))
    return trt


def config_of(trt: MagicMock) -> MagicMock:
    config: MagicMock = trt.Builder.return_value.create_builder_config.return_value
    return config


def test_the_full_library_is_told_what_was_asked_for(full_library, tmp_path):
    recipe = Recipe(
        "tensorrt",
        "fp16",
        (SMALL.profiles[0], DEFAULTS[1]),
        hardware_compatibility="ampere_plus",
        version_compatible=True,
        weights="stripped",
        optimization_level=5,
        workspace=64,
    )
    file = build_engine(LITE, "stylize", recipe, tmp_path)
    trt, config = full_library, config_of(full_library)
    flag = trt.BuilderFlag
    assert [call.args for call in config.set_flag.call_args_list] == [
        (flag.STRIP_PLAN,), (flag.REFIT_IDENTICAL,), (flag.VERSION_COMPATIBLE,)
    ]  # fmt: skip
    config.clear_flag.assert_called_once_with(flag.TF32)
    config.set_preview_feature.assert_called_once_with(trt.PreviewFeature.RUNTIME_ACTIVATION_RESIZE_10_10, True)
    strongly_typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    trt.Builder.return_value.create_network.assert_called_once_with(strongly_typed)
    config.set_memory_pool_limit.assert_called_once_with(trt.MemoryPoolType.WORKSPACE, 64 << 20)
    assert config.builder_optimization_level == 5
    assert config.hardware_compatibility_level is trt.HardwareCompatibilityLevel.AMPERE_PLUS
    assert config.profiling_verbosity is trt.ProfilingVerbosity.DETAILED
    profile = trt.Builder.return_value.create_optimization_profile.return_value
    assert profile.set_shape.call_args_list[0].args == ("image", *[(1, 64, 64, 3)] * 3)
    assert profile.set_shape.call_args_list[5].args == ("style_mean", *[(1, 128)] * 3)
    assert config.add_optimization_profile.call_count == 2
    assert (file.read(), file.manifest.gpu, file.manifest.version) == (b"plan", "NVIDIA H200 (9.0)", "11.4.0")


def test_a_profile_or_gpu_that_the_builder_does_not_take_is_one_line(full_library, tmp_path):
    config = config_of(full_library)
    config.set_compute_capability.return_value = False
    full_library.ComputeCapability.__members__ = {"SM89": 1}
    recipe = Recipe("tensorrt-rtx", "fp16", SMALL.profiles, compute_capabilities=("8.9",))
    with pytest.raises(
        AdainError, match=r"\ATensorRT-RTX does not build for compute capability 8\.9 beside the others\Z"
    ):
        build_engine(LITE, "encode", recipe, tmp_path)
    config.add_optimization_profile.side_effect = [-1]
    with pytest.raises(AdainError, match=r"\Atensorrt takes no profile of 1x64x64:1x64x64:1x64x64\Z"):
        build_engine(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path)


@pytest.mark.parametrize(("weights", "flags"), [("included", []), ("refittable", ["REFIT"])])
def test_weights_are_in_the_engine_or_can_be_replaced(full_library, tmp_path, weights, flags):
    build_engine(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles, weights=weights), tmp_path)
    expected = [(getattr(full_library.BuilderFlag, name),) for name in flags]
    assert [call.args for call in config_of(full_library).set_flag.call_args_list] == expected


@pytest.mark.parametrize("told", [None, "{}", '{"Layers": ["a name alone", {}]}'])
def test_an_engine_is_not_lost_where_the_library_tells_no_layers(full_library, tmp_path, told):
    runtime = full_library.Runtime.return_value
    if told is None:
        runtime.deserialize_cuda_engine.return_value = None
    else:
        inspector = runtime.deserialize_cuda_engine.return_value.create_engine_inspector.return_value
        inspector.get_engine_information.return_value = told
    assert build_engine(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path).read() == b"plan"
    assert runtime.engine_host_code_allowed is True


def test_times_that_cannot_be_kept_cost_time_only(full_library, tmp_path):
    config_of(full_library).get_timing_cache.return_value.serialize.side_effect = RuntimeError
    assert build_engine(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path).read() == b"plan"


def test_the_full_library_tells_an_engines_layers_itself(full_library, tmp_path):
    file = build_engine(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path)
    full_library.Runtime.return_value.deserialize_cuda_engine.assert_called_once_with(b"plan")
    convolution, older = file.manifest.layers
    assert convolution == {
        "name": "conv + relu",
        "type": "CaskConvolution",
        "inputs": ["Half[1,64,66,66]"],
        "outputs": ["Half[1,64,64,64]"],
        "nodes": ["node_conv2d", "node_relu"],
    }
    assert (older["inputs"], older["outputs"], older["nodes"]) == ([], ["Float[]"], [])


def test_the_layers_of_a_real_engine_are_told_with_their_tensors(tmp_path):
    layers = build_engine(LITE, "stylize", SMALL, tmp_path).manifest.layers
    first, last = (layer for layer in layers if {"node_conv2d", "node_conv2d_19"} & set(layer["nodes"]))
    assert (first["inputs"], first["outputs"]) == (["Float[1,3,68,68]"], ["Float[1,16,64,64]"])
    assert (last["inputs"], last["outputs"]) == (["Float[1,16,68,68]"], ["Float[1,3,64,64]"])
    assert layers[-1]["outputs"] == ["UInt8[1,64,64,3]"]


def test_the_times_of_kernels_are_kept_for_the_next_build(full_library, tmp_path):
    config = config_of(full_library)
    build_engine(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path)
    config.create_timing_cache.assert_called_once_with(b"")
    assert [path.name for path in (tmp_path / "cache" / "timing").iterdir()] == ["11.4.0-NVIDIA-H200-9.0-.cache"]
    build_engine(LITE, "stylize", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path)
    config.create_timing_cache.assert_called_with(b"times")
    config.set_timing_cache.assert_called_with(config.create_timing_cache.return_value, ignore_mismatch=False)


def test_no_times_are_kept_where_nothing_is_timed():
    config = MagicMock()
    with timing_cache(MagicMock(), config, ""):
        pass
    config.set_timing_cache.assert_not_called()
