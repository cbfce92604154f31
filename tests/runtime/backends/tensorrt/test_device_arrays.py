"""Arrays in the GPU's memory as inputs and outputs, without a copy and in the order of streams."""

from __future__ import annotations

import gc
from threading import Thread

import numpy as np
import pytest
from tests.inputs import random_inputs
from tests.runtime.backends.tensorrt.machine import assert_same
from tests.runtime.fake_cuda import FakeArray

from adain_models.errors import AdainError
from adain_rt.backends import plans
from adain_rt.contract import GRAPHS
from adain_rt.cuda import Gpu


@pytest.mark.parametrize("graph", GRAPHS)
def test_arrays_on_the_gpu_are_taken_where_they_are(machine, plain, image, graph):
    backend = machine.open()
    for seed in range(3):
        inputs = random_inputs(graph, image, seed=seed)
        arrays = machine.put(inputs)
        made = backend.run_on_device(graph, arrays)
        assert_same([machine.read(array) for array in made], plain.run(graph, inputs))
        context = machine.trt.contexts[0]
        assert {name: array.address for name, array in arrays.items()}.items() <= context.addresses.items()
    assert "copy" not in machine.cuda.calls


def test_a_picture_on_the_gpu_goes_with_a_style_from_the_host(machine, plain, image):
    backend = machine.open()
    for seed in range(3):
        inputs = random_inputs("stylize", image, seed=seed)
        (made,) = backend.run_on_device("stylize", inputs | {"image": FakeArray(machine.cuda, image)})
        assert_same([machine.read(made)], plain.run("stylize", inputs))


def test_the_output_goes_into_an_array_that_is_given(machine, plain, image):
    backend = machine.open()
    inputs, target = random_inputs("stylize", image), FakeArray(machine.cuda, np.zeros_like(image))
    (made,) = backend.run_on_device("stylize", machine.put(inputs), {"stylized": target})
    assert made is target
    assert_same([target.numpy()], plain.run("stylize", inputs))


def test_the_same_arrays_again_are_captured_and_replayed_with_their_new_content(machine, plain, image):
    backend, stream = machine.open(), 1
    inputs, target = random_inputs("stylize", image), FakeArray(machine.cuda, np.zeros_like(image))
    arrays = machine.put(inputs)
    for seed in range(4):
        fresh = random_inputs("stylize", image, seed=seed)
        for name, array in arrays.items():
            content = np.ascontiguousarray(fresh[name]).view(np.uint8).reshape(-1)
            machine.cuda.put(
                stream, lambda a=array, c=content: machine.cuda.view(a.address, c.nbytes).__setitem__(slice(None), c)
            )
        backend.run_on_device("stylize", arrays, {"stylized": target}, stream=stream)
        assert_same([target.numpy()], plain.run("stylize", fresh))
    assert machine.cuda.calls.count("capture") == 1


def test_other_arrays_are_not_mistaken_for_those_that_were_captured(machine, plain, image):
    backend = machine.open()
    pairs = [
        (inputs, machine.put(inputs)) for inputs in (random_inputs("stylize", image, seed=seed) for seed in (0, 1))
    ]
    for inputs, arrays in (pairs[0], pairs[0], pairs[0], pairs[1], pairs[0]):
        (made,) = backend.run_on_device("stylize", arrays)
        assert_same([machine.read(made)], plain.run("stylize", inputs))


def test_with_a_stream_nothing_is_waited_for_on_the_host_and_the_order_is_right(machine, plain, image):
    backend, inputs = machine.open(), random_inputs("stylize", image)
    with machine.cuda.current():
        stream = machine.cuda.create_stream()
    held = backend.run_on_device("stylize", machine.put(inputs, stream), stream=stream)  # makes the context
    arrays = machine.put(inputs, stream)  # made by work that has not begun
    machine.cuda.calls.clear()
    (made,) = backend.run_on_device("stylize", arrays, stream=stream)
    assert "synchronize" not in machine.cuda.calls
    assert (machine.read(made) == 0xCD).all()  # as nobody has waited yet
    with machine.cuda.current():
        machine.cuda.synchronize(stream)
    assert_same([machine.read(made)], plain.run("stylize", inputs))
    assert_same([machine.read(held[0])], plain.run("stylize", inputs))


