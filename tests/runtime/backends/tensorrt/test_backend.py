"""The TensorRT backends: which graphs they run, what they refuse, and what TensorRT-RTX keeps on disk."""

from __future__ import annotations

import gc
import logging

import numpy as np
import pytest
from tests.inputs import random_inputs
from tests.runtime.backends.tensorrt.machine import LITE, assert_same
from tests.runtime.fake_tensorrt import FakeEngines, FakeRuntime

from adain_models.errors import AdainError
from adain_rt.backends import plans
from adain_rt.backends.tensorrt import backend as backend_module
from adain_rt.contract import GRAPHS
from adain_rt.cuda import Gpu
from adain_rt.errors import UnusableBackend


def test_a_gpu_that_the_library_does_not_name_is_refused_before_an_engine_is_built(machine, monkeypatch):
    machine.cuda.gpu = Gpu("NVIDIA H200", "9.0", "13.0", 1 << 30)
    monkeypatch.setattr(backend_module, "RuntimeCache", None)
    said = r"\Atensorrt-rtx 1\.2\.3 has no engines for NVIDIA H200, of compute capability 9\.0: there are 8\.9, 12\.0\Z"
    with pytest.raises(UnusableBackend, match=said):
        machine.open("tensorrt-rtx")
    machine.open("tensorrt")  # which builds for the GPU at hand


def test_without_a_gpu_the_backend_is_unusable(machine, monkeypatch):
    def none() -> None:
        raise AdainError("no NVIDIA GPU is here, or its driver is missing or too old: none")

    monkeypatch.setattr(backend_module, "open_cuda", none)
    with pytest.raises(UnusableBackend, match=r"\Ano NVIDIA GPU is here, or its driver is missing or too old: none\Z"):
        machine.open()


@pytest.mark.parametrize("flavor", ["tensorrt", "tensorrt-rtx"])
def test_an_engine_that_is_refused_here_makes_the_backend_unusable(machine, flavor):
    machine.trt.refuses = True
    reason = "see the log of adain_rt.tensorrt" if flavor == "tensorrt" else "unsupported cc"
    with pytest.raises(UnusableBackend, match=rf"does not run this engine on Imaginary 9000, .* 8\.9 \(.*{reason}\)"):
        machine.open(flavor).open("stylize")


def test_the_metadata_is_what_the_export_wrote(machine):
    assert machine.open().facts("encode").model == "lite"


