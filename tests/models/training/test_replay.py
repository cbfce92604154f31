"""A step is captured for each shape of its arguments; ``tests/gpu`` has the same on a GPU."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from adain_models.training.replay import Replay


@dataclass(frozen=True)
class Pair:
    one: Tensor
    others: dict[str, list[Tensor]]


class Step:
    """A function, with how often it was called, and a stand-in for the graph that it is captured in."""

    calls = replays = captures = 0
    held: tuple[object, ...]
    result: Tensor

    def __call__(self, pair: Pair, factor: Tensor) -> Tensor:
        self.calls += 1
        self.held = (pair, factor)
        self.result = self.compute(pair, factor)
        return self.result

    @staticmethod
    def compute(pair: Pair, factor: Tensor) -> Tensor:
        return factor * (pair.one.sum() + sum(each.sum() for of in pair.others.values() for each in of))


@pytest.fixture
def step(monkeypatch) -> Step:
    """A step, on what behaves like PyTorch's module for CUDA."""
    step = Step()

    class Graph:
        replay: Callable[[], None]

    @contextmanager
    def graph(made: Graph, *_: object) -> Iterator[None]:
        step.captures += 1
        yield
        held, result = step.held, step.result
        result.zero_()  # a capture computes nothing

        def replay() -> None:
            step.replays += 1
            result.copy_(step.compute(*held))

        made.replay = replay

    stream = SimpleNamespace(wait_stream=lambda _: None)
    for name, stand_in in {
        "Stream": lambda: stream,
        "current_stream": lambda: stream,
        "stream": nullcontext,
        "graph_pool_handle": lambda: None,
        "CUDAGraph": Graph,
        "graph": graph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return step


def pair(number: int, length: int = 3) -> Pair:
    return Pair(torch.full((length,), float(number)), {"a": [torch.ones(2)], "b": [torch.zeros(1), torch.ones(1)]})


def test_the_third_call_of_a_shape_is_captured_and_later_ones_are_replayed(step):
    replay = Replay(step, "cuda")
    results = [replay(pair(number), torch.tensor(2.0)) for number in range(5)]
    assert [result.item() for result in results] == [2 * (3 * number + 3) for number in range(5)]
    assert (step.calls, step.captures, step.replays) == (3, 1, 3)


def test_each_shape_has_a_capture_of_its_own(step):
    replay = Replay(step, "cuda")
    for number in range(4):
        for length in (2, 5):
            assert replay(pair(number, length), torch.tensor(1.0)).item() == length * number + 3
    assert (step.calls, step.captures, step.replays) == (6, 2, 4)


def test_on_a_processor_it_is_the_function(step):
    replay = Replay(step, "cpu")
    assert [replay(pair(number), torch.tensor(1.0)).item() for number in range(4)] == [3, 6, 9, 12]
    assert (step.calls, step.captures) == (4, 0)