def test_what_is_under_way_is_waited_for_before_its_staging_is_written_again(machine, plain, image):
    backend, made = machine.open(), []
    for seed in range(3):
        inputs = random_inputs("stylize", image, seed=seed)
        made += backend.run_on_device("stylize", inputs | {"image": FakeArray(machine.cuda, image)}, stream=1)
    host = random_inputs("stylize", image, seed=9)
    assert_same(backend.run("stylize", host), plain.run("stylize", host))
    with machine.cuda.current():
        machine.cuda.synchronize(1)
    for seed, array in enumerate(made):
        assert_same([machine.read(array)], plain.run("stylize", random_inputs("stylize", image, seed=seed)))


def test_what_is_on_the_callers_stream_is_waited_for_where_arrays_do_not_say_so(machine, plain, image):
    inputs = random_inputs("stylize", image)
    with machine.cuda.current():
        stream = machine.cuda.create_stream()
    arrays = machine.put(inputs, stream)
    for array in arrays.values():
        array.stream = None
    backend = machine.open()
    (made,) = backend.run_on_device("stylize", arrays, stream=stream)
    with machine.cuda.current():
        backend._lanes[0].settle()  # the lane gets to work first
        machine.cuda.synchronize(stream)
    assert_same([machine.read(made)], plain.run("stylize", inputs))


def test_what_is_under_way_is_waited_for_before_its_memory_is_freed(machine, plain, monkeypatch, china):
    monkeypatch.setattr(plans, "_PLANS", 1)
    backend, made = machine.open(), []
    pictures = [np.ascontiguousarray(china[None, :side, :side]) for side in (32, 48, 32)]
    for picture in pictures:
        inputs = random_inputs("stylize", picture) | {"image": FakeArray(machine.cuda, picture)}
        made += backend.run_on_device("stylize", inputs, stream=1)
    with machine.cuda.current():
        machine.cuda.synchronize(1)
    for array, picture in zip(made, pictures, strict=True):
        assert_same([machine.read(array)], plain.run("stylize", random_inputs("stylize", picture)))


def test_no_room_for_the_output_is_one_line_and_leaves_nothing(machine, china):
    inputs = random_inputs("stylize", np.ascontiguousarray(china[None, :160, :160]))
    arrays = machine.put(inputs)
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
    (made,) = machine.open().run_on_device("stylize", machine.put(random_inputs("stylize", image)), stream=0)
    assert made.__cuda_array_interface__["stream"] == 1
    with machine.cuda.current():
        machine.cuda.synchronize(1)


def test_our_arrays_are_inputs_as_well(machine, plain, image):
    backend, inputs = machine.open(), random_inputs("stylize", image)
    first = backend.run_on_device("stylize", machine.put(inputs), stream=1)
    (second,) = backend.run_on_device("stylize", inputs | {"image": first[0]})
    (expected,) = plain.run("stylize", inputs)
    assert_same([machine.read(second)], plain.run("stylize", inputs | {"image": expected}))


def test_an_array_that_does_not_fit_is_refused_and_the_next_is_taken(machine, plain, image):
    backend, inputs = machine.open(), random_inputs("stylize", image)
    wrong = machine.put(inputs) | {"image": FakeArray(machine.cuda, image.astype(np.float32))}
    with pytest.raises(AdainError, match=r"image must be uint8 \(1, 48, 64, 3\), not f4"):
        backend.run_on_device("stylize", wrong)
    with pytest.raises(AdainError, match="the graph stylize has no output picture"):
        backend.run_on_device("stylize", inputs, {"picture": None})
    (made,) = backend.run_on_device("stylize", machine.put(inputs))
    assert_same([machine.read(made)], plain.run("stylize", inputs))


def test_nothing_is_left_when_backend_and_arrays_are_gone(machine, image):
    backend, inputs = machine.open(), random_inputs("stylize", image)
    made = []
    for _ in range(3):
        backend.run("stylize", inputs)
        made += backend.run_on_device("stylize", inputs)
    del backend, made
    gc.collect()
    assert (machine.cuda.memory, machine.cuda.pinned, machine.cuda.graphs, machine.cuda.events) == ({}, {}, {}, {})
    assert list(machine.cuda.streams) == [1]


def test_a_thread_of_any_kind_may_be_the_last_to_hold_an_array(machine, image):
    held = [machine.open().run_on_device("stylize", random_inputs("stylize", image))]
    thread = Thread(target=held.clear)
    thread.start()
    thread.join()
    gc.collect()
    assert machine.cuda.memory == {}
