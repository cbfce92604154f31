"""Memory on the GPU: what sizes share, what is freed, and what threads have of their own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from tests.inputs import random_inputs
from tests.runtime.backends.tensorrt.machine import assert_same

from adain_models.errors import AdainError
from adain_rt.backends import plans
from adain_rt.cuda import Gpu


def test_sizes_take_turns_without_new_contexts_or_memory(machine, plain, china):
    backend = machine.open()
    pictures = [random_inputs("stylize", china[None, :side, :side]) for side in (32, 64, 48)]
    for inputs in pictures:
        backend.run("stylize", inputs)
    for inputs in pictures:  # captured with the scratch memory that they share, now as large as it gets
        backend.run("stylize", inputs)
    before = machine.cuda.free_bytes()
    for _ in range(3):
        for inputs in pictures:
            assert_same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert machine.cuda.free_bytes() == before
    assert len(machine.trt.contexts) == 3


def test_scratch_memory_is_what_the_size_needs_and_shared(machine, china):
    backend = machine.open()
    for side in (32, 64, 48):
        backend.run("encode", {"image": china[None, :side, :side]})
    assert {context.memory[0] for context in machine.trt.contexts[1:]} == {machine.trt.contexts[1].memory[0]}
    assert machine.trt.contexts[1].memory[1] == 64 * 64 * machine.trt.scratch


def test_a_library_that_does_not_tell_gets_the_memory_of_the_whole_profile(machine, plain, image):
    machine.trt.scratch = 0
    inputs = random_inputs("stylize", image)
    assert_same(machine.open().run("stylize", inputs), plain.run("stylize", inputs))
    assert machine.trt.contexts[0].memory[1] == 4 * 64 * 64 * 8


def test_the_sizes_used_last_are_kept_and_the_memory_of_others_is_freed(machine, plain, monkeypatch, china):
    monkeypatch.setattr(plans, "_PLANS", 2)
    backend = machine.open()
    for side in (16, 24, 32, 40, 48, 56):
        for _ in range(2):
            inputs = random_inputs("stylize", china[None, :side, :side])
            assert_same(backend.run("stylize", inputs), plain.run("stylize", inputs))
    assert len(machine.trt.contexts) == 3  # what a plan leaves, the next one takes
    assert len(machine.cuda.graphs) == 2
    assert len(machine.cuda.memory) == 2 * 5 + 1


def test_what_is_kept_is_bounded_in_bytes_but_for_the_one_in_use(machine, monkeypatch, china):
    monkeypatch.setattr(plans, "_STAGED_BYTES", 1)
    backend = machine.open()
    for side in (16, 24, 32):
        backend.run("encode", {"image": china[None, :side, :side]})
    assert len(machine.cuda.memory) == 3 + 1


def test_too_large_a_picture_is_one_line_that_names_the_size_that_fits(machine, plain, image, china):
    machine.cuda.gpu = Gpu("Small", "8.9", "13.0", 3 << 20)
    machine.trt.scratch = 100
    backend, small = machine.open(), random_inputs("stylize", image)
    assert_same(backend.run("stylize", small), plain.run("stylize", small))
    with pytest.raises(
        AdainError, match=r"\A256x192 pixels may take \S+ GB of GPU memory, .* shorter side of 144 pixels"
    ):
        backend.run("stylize", random_inputs("stylize", china[None, :192, :256]))
    assert machine.cuda.memory == {}
    fitting = random_inputs("stylize", china[None, :144, :192])
    assert_same(backend.run("stylize", fitting), plain.run("stylize", fitting))


def test_idle_lanes_make_room(machine, plain, china):
    """Two threads at once leave two lanes with memory; one large picture then needs what both have."""
    machine.cuda.gpu = Gpu("Small", "8.9", "13.0", 3 << 20)
    machine.trt.scratch = 100
    backend = machine.open()
    small, large = (random_inputs("stylize", china[None, :side, :side]) for side in (88, 160))
    lanes = [backend._lane(), backend._lane()]
    with machine.cuda.current(), lanes[0], lanes[1]:
        pass
    with ThreadPoolExecutor(2) as pool:
        barrier = Barrier(2)

        def both(_: int) -> None:
            barrier.wait()
            backend.run("stylize", small)

        list(pool.map(both, range(2)))
    assert_same(backend.run("stylize", large), plain.run("stylize", large))


def test_threads_at_once_have_lanes_of_their_own(machine, plain, china):
    backend = machine.open()
    pictures = [random_inputs("stylize", china[None, at : at + 32, at : at + 48], seed=at) for at in range(0, 160, 8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda inputs: backend.run("stylize", inputs), pictures * 3))
    for inputs, result in zip(pictures * 3, made, strict=True):
        assert_same(result, plain.run("stylize", inputs))
    assert machine.trt.engines == 1
    assert len(machine.trt.contexts) <= 8


@pytest.mark.parametrize("flavor", ["tensorrt", "tensorrt-rtx"])
def test_closed_it_holds_nothing_on_the_gpu(machine, image, flavor):
    backend = machine.open(flavor)
    for _ in range(2):
        backend.run("stylize", random_inputs("stylize", image))
    backend.close()
    assert (machine.cuda.memory, machine.cuda.pinned, machine.cuda.events, machine.cuda.graphs) == ({}, {}, {}, {})
    assert not backend._opened