@pytest.mark.parametrize("flavor", ["tensorrt", "tensorrt-rtx"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_every_graph_gives_what_it_gives_without_a_gpu(machine, plain, flavor, graph, image):
    backend = machine.open(flavor)
    for seed in range(4):  # plain, captured, replayed, with new numbers each time
        inputs = random_inputs(graph, np.roll(image, 9 * seed, axis=1), seed=seed)
        assert_same(backend.run(graph, inputs), plain.run(graph, inputs))


def test_each_size_runs_in_the_profile_that_is_for_it(machine, plain, china):
    backend = machine.open()
    for height, width, profile in ((32, 48, 0), (96, 128, 1)):
        inputs = random_inputs("stylize", china[None, :height, :width])
        assert_same(backend.run("stylize", inputs), plain.run("stylize", inputs))
        assert machine.trt.contexts[-1].profile == profile
    assert machine.trt.engines == 1  # one loaded engine for both


def test_a_batch_is_one_run(machine, plain, china):
    inputs = random_inputs("stylize", np.stack([china[:32, :32], china[32:64, 32:64], china[64:96, :32]]))
    assert_same(machine.open().run("stylize", inputs), plain.run("stylize", inputs))
    assert machine.trt.contexts[0].enqueued == 1


def test_inputs_that_do_not_fit_are_refused_in_one_line_and_the_next_picture_is_made(machine, plain, image):
    backend, inputs = machine.open(), random_inputs("stylize", image)
    for wrong, said in (
        (
            inputs | {name: inputs[name][:, :64] for name in ("style_mean", "style_std")},
            r"style_mean may not be \(1, 64\)",
        ),
        (inputs | {"strength": np.ones(2, np.float32)}, r"strength must be float32 \(1,\), not \(2,\)"),
        (inputs | {"strength": np.ones(1)}, r"strength must be float32, not float64"),
    ):
        with pytest.raises(AdainError, match=rf"\Athe graph stylize failed in tensorrt \({said}\)\Z"):
            backend.run("stylize", wrong)
    with pytest.raises(AdainError, match="the graph stylize needs strength"):
        backend.run("stylize", {name: value for name, value in inputs.items() if name != "strength"})
    assert_same(backend.run("stylize", inputs), plain.run("stylize", inputs))


def test_a_gpu_that_is_lost_is_one_line_and_the_lane_comes_back(machine, plain, image):
    backend, inputs = machine.open(), random_inputs("stylize", image)
    machine.cuda.fail.add("synchronize")
    with pytest.raises(AdainError, match=r"\Athe GPU failed in synchronize \(cudaErrorUnknown: unknown error\)\Z"):
        backend.run("stylize", inputs)
    machine.cuda.fail.clear()
    assert_same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert len(backend._lanes) == 1


def test_a_stripped_engine_is_given_its_weights_once_before_it_runs(machine, plain, image, monkeypatch):
    given = []
    monkeypatch.setattr(FakeEngines, "weights", "stripped")
    monkeypatch.setattr(backend_module, "refit", lambda _, file, directory: given.append((file.path, directory)))
    backend, inputs = machine.open(), random_inputs("stylize", image)
    for _ in range(2):
        assert_same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert given == [(LITE / "stylize.engine", LITE)]


@pytest.mark.parametrize("compatible", [False, True])
def test_code_in_an_engine_is_allowed_where_it_was_built_to_bring_a_library_of_its_own(
    machine, image, monkeypatch, compatible
):
    monkeypatch.setattr(FakeEngines, "version_compatible", compatible)
    allowed = []
    deserialize = FakeRuntime.deserialize_cuda_engine

    def noted(runtime, content):
        allowed.append(runtime.engine_host_code_allowed)
        return deserialize(runtime, content)

    monkeypatch.setattr(FakeRuntime, "deserialize_cuda_engine", noted)
    machine.open().run("stylize", random_inputs("stylize", image))
    assert allowed == [compatible]


def test_what_tensorrt_rtx_compiled_is_there_at_the_next_start(machine, image, tmp_path):
    machine.open("tensorrt-rtx").run("stylize", random_inputs("stylize", image))
    (entry,) = (tmp_path / "cache" / "tensorrt-rtx").iterdir()
    assert entry.read_bytes() == b"compiled:stylize"
    machine.open("tensorrt-rtx").run("encode", {"image": image})
    assert machine.trt.contexts[-1].how.cache.entries == {b"stylize", b"encode"}
    assert entry.read_bytes() == b"compiled:encode,stylize"


def test_an_earlier_backend_that_goes_last_does_not_undo_a_later_ones_cache(machine, image, tmp_path):
    earlier, later = machine.open("tensorrt-rtx"), machine.open("tensorrt-rtx")
    earlier.run("stylize", random_inputs("stylize", image))
    later.run("encode", {"image": image})
    (entry,) = (tmp_path / "cache" / "tensorrt-rtx").iterdir()
    del earlier
    gc.collect()
    assert entry.read_bytes() == b"compiled:encode,stylize"


@pytest.mark.parametrize("content", [b"", b"of another driver"])
def test_a_runtime_cache_that_does_not_fit_is_replaced(machine, image, tmp_path, content):
    machine.open("tensorrt-rtx").run("stylize", random_inputs("stylize", image))
    (entry,) = (tmp_path / "cache" / "tensorrt-rtx").iterdir()
    entry.write_bytes(content)
    machine.open("tensorrt-rtx").run("stylize", random_inputs("stylize", image))
    assert entry.read_bytes() == b"compiled:stylize"


def test_where_no_runtime_cache_can_be_kept_pictures_are_made_all_the_same(machine, plain, image, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file where the cache should be")
    inputs = random_inputs("stylize", image)
    assert_same(machine.open("tensorrt-rtx").run("stylize", inputs), plain.run("stylize", inputs))


def test_what_is_said_goes_to_the_toolkits_log():
    assert plans._LOG is logging.getLogger("adain_rt")


def test_the_real_tensorrt_rtx_has_every_name_that_is_used():
    """The full library's are type-checked against its stubs."""
    trt = pytest.importorskip("tensorrt_rtx")
    used = {
        trt.Runtime: "engine_host_code_allowed get_engine_validity deserialize_cuda_engine",
        trt.ICudaEngine: "create_runtime_config create_execution_context num_io_tensors get_tensor_name "
        "get_device_memory_size_for_profile_v2",
        trt.IExecutionContext: "set_optimization_profile_async set_input_shape get_tensor_shape set_tensor_address "
        "update_device_memory_size_for_shapes set_device_memory execute_async_v3",
        trt.IRuntimeConfig: "set_execution_context_allocation_strategy create_runtime_cache set_runtime_cache "
        "cuda_graph_strategy dynamic_shapes_kernel_specialization_strategy",
        trt.IRuntimeCache: "deserialize serialize",
        trt.ExecutionContextAllocationStrategy: "USER_MANAGED",
        trt.CudaGraphStrategy: "DISABLED WHOLE_GRAPH_CAPTURE",
        trt.DynamicShapesKernelSpecializationStrategy: "LAZY",
        trt.EngineValidity: "INVALID",
        trt.EngineInvalidityDiagnostics: "__members__ UNSUPPORTED_CC",
    }
    missing = [(kind, name) for kind, names in used.items() for name in names.split() if not hasattr(kind, name)]
    assert missing == []
    assert all(int(member) for member in trt.EngineInvalidityDiagnostics.__members__.values())  # bits to be tested
