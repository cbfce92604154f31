"""Work that is captured into CUDA graphs, and replayed."""

from __future__ import annotations

import numpy as np
from tests.inputs import random_inputs
from tests.runtime.backends.tensorrt.machine import assert_same


def test_the_first_run_is_plain_the_second_is_captured_and_the_others_replay_it(machine, plain, image):
    backend, inputs = machine.open(), random_inputs("stylize", image)
    backend.run("stylize", inputs)
    assert not {"capture", "launch"} & set(machine.cuda.calls)
    assert machine.cuda.calls.count("copy") == 5
    machine.cuda.calls.clear()
    backend.run("stylize", inputs)
    assert (machine.cuda.calls.count("capture"), machine.cuda.calls.count("launch")) == (1, 1)
    machine.cuda.calls.clear()
    made = backend.run("stylize", inputs)
    assert machine.cuda.calls == ["launch", "synchronize"]  # copies and all
    assert_same(made, plain.run("stylize", inputs))


def test_a_picture_stays_as_it_is_when_the_next_is_made(machine, image):
    backend = machine.open()
    (made,) = backend.run("stylize", random_inputs("stylize", image))
    kept = made.copy()
    for seed in (1, 2, 3):
        backend.run("stylize", random_inputs("stylize", image, seed=seed))
    np.testing.assert_array_equal(made, kept)


def test_without_cuda_graphs_nothing_is_captured(machine, plain, image):
    backend, inputs = machine.open(cuda_graph=False), random_inputs("stylize", image)
    for _ in range(3):
        assert_same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert "capture" not in machine.cuda.calls


def test_a_capture_that_fails_is_said_once_and_pictures_are_made_all_the_same(machine, plain, image, caplog):
    machine.trt.breaks_captures = True
    backend = machine.open()
    for graph in ("stylize", "encode"):
        for _ in range(3):
            inputs = random_inputs(graph, image)
            assert_same(backend.run(graph, inputs), plain.run(graph, inputs))
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("CUDA graphs are not used: ")


def test_what_cannot_capture_is_said_once(machine, plain, image, caplog):
    machine.cuda.can_capture = False
    backend, inputs = machine.open(), random_inputs("stylize", image)
    for _ in range(3):
        assert_same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert caplog.messages == [
        "CUDA graphs cannot be captured through pycuda: pip install cuda-bindings for more speed"
    ]


def test_tensorrt_rtx_is_left_to_capture_and_to_specialise(machine, image):
    backend = machine.open("tensorrt-rtx")
    for _ in range(3):
        backend.run("stylize", random_inputs("stylize", image))
    (context,) = machine.trt.contexts
    assert context.how.cuda_graph_strategy == "whole graph"
    assert context.how.dynamic_shapes_kernel_specialization_strategy == "lazy"
    assert "capture" not in machine.cuda.calls
    machine.open("tensorrt-rtx", cuda_graph=False).run("stylize", random_inputs("stylize", image))
    assert machine.trt.contexts[-1].how.cuda_graph_strategy == "disabled"


def test_a_captured_graph_is_captured_again_when_its_scratch_memory_has_moved(machine, plain, china):
    backend = machine.open()
    small, large = (random_inputs("stylize", china[None, :side, :side]) for side in (32, 64))
    for inputs in (small, small, large, small, small, small):
        assert_same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert machine.cuda.calls.count("capture") == 2
    assert len(machine.cuda.graphs) == 1
