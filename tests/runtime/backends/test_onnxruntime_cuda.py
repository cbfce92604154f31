"""ONNX Runtime's GPU backends: their settings, and their logic with the CPU in the GPU's place."""

from __future__ import annotations

import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import onnx
import pytest

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.backends import Settings, open_backend
from adain_rt.backends.onnxruntime import bindings
from adain_rt.backends.onnxruntime import cuda as module
from adain_rt.backends.onnxruntime import quiet as quiet_onnxruntime
from adain_rt.contract import GRAPHS
from adain_rt.errors import UnusableBackend

LITE = store.model_dir("lite")
CPU = "CPUExecutionProvider"
onnxruntime = quiet_onnxruntime.onnxruntime


class OnCpu(module.OnnxRuntimeCudaBackend):
    """The CUDA backend with the CPU's provider in the place of CUDA's."""

    provider = CPU

    def _providers(self, _: str) -> list[tuple[str, dict[str, str]]]:
        return [(CPU, {})]


@pytest.fixture
def ids(monkeypatch) -> list[str]:
    """The number under which each run was to be captured."""
    seen: list[str] = []

    class RunOptions:
        def __new__(cls) -> object:
            options = onnxruntime.RunOptions()
            return SimpleNamespace(
                add_run_config_entry=lambda name, value: seen.append(f"{name}={value}"), options=options
            )

    real = bindings.Bindings.run

    def run(self, inputs):
        session = self._session
        if not isinstance(session, SimpleNamespace):
            self._session = SimpleNamespace(
                io_binding=session.io_binding,
                run_with_iobinding=lambda binding, given: session.run_with_iobinding(binding, given.options),
            )
        return real(self, inputs)

    class OrtValue(onnxruntime.OrtValue):
        def numpy(self) -> np.ndarray:
            return super().numpy().copy()  # as from a GPU's memory

    def on_cpu(tensor, shape):
        return OrtValue.ortvalue_from_numpy(np.zeros(shape, tensor.dtype))

    monkeypatch.setattr(bindings.Bindings, "run", run)
    monkeypatch.setattr(bindings, "_allocate", on_cpu)
    monkeypatch.setattr(bindings, "onnxruntime", SimpleNamespace(**vars(onnxruntime) | {"RunOptions": RunOptions}))
    return seen


@pytest.fixture(scope="module")
def plain():
    return open_backend("onnxruntime", LITE)


def inputs_of(image: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    mean, std = (generator.uniform(*span, (len(image), 128)).astype(np.float32) for span in ((0, 0.5), (0.2, 0.8)))
    return {"image": image, "style_mean": mean, "style_std": std, "strength": np.ones(len(image), np.float32)}


@pytest.mark.parametrize("cuda_graph", [True, False])
def test_pictures_are_those_of_the_cpu(ids, plain, china, cuda_graph):
    backend = OnCpu(LITE, "fp32", Settings(cuda_graph=cuda_graph))
    for seed, side in enumerate((32, 48, 32, 48, 32)):
        inputs = inputs_of(china[None, :side, seed : seed + side], seed)
        for made, expected in zip(backend.run("stylize", inputs), plain.run("stylize", inputs), strict=True):
            np.testing.assert_array_equal(made, expected)
    image = china[None, :32, :48]
    for made, expected in zip(
        backend.run("encode", {"image": image}), plain.run("encode", {"image": image}), strict=True
    ):
        np.testing.assert_array_equal(made, expected)


def test_a_size_is_captured_when_it_comes_again_under_a_number_of_its_own(ids, china):
    backend = OnCpu(LITE, "fp32", Settings())
    for side in (32, 48, 32, 48, 32, 64):
        backend.run("encode", {"image": china[None, :side, :side]})
    assert ids == [f"gpu_graph_id={number}" for number in (-1, -1, 1, 2, 1, -1)]


def test_without_cuda_graphs_no_run_names_one(ids, china):
    backend = OnCpu(LITE, "fp32", Settings(cuda_graph=False))
    for _ in range(3):
        backend.run("encode", {"image": china[None, :32, :32]})
    assert ids == []


def test_no_more_sizes_are_captured_than_can_be_kept(ids, monkeypatch, china):
    monkeypatch.setattr(bindings, "_CAPTURES", 1)
    backend = OnCpu(LITE, "fp32", Settings())
    for side in (32, 32, 48, 48):
        backend.run("encode", {"image": china[None, :side, :side]})
    assert ids == [f"gpu_graph_id={number}" for number in (-1, 1, -1, -1)]


def test_memory_of_sizes_not_used_for_longest_is_dropped_but_not_of_what_is_captured(ids, monkeypatch, china):
    monkeypatch.setattr(bindings, "_BINDINGS", 2)
    backend = OnCpu(LITE, "fp32", Settings())
    for side in (16, 16, 24, 32, 40, 48):
        backend.run("encode", {"image": china[None, :side, :side]})
    assert [shapes[0][1] for shapes in backend._bindings["encode"]._bound] == [16, 40, 48]


def test_threads_at_once_make_the_pictures_that_one_makes(ids, plain, china):
    backend = OnCpu(LITE, "fp32", Settings())
    many = [inputs_of(china[None, at : at + 32, :32], at) for at in range(12)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda inputs: backend.run("stylize", inputs)[0], many))
    for result, inputs in zip(made, many, strict=True):
        np.testing.assert_array_equal(result, plain.run("stylize", inputs)[0])


