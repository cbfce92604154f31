"""ONNX Runtime's memory on a GPU: what is bound for each size of a graph, and which sizes are captured."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_rt.backends.onnxruntime.quiet import onnxruntime
from adain_rt.contract import GRAPHS, TensorSpec

__all__ = ["Bindings"]

_BINDINGS = 8
"""How many sizes keep their memory, beside those that are captured."""

_CAPTURES = 16
"""How many sizes of a graph are captured at most: ONNX Runtime frees no capture before the session."""

_NOT_CAPTURED = -1
"""The number that tells ONNX Runtime to run without a CUDA graph."""

_Shapes = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _Bound:
    """Memory on the GPU for a graph's inputs and outputs of one size."""

    binding: Any
    inputs: dict[str, Any]
    outputs: list[Any]


class Bindings:
    """Runs one graph on memory that stays bound for each size. One thread may use it at a time.

    Args:
        session: the graph's.
        graph: its name in the contract.
        channels: C, the model's feature channels.
        captures: whether a size that comes again is captured as a CUDA graph.

    """

    def __init__(self, session: onnxruntime.InferenceSession, graph: str, channels: int, *, captures: bool) -> None:
        self._session = session
        self._spec = GRAPHS[graph]
        self._channels = channels
        self._captures = captures
        self._numbers: dict[_Shapes, int] = {}
        self._bound: OrderedDict[_Shapes, _Bound] = OrderedDict()

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Return the graph's outputs, as copies on the host."""
        shapes = tuple(inputs[tensor.name].shape for tensor in self._spec.inputs)
        again = shapes in self._bound
        if not again:
            self._bound[shapes] = self._bind(shapes)
        self._bound.move_to_end(shapes)
        if again and self._captures and len(self._numbers) < _CAPTURES:
            self._numbers.setdefault(shapes, len(self._numbers) + 1)  # 0 is ONNX Runtime's own
        self._drop_oldest()
        bound = self._bound[shapes]
        for tensor in self._spec.inputs:
            _check_type(tensor, inputs[tensor.name])
            bound.inputs[tensor.name].update_inplace(np.ascontiguousarray(inputs[tensor.name]))
        options = onnxruntime.RunOptions()
        if self._captures:
            options.add_run_config_entry("gpu_graph_id", str(self._numbers.get(shapes, _NOT_CAPTURED)))
        self._session.run_with_iobinding(bound.binding, options)
        return tuple(output.numpy() for output in bound.outputs)

    def _bind(self, shapes: _Shapes) -> _Bound:
        named = {tensor.name: shape for tensor, shape in zip(self._spec.inputs, shapes, strict=True)}
        sizes = {"C": self._channels} | self._spec.sizes_of(named)
        binding = self._session.io_binding()
        inputs = {tensor.name: _allocate(tensor, tensor.sized(sizes)) for tensor in self._spec.inputs}
        outputs = [_allocate(tensor, tensor.sized(sizes)) for tensor in self._spec.outputs]
        for name, value in inputs.items():
            binding.bind_ortvalue_input(name, value)
        for tensor, value in zip(self._spec.outputs, outputs, strict=True):
            binding.bind_ortvalue_output(tensor.name, value)
        return _Bound(binding, inputs, outputs)

    def _drop_oldest(self) -> None:
        """Drop the sizes that were unused for longest. Captured sizes stay, as their addresses are fixed."""
        free = [shapes for shapes in self._bound if shapes not in self._numbers]
        for shapes in free[:-_BINDINGS]:
            del self._bound[shapes]


def _allocate(tensor: TensorSpec, shape: tuple[int, ...]) -> Any:
    """Return memory on the GPU for a tensor."""
    return onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(shape), np.dtype(tensor.dtype).type, "cuda", 0)


def _check_type(tensor: TensorSpec, array: NDArray[Any]) -> None:
    """Refuse numbers of another type: bound memory takes the bytes as they are."""
    if array.dtype != tensor.dtype:
        raise TypeError(f"{tensor.name} must be {tensor.dtype}, not {array.dtype}")
