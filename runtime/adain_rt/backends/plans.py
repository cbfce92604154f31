"""Plans, each of which is prepared for a size once and run many times, and lanes, each of which runs one at a time."""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.contract import GRAPHS, TensorSpec
from adain_rt.cuda import Copy, Cuda, OutOfGpuMemory
from adain_rt.cuda.owners import DeviceBuffer, Graph, PinnedBuffer, Stream

__all__ = ["Capturing", "Lane", "NoRoom", "Plan", "Request"]

_LOG = logging.getLogger("adain_rt")

_PLANS = 8
"""How many plans a lane keeps: those that were used last."""

_STAGED_BYTES = 256 << 20
"""How many bytes the plans of a lane keep together; the plan in use stays whatever it takes."""


class NoRoom(OutOfGpuMemory):
    """A plan does not fit into the GPU's memory. ``needed`` is how many bytes it takes in all."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"{needed} bytes do not fit into the GPU's memory")
        self.needed = needed


class _Captured(Protocol):
    """A captured graph of any library."""

    def close(self) -> None:
        """Free it; its stream must be idle."""


@dataclass(frozen=True)
class Request:
    """What a plan is made for.

    Attributes:
        graph: one of the contract's.
        shapes: the shapes of its inputs, in the contract's order.
        staged: the tensors that come from the host or go there; the others are the caller's, in the GPU's memory.

    """

    graph: str
    shapes: tuple[tuple[int, ...], ...]
    staged: frozenset[str]

    @property
    def sizes(self) -> dict[str, int]:
        """The size of each letter in the shapes of the graph's inputs."""
        spec = GRAPHS[self.graph]
        return spec.sizes_of({tensor.name: shape for tensor, shape in zip(spec.inputs, self.shapes, strict=True)})


class Capturing:
    """Decides whether work is captured into CUDA graphs. Where a capture fails, one warning is logged and none follows.

    Args:
        cuda: the GPU.
        wanted: whether the settings ask for it.

    """

    def __init__(self, cuda: Cuda, *, wanted: bool) -> None:
        self._cuda = cuda
        self.on = wanted and cuda.can_capture
        if wanted and not cuda.can_capture:
            _LOG.warning("CUDA graphs cannot be captured through pycuda: pip install cuda-bindings for more speed")

    def attempt(self, capture: Callable[[], _Captured]) -> _Captured | None:
        """Return what ``capture`` returns, or ``None`` if it fails."""
        try:
            return capture()
        except OutOfGpuMemory:
            raise
        except AdainError as error:
            if self.on:
                _LOG.warning("CUDA graphs are not used: %s", error)
            self.on = False
            return None