def test_inputs_that_do_not_fit_are_refused_in_one_line_and_the_next_picture_is_made(ids, china):
    backend, inputs = OnCpu(LITE, "fp32", Settings()), inputs_of(china[None, :32, :32])
    with pytest.raises(
        AdainError, match=r"\Athe graph stylize failed in ONNX Runtime \(strength must be float32, .*\)\Z"
    ):
        backend.run("stylize", inputs | {"strength": np.ones(1)})
    with pytest.raises(AdainError, match=r"\Athe graph stylize failed in ONNX Runtime \(.+\)\Z"):
        backend.run("stylize", inputs | {"style_mean": inputs["style_mean"][:, :64]})
    assert backend.run("stylize", inputs)[0].shape == (1, 32, 32, 3)


def test_where_graphs_cannot_be_captured_it_is_said_once_and_pictures_are_made(ids, china, monkeypatch, caplog):
    really, opened = module.open_session, []

    def refusing(path, graph, model, options, providers):
        opened.append(providers)
        if providers[0][1]["enable_cuda_graph"] == "1":
            raise AdainError("as all compute graph nodes have not been partitioned to the CUDA EP")
        return really(path, graph, model, options, [CPU])

    monkeypatch.setattr(module, "open_session", refusing)
    monkeypatch.setattr(OnCpu, "_providers", module.OnnxRuntimeCudaBackend._providers)
    backend = OnCpu(LITE, "fp32", Settings())
    for graph in ("encode", "stylize"):
        inputs = inputs_of(china[None, :32, :32])
        backend.run(graph, {tensor.name: inputs[tensor.name] for tensor in GRAPHS[graph].inputs})
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("CUDA graphs are not used: as all")
    assert [providers[0][1]["enable_cuda_graph"] for providers in opened] == ["1", "0", "0"]


def test_the_settings_are_those_for_the_precision():
    half, single = module._cuda_options("fp16", captures=True), module._cuda_options("fp32", captures=False)
    assert (half["prefer_nhwc"], half["enable_cuda_graph"]) == ("1", "1")
    assert (single["prefer_nhwc"], single["use_tf32"], single["enable_cuda_graph"]) == ("0", "0", "0")


def test_a_tensorrt_provider_is_told_the_sizes_of_our_own_engines(tmp_path, monkeypatch):
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path))
    backend = module.OnnxRuntimeTensorRtBackend(LITE, "fp16", Settings())
    (provider, options), (fallback, _) = backend._providers("stylize")
    assert (provider, fallback) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    assert options["trt_profile_opt_shapes"] == "image:1x512x512x3,style_mean:1x128,style_std:1x128,strength:1"
    assert options["trt_fp16_enable"] == "1"
    (folder,) = (tmp_path / "onnxruntime").iterdir()
    assert options["trt_engine_cache_path"] == options["trt_timing_cache_path"] == str(folder)
    assert folder.name.endswith("-fp16")


