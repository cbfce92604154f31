"""Backends on a real GPU: graphs, threads, memory, refusals."""

from __future__ import annotations

import logging
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from adain_models.errors import AdainError
from adain_rt import cuda
from adain_rt.backends import BACKENDS, Settings, open_backend
from adain_rt.cuda import Copy, OutOfGpuMemory
from adain_rt.cuda.owners import DeviceBuffer, Graph, PinnedBuffer, Stream
from adain_rt.errors import UnusableBackend

from .conftest import LITE

pytestmark = pytest.mark.gpu


def distance(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.fixture
def gpu():
    opened = cuda.open_cuda()
    with opened.current():
        yield opened


def test_bytes_go_there_and_back_plain_and_captured(gpu):
    stream = Stream(gpu)
    sent, received = (PinnedBuffer(gpu, (1000,), "uint8") for _ in range(2))
    there, further = DeviceBuffer(gpu, 1000), DeviceBuffer(gpu, 1000)

    def work() -> None:
        stream.copy(there.handle, sent.handle, 1000, Copy.TO_DEVICE)
        stream.copy(further.handle, there.handle, 1000, Copy.ON_DEVICE)
        stream.copy(received.handle, further.handle, 1000, Copy.TO_HOST)

    graph = Graph(gpu, stream, work) if gpu.can_capture else None
    for number in range(4):
        sent.array[:] = np.arange(1000) % 251 + number % 3
        stream.launch(graph) if graph and number % 2 else work()
        stream.synchronize()
        np.testing.assert_array_equal(received.array, sent.array)


def test_one_stream_waits_for_another(gpu):
    first, then = Stream(gpu), Stream(gpu)
    sent, received = PinnedBuffer(gpu, (1 << 24,), "uint8"), PinnedBuffer(gpu, (1 << 24,), "uint8")
    there = DeviceBuffer(gpu, 1 << 24)
    for number in range(1, 5):
        sent.array[:] = number
        first.copy(there.handle, sent.handle, 1 << 24, Copy.TO_DEVICE)
        then.wait_for(first.handle)
        then.copy(received.handle, there.handle, 1 << 24, Copy.TO_HOST)
        then.awaited_by(first.handle)
        then.synchronize()
        assert (received.array == number).all()


def test_too_much_memory_is_refused_and_a_little_is_still_given(gpu):
    with pytest.raises(OutOfGpuMemory):
        gpu.allocate(gpu.gpu.total_bytes * 2)
    DeviceBuffer(gpu, 1 << 20).close()


def test_replaying_a_graph_makes_what_launching_does(opened, on_device, inputs_of, caplog):
    plain, graphs = (opened(on_device, "fp16", cuda_graph=on) for on in (False, True))
    with caplog.at_level(logging.WARNING, "adain_rt"):
        for seed in range(6):
            inputs = inputs_of("stylize", 256, 320, seed=seed)
            (one,), (other,) = plain.run("stylize", inputs), graphs.run("stylize", inputs)
            assert one.std() > 20
            specialised = on_device == "tensorrt-rtx"  # it may have specialised one of them
            assert distance(one, other) <= (2 if specialised else 0)
    assert not [message for message in caplog.messages if "CUDA graphs" in message]


def test_sizes_in_any_order_make_what_each_makes_alone(opened, on_device, inputs_of):
    backend = opened(on_device, "fp32")
    pictures = [inputs_of("stylize", height, width) for height, width in ((64, 64), (256, 320), (512, 512), (16, 400))]
    alone = [backend.run("stylize", inputs)[0] for inputs in pictures]
    for place in np.random.default_rng(0).integers(0, len(pictures), 40):
        assert distance(backend.run("stylize", pictures[place])[0], alone[place]) <= 1


def test_threads_at_once_make_what_one_makes(opened, name, inputs_of):
    backend = opened(name, "fp16")
    pictures = [inputs_of("stylize", height, 192, seed=seed) for seed, height in enumerate((128, 192) * 8)]
    alone = [backend.run("stylize", inputs)[0] for inputs in pictures]
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda inputs: backend.run("stylize", inputs)[0], pictures * 4))
    for one, other in zip(made, alone * 4, strict=True):
        assert distance(one, other) <= 2


