"""The TensorRT backends against a fake GPU and a fake TensorRT, which compute on the host what engines would."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Barrier, Thread

import numpy as np
import pytest
from tests.runtime import fake_cuda
from tests.runtime.fake_cuda import FakeArray, FakeCuda, FakeEngines, FakeTensorRt

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.backends import Settings, open_backend
from adain_rt.backends import plans as _plans
from adain_rt.backends.tensorrt import backend as backend_module
from adain_rt.backends.tensorrt import flavors
from adain_rt.contract import GRAPHS
from adain_rt.cuda import Gpu
from adain_rt.cuda.arrays import DeviceArray
from adain_rt.errors import UnusableBackend

LITE = store.model_dir("lite")
CHANNELS = 128


@dataclass
class Machine:
    """A fake GPU with a fake TensorRT."""

    cuda: FakeCuda
    trt: FakeTensorRt

    def open(self, flavor: str = "tensorrt", **settings: object):
        return backend_classes()[flavor](LITE, "fp32", Settings(**settings))


def backend_classes() -> dict[str, type]:
    return {"tensorrt": backend_module.TensorRtBackend, "tensorrt-rtx": backend_module.TensorRtRtxBackend}


@pytest.fixture
def machine(monkeypatch, tmp_path) -> Iterator[Machine]:
    cuda = FakeCuda()
    trt = FakeTensorRt(cuda)
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(backend_module, "open_cuda", lambda: cuda)
    monkeypatch.setattr(backend_module, "Engines", FakeEngines)
    monkeypatch.setattr(flavors, "library", lambda _: trt)
    monkeypatch.setattr(flavors, "logger", lambda _: None)
    yield Machine(cuda, trt)
    assert cuda.freed_early == 0


@pytest.fixture(scope="module")
def plain():
    """What runs the same graphs without a GPU."""
    return open_backend("onnxruntime", LITE)


def inputs_of(graph: str, image: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Inputs for a graph: pictures, and styles of no picture."""
    generator = np.random.default_rng(seed)
    sizes = {"N": len(image), "H": image.shape[1], "W": image.shape[2], "R": 2, "C": CHANNELS}
    made = {}
    for tensor in GRAPHS[graph].inputs:
        shape = tuple(sizes.get(size, size) for size in tensor.shape)
        made[tensor.name] = generator.uniform(0.2, 0.8, shape).astype(tensor.dtype)
        if tensor.dtype == "uint8":
            made[tensor.name] = generator.integers(0, 256, shape, np.uint8)
    return made | {"image": image}


def same(one, other) -> None:
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)
        assert left.dtype == right.dtype


@pytest.fixture
def image(china) -> np.ndarray:
    return np.ascontiguousarray(china[None, 200:248, 100:164])


def test_a_gpu_that_the_library_does_not_name_is_refused_before_an_engine_is_built(machine, monkeypatch):
    machine.cuda.gpu = Gpu("NVIDIA H200", "9.0", "13.0", 1 << 30)
    monkeypatch.setattr(backend_module, "RuntimeCache", None)
    said = r"\Atensorrt-rtx 1\.2\.3 has no engines for NVIDIA H200, of compute capability 9\.0: there are 8\.9, 12\.0\Z"
    with pytest.raises(UnusableBackend, match=said):
        machine.open("tensorrt-rtx")
    machine.open("tensorrt")  # which builds for the GPU at hand