class _Staging:
    """A tensor's memory on the GPU, with its counterpart on the host."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: str) -> None:
        self.host = PinnedBuffer(cuda, shape, dtype)
        self.device = DeviceBuffer(cuda, self.host.nbytes)

    def close(self) -> None:
        self.device.close()
        self.host.close()


class Plan(ABC):
    """A graph prepared for one size: its buffers, and its work, which is captured at the second run.

    The first run is never captured, since libraries finish then what they put off for new shapes.

    Attributes:
        lane: where it runs.
        request: what it is made for.
        shapes: the shapes of all tensors, by name.
        needed: the bytes of the GPU's memory that it works on, its own and the caller's.

    Args:
        lane: where it runs.
        request: what it is made for.
        shapes: the shapes of all tensors, by name.
        scratch_bytes: the bytes that it needs beside its tensors.

    Raises:
        NoRoom: the plan does not fit into the GPU's memory.

    """

    def __init__(
        self, lane: Lane[Any], request: Request, shapes: Mapping[str, tuple[int, ...]], scratch_bytes: int = 0
    ) -> None:
        self.lane = lane
        self.request = request
        self.shapes = shapes
        spec = GRAPHS[request.graph]
        self.needed = scratch_bytes + sum(map(self._bytes, (*spec.inputs, *spec.outputs)))
        self._foreign: Mapping[str, int] = {}
        self._graph: _Captured | None = None
        self._ran = False
        self._inputs: dict[str, _Staging] = {}
        self._outputs: dict[str, _Staging] = {}
        try:
            for tensors, stagings in ((spec.inputs, self._inputs), (spec.outputs, self._outputs)):
                for tensor in tensors:
                    if tensor.name in request.staged:
                        stagings[tensor.name] = _Staging(lane.cuda, shapes[tensor.name], tensor.dtype)
            self.prepare()
            for name, staging in (self._inputs | self._outputs).items():
                self.place(name, staging.device.handle)
        except BaseException as error:
            self.close()
            if isinstance(error, OutOfGpuMemory):
                raise NoRoom(self.needed) from None
            raise

    @abstractmethod
    def prepare(self) -> None:
        """Get what a run needs beside its tensors; called before each run, and before the first tensor is placed."""

    @abstractmethod
    def place(self, name: str, address: int) -> None:
        """Set the address of a tensor from the next run on."""

    @abstractmethod
    def compute(self) -> None:
        """Put what the graph computes on the lane's stream."""

    @property
    def nbytes(self) -> int:
        """The bytes that the plan owns on the GPU; it owns as many on the host."""
        return sum(staging.device.nbytes for staging in (*self._inputs.values(), *self._outputs.values()))

    def write(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Copy what comes from the host to where the GPU fetches it; no run of this plan may be under way."""
        for name, staging in self._inputs.items():
            np.copyto(staging.host.array, inputs[name])

    def bind(self, addresses: Mapping[str, int]) -> None:
        """Set the addresses of the caller's tensors from the next run on."""
        if addresses == self._foreign:
            return
        self.forget_capture()
        for name, address in addresses.items():
            self.place(name, address)
        self._foreign = dict(addresses)

    def launch(self, capturing: Capturing) -> None:
        """Put the work on the lane's stream."""
        try:
            self.prepare()
        except OutOfGpuMemory:
            raise NoRoom(self.needed) from None
        if self._graph is None and self._ran and capturing.on:
            self._graph = capturing.attempt(lambda: self.lane.capture(self._work))
        if self._graph is not None:
            self.lane.launch(self._graph)
        else:
            self._work()
        self._ran = True

    def read(self) -> tuple[NDArray[Any], ...]:
        """Return copies of the outputs that went to the host; the stream must be idle."""
        return tuple(staging.host.array.copy() for staging in self._outputs.values())

    def close(self) -> None:
        """Free what the plan owns; the stream must be idle."""
        self.forget_capture()
        for staging in (*self._inputs.values(), *self._outputs.values()):
            staging.close()

    def forget_capture(self) -> None:
        """Drop the captured graph, since its addresses have changed; the next run is a plain one."""
        if self._graph is not None:
            self.lane.stream.synchronize()
            self._graph.close()
            self._graph = None
        self._ran = False

    def _work(self) -> None:
        stream = self.lane.stream
        for staging in self._inputs.values():
            stream.copy(staging.device.handle, staging.host.handle, staging.host.nbytes, Copy.TO_DEVICE)
        self.compute()
        for staging in self._outputs.values():
            stream.copy(staging.host.handle, staging.device.handle, staging.host.nbytes, Copy.TO_HOST)

    def _bytes(self, tensor: TensorSpec) -> int:
        return int(math.prod(self.shapes[tensor.name]) * np.dtype(tensor.dtype).itemsize)


P = TypeVar("P", bound=Plan)


class Lane(Generic[P]):
    """A stream with its plans. One thread works on it at a time."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.stream = Stream(cuda)
        self.busy = False
        self._plans: OrderedDict[Request, P] = OrderedDict()

    def find(self, request: Request) -> P | None:
        """Return the plan for a request, or ``None``."""
        plan = self._plans.get(request)
        if plan is not None:
            self._plans.move_to_end(request)
        return plan

    def keep(self, plan: P) -> P:
        """Keep a plan, and drop those that were unused for longest where there are too many."""
        self._plans[plan.request] = plan
        while len(self._plans) > 1 and (len(self._plans) > _PLANS or self._staged_bytes() > _STAGED_BYTES):
            self.drop(next(iter(self._plans)))
        return plan

    def drop(self, request: Request) -> P:
        """Close a plan, and return it."""
        self.settle()
        plan = self._plans.pop(request)
        plan.close()
        return plan

    def capture(self, work: Callable[[], None]) -> _Captured:
        """Return the graph of what ``work`` puts on the stream."""
        return Graph(self.cuda, self.stream, work)

    def launch(self, graph: Any) -> None:
        """Put a captured graph on the stream."""
        self.stream.launch(graph)

    def settle(self) -> None:
        """Wait until nothing is under way."""
        self.busy = False
        self.stream.synchronize()

    def clear(self) -> None:
        """Free all memory on the GPU."""
        self.settle()
        for request in list(self._plans):
            self.drop(request)

    def close(self) -> None:
        """Free all that the lane has; it may not be used afterwards."""
        self.clear()
        self.stream.close()

    def _staged_bytes(self) -> int:
        return sum(plan.nbytes for plan in self._plans.values())