def test_the_tensorrt_rtx_plugin_is_registered_and_its_device_taken(tmp_path, monkeypatch):
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path))
    plugin, registered, given = ModuleType(module._RTX_PLUGIN), [], []
    plugin.get_library_path = lambda: "provider.so"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module._RTX_PLUGIN, plugin)
    gpu = SimpleNamespace(ep_name="NvTensorRTRTXExecutionProvider")
    fake = SimpleNamespace(**vars(onnxruntime))
    fake.register_execution_provider_library = lambda name, path: registered.append((name, path))
    fake.get_ep_devices = lambda: [gpu] if registered else []
    monkeypatch.setattr(module, "onnxruntime", fake)
    monkeypatch.setattr(
        module, "quiet_options", lambda: SimpleNamespace(add_provider_for_devices=lambda *what: given.append(what))
    )
    module._register_rtx.cache_clear()
    module.OnnxRuntimeTensorRtRtxBackend(LITE, "fp32", Settings())._options("encode")
    module._register_rtx.cache_clear()
    assert registered == [("NvTensorRTRTXExecutionProvider", "provider.so")]
    ((devices, options),) = given
    assert devices == [gpu]
    assert options["nv_profile_max_shapes"] == "image:8x1024x1024x3"
    assert options["enable_cuda_graph"] == "1"


def test_without_the_plugin_the_backend_is_unusable(monkeypatch):
    monkeypatch.setitem(sys.modules, module._RTX_PLUGIN, None)
    module._register_rtx.cache_clear()
    with pytest.raises(UnusableBackend, match=r"\Anot installed: pip install onnxruntime-ep-nv-tensorrt-rtx\Z"):
        module.OnnxRuntimeTensorRtRtxBackend(LITE, "fp32", Settings()).open("encode")


@pytest.mark.parametrize("backend", [module.OnnxRuntimeCudaBackend, module.OnnxRuntimeTensorRtBackend])
def test_without_the_provider_the_backend_is_unusable(backend, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path))
    if backend.provider in onnxruntime.get_available_providers():
        pytest.skip("the ONNX Runtime here has it")
    with pytest.raises(UnusableBackend, match=rf"\Athe ONNX Runtime here has no {backend.provider}; pip install"):
        backend(LITE, "fp32", Settings()).open("encode")
    assert capfd.readouterr() == ("", "")


def test_a_provider_that_does_not_come_up_makes_the_backend_unusable(monkeypatch):
    """A session goes on with the CPU by itself, where CUDA's libraries are missing."""
    monkeypatch.setattr(OnCpu, "_open_session", module._GpuBackend._open_session)
    monkeypatch.setattr(module, "open_session", lambda *_: SimpleNamespace(get_providers=list))
    with pytest.raises(UnusableBackend, match="check that CUDA and cuDNN are installed"):
        OnCpu(LITE, "fp32", Settings()).open("encode")


@pytest.fixture
def halved(monkeypatch) -> list[tuple[object, ...]]:
    """The graphs that the builder was asked to halve; it gives what no library loads."""
    asked: list[tuple[object, ...]] = []
    builder = SimpleNamespace(engine_graph=lambda *what: asked.append(what) or b"not a graph")
    monkeypatch.setattr(module, "load_builder", lambda _: builder)
    return asked


def test_without_fp16_graphs_the_builder_makes_them(halved):
    with pytest.raises(AdainError, match=r"encode\.onnx: the graph cannot be loaded"):
        OnCpu(LITE, "fp16", Settings(cuda_graph=False)).open("encode")
    assert halved == [(LITE, "encode", "fp16")]


@pytest.fixture
def with_fp16_graphs(tmp_path) -> Path:
    """A model directory whose fp16 graph is, for the test, a copy of the fp32 graph."""
    directory = Path(shutil.copytree(LITE, tmp_path / "mine", ignore=shutil.ignore_patterns("int8", "presets")))
    (directory / "fp16").mkdir()
    for name in ("encode.onnx", store.WEIGHTS_NAME):
        shutil.copy(directory / name, directory / "fp16")
    return directory


def test_fp16_graphs_of_the_same_weights_are_read_and_nothing_is_built(halved, with_fp16_graphs):
    OnCpu(with_fp16_graphs, "fp16", Settings()).open("encode")
    assert halved == []


def test_fp16_graphs_of_other_weights_are_passed_over(halved, with_fp16_graphs):
    path = with_fp16_graphs / "fp16" / "encode.onnx"
    model = onnx.load(path, load_external_data=False)
    next(entry for entry in model.metadata_props if entry.key == "weights_sha256").value = "0" * 64
    onnx.save(model, path)
    with pytest.raises(AdainError, match=r"encode\.onnx: the graph cannot be loaded"):
        OnCpu(with_fp16_graphs, "fp16", Settings(cuda_graph=False)).open("encode")
    assert len(halved) == 1


def test_closed_it_holds_no_bound_memory_and_no_session(ids, china):
    backend = OnCpu(LITE, "fp32", Settings())
    backend.run("encode", {"image": china[None, :32, :32]})
    backend.close()
    assert not backend._bindings
    assert not backend._sessions