def test_a_thousand_runs_leave_no_memory_behind(opened, on_device, inputs_of, gpu):
    backend = opened(on_device, "fp16")
    pictures = [inputs_of("stylize", side, side) for side in range(64, 320, 16)]  # more sizes than are kept

    def runs(count: int) -> int:
        for number in range(count):
            backend.run("stylize", pictures[number % len(pictures)])
            backend.run_on_device("stylize", pictures[0])
        return gpu.free_bytes()

    runs(64)
    time.sleep(2)  # for what is compiled in the background
    before = runs(64)
    assert before - runs(1000) < 16 << 20


def test_too_large_a_picture_is_one_line_and_the_next_smaller_is_made(opened, on_device, inputs_of, gpu):
    backend = opened(on_device, "fp16")
    small = inputs_of("stylize", 64, 64)
    (before,) = backend.run("stylize", small)
    held = []
    while gpu.free_bytes() > 400 << 20:
        held.append(DeviceBuffer(gpu, min(gpu.free_bytes() - (300 << 20), 4 << 30)))
    try:
        with pytest.raises(AdainError, match=r"\A4096x4096 pixels .* GB of GPU memory, .*shorter side of \d+ pixels"):
            backend.run("stylize", inputs_of("stylize", 4096, 4096))
        assert distance(backend.run("stylize", small)[0], before) <= 2
    finally:
        for buffer in held:
            buffer.close()


@pytest.fixture
def folder(opened, flavor, cache, tmp_path) -> Path:
    """The engines of one flavour, in a folder of the test's own."""
    backend = opened(flavor, "fp16")
    copied = tmp_path / "engines"
    copied.mkdir()
    for graph in ("encode", "stylize"):
        file, _ = backend._engines.find(graph, {"N": 1, "H": 64, "W": 64})
        for suffix in (".engine", ".json"):
            shutil.copy(file.path.with_suffix(suffix), copied)
    return copied


def test_engines_are_taken_from_a_folder(flavor, folder, inputs_of):
    backend = open_backend(flavor, LITE, "fp16", Settings(engines=folder))
    assert backend.run("stylize", inputs_of("stylize", 64, 64))[0].std() > 20


def test_an_engine_with_other_bytes_is_refused(flavor, folder, inputs_of):
    for path in folder.glob("*.engine"):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 255
        path.write_bytes(content)
    backend = open_backend(flavor, LITE, "fp16", Settings(engines=folder))
    with pytest.raises(AdainError, match="is not the engine that its manifest describes"):
        backend.run("stylize", inputs_of("stylize", 64, 64))


def test_what_is_no_engine_is_refused_even_when_it_is_trusted(flavor, folder, inputs_of):
    for path in folder.glob("*.engine"):
        path.write_bytes(b"not an engine" * 1000)
    backend = open_backend(flavor, LITE, "fp16", Settings(engines=folder, trust_engines=True))
    with pytest.raises(UnusableBackend, match="does not run this engine on"):
        backend.run("stylize", inputs_of("stylize", 64, 64))


def test_an_engine_in_anothers_place_is_refused(flavor, folder, inputs_of):
    (encode,) = folder.glob("*-encode-*.engine")
    (stylize,) = folder.glob("*-stylize-*.engine")
    shutil.copy(encode, stylize)
    backend = open_backend(flavor, LITE, "fp16", Settings(engines=folder, trust_engines=True))
    with pytest.raises(AdainError, match="is not the graph stylize"):
        backend.run("stylize", inputs_of("stylize", 64, 64))


def test_what_tensorrt_rtx_compiled_is_kept(opened, cache, inputs_of):
    if hindrance := BACKENDS["tensorrt-rtx"].hindrance():
        pytest.skip(hindrance)
    opened("tensorrt-rtx", "fp16").run("stylize", inputs_of("stylize", 64, 64))
    assert [entry.stat().st_size > 0 for entry in (cache / "tensorrt-rtx").iterdir()] == [True]