@pytest.mark.parametrize("flavor", ["tensorrt", "tensorrt-rtx"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_every_graph_gives_what_it_gives_without_a_gpu(machine, plain, flavor, graph, image):
    backend = machine.open(flavor)
    for seed in range(4):  # plain, captured, replayed, with new numbers each time
        inputs = inputs_of(graph, np.roll(image, 9 * seed, axis=1), seed)
        same(backend.run(graph, inputs), plain.run(graph, inputs))


def test_the_first_run_is_plain_the_second_is_captured_and_the_others_replay_it(machine, plain, image):
    backend, inputs = machine.open(), inputs_of("stylize", image)
    backend.run("stylize", inputs)
    assert not {"capture", "launch"} & set(machine.cuda.calls)
    assert machine.cuda.calls.count("copy") == 5
    machine.cuda.calls.clear()
    backend.run("stylize", inputs)
    assert (machine.cuda.calls.count("capture"), machine.cuda.calls.count("launch")) == (1, 1)
    machine.cuda.calls.clear()
    made = backend.run("stylize", inputs)
    assert machine.cuda.calls == ["launch", "synchronize"]  # copies and all
    same(made, plain.run("stylize", inputs))


def test_a_picture_stays_as_it_is_when_the_next_is_made(machine, image):
    backend = machine.open()
    (made,) = backend.run("stylize", inputs_of("stylize", image))
    kept = made.copy()
    for seed in (1, 2, 3):
        backend.run("stylize", inputs_of("stylize", image, seed))
    np.testing.assert_array_equal(made, kept)


def test_without_cuda_graphs_nothing_is_captured(machine, plain, image):
    backend, inputs = machine.open(cuda_graph=False), inputs_of("stylize", image)
    for _ in range(3):
        same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert "capture" not in machine.cuda.calls


def test_a_capture_that_fails_is_said_once_and_pictures_are_made_all_the_same(machine, plain, image, caplog):
    machine.trt.breaks_captures = True
    backend = machine.open()
    for graph in ("stylize", "encode"):
        for _ in range(3):
            inputs = inputs_of(graph, image)
            same(backend.run(graph, inputs), plain.run(graph, inputs))
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("CUDA graphs are not used: ")


def test_what_cannot_capture_is_said_once(machine, plain, image, caplog):
    machine.cuda.can_capture = False
    backend, inputs = machine.open(), inputs_of("stylize", image)
    for _ in range(3):
        same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert caplog.messages == [
        "CUDA graphs cannot be captured through pycuda: pip install cuda-bindings for more speed"
    ]


def test_tensorrt_rtx_is_left_to_capture_and_to_specialise(machine, image):
    backend = machine.open("tensorrt-rtx")
    for _ in range(3):
        backend.run("stylize", inputs_of("stylize", image))
    (context,) = machine.trt.contexts
    assert context.how.cuda_graph_strategy == "whole graph"
    assert context.how.dynamic_shapes_kernel_specialization_strategy == "lazy"
    assert "capture" not in machine.cuda.calls
    machine.open("tensorrt-rtx", cuda_graph=False).run("stylize", inputs_of("stylize", image))
    assert machine.trt.contexts[-1].how.cuda_graph_strategy == "disabled"


def test_each_size_runs_in_the_profile_that_is_for_it(machine, plain, china):
    backend = machine.open()
    for height, width, profile in ((32, 48, 0), (96, 128, 1)):
        inputs = inputs_of("stylize", china[None, :height, :width])
        same(backend.run("stylize", inputs), plain.run("stylize", inputs))
        assert machine.trt.contexts[-1].profile == profile
    assert machine.trt.engines == 1  # one loaded engine for both


def test_a_batch_is_one_run(machine, plain, china):
    inputs = inputs_of("stylize", np.stack([china[:32, :32], china[32:64, 32:64], china[64:96, :32]]))
    same(machine.open().run("stylize", inputs), plain.run("stylize", inputs))
    assert machine.trt.contexts[0].enqueued == 1


def test_sizes_take_turns_without_new_contexts_or_memory(machine, plain, china):
    backend = machine.open()
    pictures = [inputs_of("stylize", china[None, :side, :side]) for side in (32, 64, 48)]
    for inputs in pictures:
        backend.run("stylize", inputs)
    for inputs in pictures:  # captured with the scratch memory that they share, now as large as it gets
        backend.run("stylize", inputs)
    before = machine.cuda.free_bytes()
    for _ in range(3):
        for inputs in pictures:
            same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert machine.cuda.free_bytes() == before
    assert len(machine.trt.contexts) == 3


def test_scratch_memory_is_what_the_size_needs_and_shared(machine, china):
    backend = machine.open()
    for side in (32, 64, 48):
        backend.run("encode", {"image": china[None, :side, :side]})
    assert {context.memory[0] for context in machine.trt.contexts[1:]} == {machine.trt.contexts[1].memory[0]}
    assert machine.trt.contexts[1].memory[1] == 64 * 64 * machine.trt.scratch


def test_a_captured_graph_is_captured_again_when_its_scratch_memory_has_moved(machine, plain, china):
    backend = machine.open()
    small, large = (inputs_of("stylize", china[None, :side, :side]) for side in (32, 64))
    for inputs in (small, small, large, small, small, small):
        same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert machine.cuda.calls.count("capture") == 2
    assert len(machine.cuda.graphs) == 1


def test_a_library_that_does_not_tell_gets_the_memory_of_the_whole_profile(machine, plain, image):
    machine.trt.scratch = 0
    inputs = inputs_of("stylize", image)
    same(machine.open().run("stylize", inputs), plain.run("stylize", inputs))
    assert machine.trt.contexts[0].memory[1] == 4 * 64 * 64 * 8


def test_the_sizes_used_last_are_kept_and_the_memory_of_others_is_freed(machine, plain, monkeypatch, china):
    monkeypatch.setattr(_plans, "_PLANS", 2)
    backend = machine.open()
    for side in (16, 24, 32, 40, 48, 56):
        for _ in range(2):
            inputs = inputs_of("stylize", china[None, :side, :side])
            same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert len(machine.trt.contexts) == 3  # what a plan leaves, the next one takes
    assert len(machine.cuda.graphs) == 2
    assert len(machine.cuda.memory) == 2 * 5 + 1


def test_what_is_kept_is_bounded_in_bytes_but_for_the_one_in_use(machine, monkeypatch, china):
    monkeypatch.setattr(_plans, "_STAGED_BYTES", 1)
    backend = machine.open()
    for side in (16, 24, 32):
        backend.run("encode", {"image": china[None, :side, :side]})
    assert len(machine.cuda.memory) == 3 + 1


def test_too_large_a_picture_is_one_line_that_names_the_size_that_fits(machine, plain, image, china):
    machine.cuda.gpu = Gpu("Small", "8.9", "13.0", 3 << 20)
    machine.trt.scratch = 100
    backend, small = machine.open(), inputs_of("stylize", image)
    same(backend.run("stylize", small), plain.run("stylize", small))
    with pytest.raises(
        AdainError, match=r"\A256x192 pixels may take \S+ GB of GPU memory, .* shorter side of 144 pixels"
    ):
        backend.run("stylize", inputs_of("stylize", china[None, :192, :256]))
    assert machine.cuda.memory == {}
    fitting = inputs_of("stylize", china[None, :144, :192])
    same(backend.run("stylize", fitting), plain.run("stylize", fitting))


def test_idle_lanes_make_room(machine, plain, china):
    """Two threads at once leave two lanes with memory; one large picture then needs what both have."""
    machine.cuda.gpu = Gpu("Small", "8.9", "13.0", 3 << 20)
    machine.trt.scratch = 100
    backend = machine.open()
    small, large = (inputs_of("stylize", china[None, :side, :side]) for side in (88, 160))
    lanes = [backend._lane(), backend._lane()]
    with machine.cuda.current(), lanes[0], lanes[1]:
        pass
    with ThreadPoolExecutor(2) as pool:
        barrier = Barrier(2)

        def both(_: int) -> None:
            barrier.wait()
            backend.run("stylize", small)

        list(pool.map(both, range(2)))
    same(backend.run("stylize", large), plain.run("stylize", large))


def test_threads_at_once_have_lanes_of_their_own(machine, plain, china):
    backend = machine.open()
    pictures = [inputs_of("stylize", china[None, at : at + 32, at : at + 48], at) for at in range(0, 160, 8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda inputs: backend.run("stylize", inputs), pictures * 3))
    for inputs, result in zip(pictures * 3, made, strict=True):
        same(result, plain.run("stylize", inputs))
    assert machine.trt.engines == 1
    assert len(machine.trt.contexts) <= 8


def test_a_gpu_that_is_lost_is_one_line_and_the_lane_comes_back(machine, plain, image):
    backend, inputs = machine.open(), inputs_of("stylize", image)
    machine.cuda.fail.add("synchronize")
    with pytest.raises(AdainError, match=r"\Athe GPU failed in synchronize \(cudaErrorUnknown: unknown error\)\Z"):
        backend.run("stylize", inputs)
    machine.cuda.fail.clear()
    same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert len(backend._lanes) == 1


def test_inputs_that_do_not_fit_are_refused_in_one_line_and_the_next_picture_is_made(machine, plain, image):
    backend, inputs = machine.open(), inputs_of("stylize", image)
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
    same(backend.run("stylize", inputs), plain.run("stylize", inputs))


@pytest.mark.parametrize("flavor", ["tensorrt", "tensorrt-rtx"])
def test_an_engine_that_is_refused_here_makes_the_backend_unusable(machine, flavor):
    machine.trt.refuses = True
    reason = "the log has what it said" if flavor == "tensorrt" else "unsupported cc"
    with pytest.raises(UnusableBackend, match=rf"does not run this engine on Imaginary 9000, .* 8\.9 \(.*{reason}\)"):
        machine.open(flavor).open("stylize")


def test_the_metadata_is_what_the_export_wrote(machine):
    assert machine.open().facts("encode").model == "lite"


def test_without_a_gpu_the_backend_is_unusable(machine, monkeypatch):
    def none() -> None:
        raise AdainError("no NVIDIA GPU is here, or its driver is missing or too old: none")

    monkeypatch.setattr(backend_module, "open_cuda", none)
    with pytest.raises(UnusableBackend, match=r"\Ano NVIDIA GPU is here, or its driver is missing or too old: none\Z"):
        machine.open()


def test_what_tensorrt_rtx_compiled_is_there_at_the_next_start(machine, image, tmp_path):
    machine.open("tensorrt-rtx").run("stylize", inputs_of("stylize", image))
    (entry,) = (tmp_path / "cache" / "tensorrt-rtx").iterdir()
    assert entry.read_bytes() == b"compiled:stylize"
    machine.open("tensorrt-rtx").run("encode", {"image": image})
    assert machine.trt.contexts[-1].how.cache.entries == {b"stylize", b"encode"}
    assert entry.read_bytes() == b"compiled:encode,stylize"


@pytest.mark.parametrize("content", [b"", b"of another driver"])
def test_a_runtime_cache_that_does_not_fit_is_replaced(machine, image, tmp_path, content):
    machine.open("tensorrt-rtx").run("stylize", inputs_of("stylize", image))
    (entry,) = (tmp_path / "cache" / "tensorrt-rtx").iterdir()
    entry.write_bytes(content)
    machine.open("tensorrt-rtx").run("stylize", inputs_of("stylize", image))
    assert entry.read_bytes() == b"compiled:stylize"


def test_where_no_runtime_cache_can_be_kept_pictures_are_made_all_the_same(machine, plain, image, tmp_path):
    (tmp_path / "cache").write_bytes(b"a file where the cache should be")
    inputs = inputs_of("stylize", image)
    same(machine.open("tensorrt-rtx").run("stylize", inputs), plain.run("stylize", inputs))


def on_device(machine: Machine, inputs: dict[str, np.ndarray], stream: int = 1) -> dict[str, FakeArray]:
    return {name: FakeArray(machine.cuda, value, stream) for name, value in inputs.items()}


def read(machine: Machine, array: DeviceArray) -> np.ndarray:
    """What is in an array of ours now, without waiting for anything."""
    nbytes = int(np.prod(array.shape)) * array.dtype.itemsize
    return machine.cuda.view(array.address, nbytes).view(array.dtype).reshape(array.shape).copy()


@pytest.mark.parametrize("graph", GRAPHS)
def test_arrays_on_the_gpu_are_taken_where_they_are(machine, plain, image, graph):
    backend = machine.open()
    for seed in range(3):
        inputs = inputs_of(graph, image, seed)
        arrays = on_device(machine, inputs)
        made = backend.run_on_device(graph, arrays)
        same([read(machine, array) for array in made], plain.run(graph, inputs))
        context = machine.trt.contexts[0]
        assert {name: array.address for name, array in arrays.items()}.items() <= context.addresses.items()
    assert "copy" not in machine.cuda.calls


def test_a_picture_on_the_gpu_goes_with_a_style_from_the_host(machine, plain, image):
    backend = machine.open()
    for seed in range(3):
        inputs = inputs_of("stylize", image, seed)
        (made,) = backend.run_on_device("stylize", inputs | {"image": FakeArray(machine.cuda, image)})
        same([read(machine, made)], plain.run("stylize", inputs))


def test_the_output_goes_into_an_array_that_is_given(machine, plain, image):
    backend = machine.open()
    inputs, target = inputs_of("stylize", image), FakeArray(machine.cuda, np.zeros_like(image))
    (made,) = backend.run_on_device("stylize", on_device(machine, inputs), {"stylized": target})
    assert made is target
    same([target.numpy()], plain.run("stylize", inputs))


def test_the_same_arrays_again_are_captured_and_replayed_with_their_new_content(machine, plain, image):
    backend, stream = machine.open(), 1
    inputs, target = inputs_of("stylize", image), FakeArray(machine.cuda, np.zeros_like(image))
    arrays = on_device(machine, inputs)
    for seed in range(4):
        fresh = inputs_of("stylize", image, seed)
        for name, array in arrays.items():
            content = np.ascontiguousarray(fresh[name]).view(np.uint8).reshape(-1)
            machine.cuda.put(
                stream, lambda a=array, c=content: machine.cuda.view(a.address, c.nbytes).__setitem__(slice(None), c)
            )
        backend.run_on_device("stylize", arrays, {"stylized": target}, stream=stream)
        same([target.numpy()], plain.run("stylize", fresh))
    assert machine.cuda.calls.count("capture") == 1


def test_other_arrays_are_not_mistaken_for_those_that_were_captured(machine, plain, image):
    backend = machine.open()
    pairs = [(inputs, on_device(machine, inputs)) for inputs in (inputs_of("stylize", image, seed) for seed in (0, 1))]
    for inputs, arrays in (pairs[0], pairs[0], pairs[0], pairs[1], pairs[0]):
        (made,) = backend.run_on_device("stylize", arrays)
        same([read(machine, made)], plain.run("stylize", inputs))


def test_with_a_stream_nothing_is_waited_for_on_the_host_and_the_order_is_right(machine, plain, image):
    backend, inputs = machine.open(), inputs_of("stylize", image)
    with machine.cuda.current():
        stream = machine.cuda.create_stream()
    held = backend.run_on_device("stylize", on_device(machine, inputs, stream), stream=stream)  # makes the context
    arrays = on_device(machine, inputs, stream)  # made by work that has not begun
    machine.cuda.calls.clear()
    (made,) = backend.run_on_device("stylize", arrays, stream=stream)
    assert "synchronize" not in machine.cuda.calls
    assert (read(machine, made) == 0xCD).all()  # as nobody has waited yet
    with machine.cuda.current():
        machine.cuda.synchronize(stream)
    same([read(machine, made)], plain.run("stylize", inputs))
    same([read(machine, held[0])], plain.run("stylize", inputs))


def test_what_is_under_way_is_waited_for_before_its_staging_is_written_again(machine, plain, image):
    backend, made = machine.open(), []
    for seed in range(3):
        inputs = inputs_of("stylize", image, seed)
        made += backend.run_on_device("stylize", inputs | {"image": FakeArray(machine.cuda, image)}, stream=1)
    host = inputs_of("stylize", image, 9)
    same(backend.run("stylize", host), plain.run("stylize", host))
    with machine.cuda.current():
        machine.cuda.synchronize(1)
    for seed, array in enumerate(made):
        same([read(machine, array)], plain.run("stylize", inputs_of("stylize", image, seed)))


def test_what_is_on_the_callers_stream_is_waited_for_where_arrays_do_not_say_so(machine, plain, image):
    inputs = inputs_of("stylize", image)
    with machine.cuda.current():
        stream = machine.cuda.create_stream()
    arrays = on_device(machine, inputs, stream)
    for array in arrays.values():
        array.stream = None
    backend = machine.open()
    (made,) = backend.run_on_device("stylize", arrays, stream=stream)
    with machine.cuda.current():
        backend._lanes[0].settle()  # the lane gets to work first
        machine.cuda.synchronize(stream)
    same([read(machine, made)], plain.run("stylize", inputs))


def test_what_is_under_way_is_waited_for_before_its_memory_is_freed(machine, plain, monkeypatch, china):
    monkeypatch.setattr(_plans, "_PLANS", 1)
    backend, made = machine.open(), []
    pictures = [np.ascontiguousarray(china[None, :side, :side]) for side in (32, 48, 32)]
    for picture in pictures:
        inputs = inputs_of("stylize", picture) | {"image": FakeArray(machine.cuda, picture)}
        made += backend.run_on_device("stylize", inputs, stream=1)
    with machine.cuda.current():
        machine.cuda.synchronize(1)
    for array, picture in zip(made, pictures, strict=True):
        same([read(machine, array)], plain.run("stylize", inputs_of("stylize", picture)))


def test_no_room_for_the_output_is_one_line_and_leaves_nothing(machine, china):
    inputs = inputs_of("stylize", np.ascontiguousarray(china[None, :160, :160]))
    arrays = on_device(machine, inputs)
    with machine.cuda.current():
        machine.cuda.synchronize(1)
    there = len(machine.cuda.memory)
    machine.trt.scratch = 100
    left = 160 * 160 * 100 + 1000
    machine.cuda.gpu = Gpu("Small", "8.9", "13.0", (1 << 30) - machine.cuda.free_bytes() + left)
    with pytest.raises(
        AdainError, match=r"\A160x160 pixels may take \S+ GB of GPU memory, and 0\.0 GB are free; .*152"
    ):
        machine.open().run_on_device("stylize", arrays)
    assert len(machine.cuda.memory) == there


def test_the_default_stream_is_named_as_the_protocols_do(machine, image):
    (made,) = machine.open().run_on_device("stylize", on_device(machine, inputs_of("stylize", image)), stream=0)
    assert made.__cuda_array_interface__["stream"] == 1
    with machine.cuda.current():
        machine.cuda.synchronize(1)


def test_our_arrays_are_inputs_as_well(machine, plain, image):
    backend, inputs = machine.open(), inputs_of("stylize", image)
    first = backend.run_on_device("stylize", on_device(machine, inputs), stream=1)
    (second,) = backend.run_on_device("stylize", inputs | {"image": first[0]})
    (expected,) = plain.run("stylize", inputs)
    same([read(machine, second)], plain.run("stylize", inputs | {"image": expected}))


def test_an_array_that_does_not_fit_is_refused_and_the_next_is_taken(machine, plain, image):
    backend, inputs = machine.open(), inputs_of("stylize", image)
    wrong = on_device(machine, inputs) | {"image": FakeArray(machine.cuda, image.astype(np.float32))}
    with pytest.raises(AdainError, match=r"image must be uint8 \(1, 48, 64, 3\), not f4"):
        backend.run_on_device("stylize", wrong)
    with pytest.raises(AdainError, match="the graph stylize has no output picture"):
        backend.run_on_device("stylize", inputs, {"picture": None})
    (made,) = backend.run_on_device("stylize", on_device(machine, inputs))
    same([read(machine, made)], plain.run("stylize", inputs))


def test_nothing_is_left_when_backend_and_arrays_are_gone(machine, image):
    backend, inputs = machine.open(), inputs_of("stylize", image)
    made = []
    for _ in range(3):
        backend.run("stylize", inputs)
        made += backend.run_on_device("stylize", inputs)
    del backend, made
    gc.collect()
    assert (machine.cuda.memory, machine.cuda.pinned, machine.cuda.graphs, machine.cuda.events) == ({}, {}, {}, {})
    assert list(machine.cuda.streams) == [1]


def test_a_thread_of_any_kind_may_be_the_last_to_hold_an_array(machine, image):
    held = [machine.open().run_on_device("stylize", inputs_of("stylize", image))]
    thread = Thread(target=held.clear)
    thread.start()
    thread.join()
    gc.collect()
    assert machine.cuda.memory == {}


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


def test_what_is_said_goes_to_the_toolkits_log():
    assert _plans._LOG is logging.getLogger("adain_rt")


def test_a_stripped_engine_is_given_its_weights_once_before_it_runs(machine, plain, image, monkeypatch):
    given = []
    monkeypatch.setattr(FakeEngines, "weights", "stripped")
    monkeypatch.setattr(backend_module, "refit", lambda _, file, directory: given.append((file.path, directory)))
    backend, inputs = machine.open(), inputs_of("stylize", image)
    for _ in range(2):
        same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert given == [(LITE / "stylize.engine", LITE)]


@pytest.mark.parametrize("compatible", [False, True])
def test_code_in_an_engine_is_allowed_where_it_was_built_to_bring_a_library_of_its_own(
    machine, image, monkeypatch, compatible
):
    monkeypatch.setattr(FakeEngines, "version_compatible", compatible)
    allowed = []
    deserialize = fake_cuda._Runtime.deserialize_cuda_engine

    def noted(runtime, content):
        allowed.append(runtime.engine_host_code_allowed)
        return deserialize(runtime, content)

    monkeypatch.setattr(fake_cuda._Runtime, "deserialize_cuda_engine", noted)
    machine.open().run("stylize", inputs_of("stylize", image))
    assert allowed == [compatible]
