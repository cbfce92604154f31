"""What only the full TensorRT has, which needs a GPU to build, on a stand-in."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from adain_export.tensorrt import builder, recipes
from adain_export.tensorrt.builder import Builder
from adain_export.tensorrt.timing_cache import timing_cache
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.backends.tensorrt.flavors import FLAVORS, Flavor
from adain_rt.backends.tensorrt.manifest import Recipe
from adain_rt.backends.tensorrt.profiles import DEFAULTS, static_profile
from adain_rt.cuda import Gpu

pytestmark = pytest.mark.slow  # engines are built for real

LITE = store.model_dir("lite")
SMALL = Recipe("tensorrt-rtx", "fp32", (static_profile("64"),))

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
    trt.IProgressMonitor = FLAVORS["tensorrt-rtx"].library().IProgressMonitor
    trt.Builder.return_value.build_serialized_network.return_value = b"plan"
    config = trt.Builder.return_value.create_builder_config.return_value
    config.get_timing_cache.return_value.serialize.return_value = b"times"
    config.add_optimization_profile.side_effect = itertools.count()
    inspector = trt.Runtime.return_value.deserialize_cuda_engine.return_value.create_engine_inspector.return_value
    inspector.get_engine_information.return_value = json.dumps(INSPECTED)
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(Flavor, "library", lambda _: trt)
    monkeypatch.setattr(Flavor, "logger", lambda _: None)
    monkeypatch.setattr(recipes, "hindrance", lambda: None)
    monkeypatch.setattr(builder, "open_cuda", lambda: SimpleNamespace(gpu=H200))
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
    file = Builder().build(LITE, "stylize", recipe, tmp_path)
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
        AdainError, match=r"\Atensorrt-rtx does not build for compute capability 8\.9 beside the others\Z"
    ):
        Builder().build(LITE, "encode", recipe, tmp_path)
    config.add_optimization_profile.side_effect = [-1]
    with pytest.raises(AdainError, match=r"\Atensorrt takes no profile of 1x64x64:1x64x64:1x64x64\Z"):
        Builder().build(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path)


@pytest.mark.parametrize(("weights", "flags"), [("included", []), ("refittable", ["REFIT"])])
def test_weights_are_in_the_engine_or_can_be_replaced(full_library, tmp_path, weights, flags):
    Builder().build(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles, weights=weights), tmp_path)
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
    assert Builder().build(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path).read() == b"plan"
    assert runtime.engine_host_code_allowed is True


def test_the_full_library_tells_an_engines_layers_itself(full_library, tmp_path):
    file = Builder().build(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path)
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


def test_the_times_of_kernels_are_kept_for_the_next_build(full_library, tmp_path):
    config = config_of(full_library)
    Builder().build(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path)
    config.create_timing_cache.assert_called_once_with(b"")
    assert [path.name for path in (tmp_path / "cache" / "timing").iterdir()] == ["11.4.0-NVIDIA-H200-9.0-.cache"]
    Builder().build(LITE, "stylize", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path)
    config.create_timing_cache.assert_called_with(b"times")
    config.set_timing_cache.assert_called_with(config.create_timing_cache.return_value, ignore_mismatch=False)


def test_times_that_cannot_be_kept_cost_time_only(full_library, tmp_path):
    config_of(full_library).get_timing_cache.return_value.serialize.side_effect = RuntimeError
    assert Builder().build(LITE, "encode", Recipe("tensorrt", "fp16", SMALL.profiles), tmp_path).read() == b"plan"


def test_no_times_are_kept_where_nothing_is_timed():
    config = MagicMock()
    with timing_cache(MagicMock(), config, ""):
        pass
    config.set_timing_cache.assert_not_called()
