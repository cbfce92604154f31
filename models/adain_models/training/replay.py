"""A function that a GPU replays as a CUDA graph, so that the processor launches one thing and not thousands."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["Replay"]

_EAGER = 2  # calls of a shape before its capture: libraries make plans and take memory then, which a capture may not


@dataclass(frozen=True)
class _Capture:
    graph: torch.cuda.CUDAGraph
    arguments: tuple[Any, ...]  # which the graph reads
    result: Tensor  # which it writes


class Replay:
    """A function of tensors, captured as a CUDA graph for each combination of their shapes, from the third call on.

    On a processor it is the function itself. A step of training launches thousands of small kernels, which takes a
    processor longer than a large GPU needs to run them.

    Args:
        function: gives a tensor. It may change tensors in place, such as weights, but never waits for the GPU, and
            whatever else it reads is the same in every call.
        device: where the tensors are.

    """

    def __init__(self, function: Callable[..., Tensor], device: str) -> None:
        self._function = function
        self.captures = device == "cuda"
        """Whether the function is captured."""
        if self.captures:
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            self._pool = torch.cuda.graph_pool_handle()  # of all captures: none runs while another does
        self._calls: Counter[tuple[torch.Size, ...]] = Counter()
        self._captured: dict[tuple[torch.Size, ...], _Capture] = {}

    def __call__(self, *arguments: Any) -> Tensor:
        """Return the function's result.

        Args:
            arguments: tensors, or mappings, sequences and dataclasses of tensors.

        """
        if not self.captures:
            return self._function(*arguments)
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = self._run(arguments)
        current.wait_stream(self._stream)
        return result

    def _run(self, arguments: tuple[Any, ...]) -> Tensor:
        tensors = list(_tensors(arguments))
        shapes = tuple(tensor.shape for tensor in tensors)
        self._calls[shapes] += 1
        if self._calls[shapes] <= _EAGER:
            return self._function(*arguments)
        if shapes not in self._captured:
            self._captured[shapes] = self._capture(arguments)
        captured = self._captured[shapes]
        for held, tensor in zip(_tensors(captured.arguments), tensors, strict=True):
            held.copy_(tensor)
        captured.graph.replay()
        return captured.result.clone()  # the next replay of any graph writes over it

    def _capture(self, arguments: tuple[Any, ...]) -> _Capture:
        held = deepcopy(arguments)
        gc.collect()  # a graph of a run that is over would be destroyed in the middle of the capture, and spoil it
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, self._pool, self._stream):
            result = self._function(*held)
        return _Capture(graph, held, result)


def _tensors(each: Any) -> Iterator[Tensor]:
    """Yield the tensors in tensors, mappings, sequences and dataclasses, always in one order."""
    if isinstance(each, Tensor):
        yield each
        return
    parts = each if isinstance(each, Sequence) else (each if isinstance(each, Mapping) else vars(each)).values()
    for part in parts:
        yield from _tensors(part)
