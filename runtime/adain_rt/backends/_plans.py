"""TensorRT at work: what is prepared for a size once and run again and again, one picture at a time on each lane."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.contract import GRAPHS, TensorSpec
from adain_rt.cuda import Copy, Cuda, OutOfGpuMemory
from adain_rt.cuda.owners import DeviceBuffer, Graph, PinnedBuffer, Stream

if TYPE_CHECKING:
    import tensorrt as trt  # whose types both libraries share

__all__ = ["Capturing", "Lane", "NoRoom", "OpenedEngine", "Plan", "Request"]

_LOG = logging.getLogger("adain_rt")

_PLANS = 8
_STAGED_BYTES = 256 << 20
"""How many plans a lane keeps, and how many bytes in all; those used last, and always the one in use."""


class NoRoom(OutOfGpuMemory):
    """A plan does not fit into the GPU's memory. ``needed`` is how many bytes it takes, all in all."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"{needed} bytes do not fit into the GPU's memory")
        self.needed = needed


@dataclass(frozen=True)
class Request:
    """What a plan is for.

    Attributes:
        graph: one of the contract's.
        shapes: of its inputs, in the contract's order.
        staged: the tensors that come from the host, or go there; the others are in the GPU's memory, and not ours.

    """

    graph: str
    shapes: tuple[tuple[int, ...], ...]
    staged: frozenset[str]


@dataclass(frozen=True)
class OpenedEngine:
    """An engine that is loaded. ``key`` tells it from others; ``new_context`` makes a context without memory."""

    library: str
    key: Hashable
    engine: trt.ICudaEngine
    new_context: Callable[[], trt.IExecutionContext | None]


class Capturing:
    """Whether work is captured into CUDA graphs. Where that fails it is given up, and said once."""

    def __init__(self, cuda: Cuda, *, wanted: bool) -> None:
        self._cuda = cuda
        self.on = wanted and cuda.can_capture
        if wanted and not cuda.can_capture:
            _LOG.warning("CUDA graphs cannot be captured through pycuda: pip install cuda-bindings for more speed")

    def capture(self, stream: Stream, work: Callable[[], None]) -> Graph | None:
        """Return what ``work`` puts on a stream, or ``None`` if it cannot be captured."""
        try:
            return Graph(self._cuda, stream, work)
        except AdainError as error:
            if self.on:
                _LOG.warning("CUDA graphs are not used: %s", error)
            self.on = False
            return None


class _Staging:
    """A tensor's memory on the GPU and its counterpart on the host."""

    def __init__(self, cuda: Cuda, shape: tuple[int, ...], dtype: str) -> None:
        self.host = PinnedBuffer(cuda, shape, dtype)
        self.device = DeviceBuffer(cuda, self.host.nbytes)

    def close(self) -> None:
        self.device.close()
        self.host.close()


class Plan:
    """A graph for one size: a context that is set for it, its buffers, and its work, captured when it comes again.

    A context of its own, as NVIDIA advises for each captured graph; the scratch memory is the lane's. The first run
    is never captured, since it settles what the new shapes put off.

    Attributes:
        pool: which contexts may take the place of this one's.
        context: TensorRT's.
        shapes: of all tensors, by name.
        needed: the bytes that it works on in the GPU's memory, be they its own or not.

    """

    def __init__(
        self, lane: Lane, opened: OpenedEngine, profile: int, context: trt.IExecutionContext, request: Request
    ) -> None:
        spec = GRAPHS[request.graph]
        self.pool = (opened.key, profile)
        self.context = context
        self._library = opened.library
        self._lane = lane
        for tensor, shape in zip(spec.inputs, request.shapes, strict=True):
            if not context.set_input_shape(tensor.name, shape):
                raise AdainError(
                    f"the graph {request.graph} failed in {self._library} ({tensor.name} may not be {shape})"
                )
        self.shapes = {tensor.name: shape for tensor, shape in zip(spec.inputs, request.shapes, strict=True)}
        self.shapes |= {tensor.name: _dimensions(context.get_tensor_shape(tensor.name)) for tensor in spec.outputs}
        self._scratch_bytes = _scratch_bytes(opened.engine, context, profile)
        self.needed = self._scratch_bytes + sum(map(self._bytes, (*spec.inputs, *spec.outputs)))
        self._scratch: DeviceBuffer | None = None
        self._foreign: Mapping[str, int] = {}
        self._graph: Graph | None = None
        self._ran = False
        self._inputs: dict[str, _Staging] = {}
        self._outputs: dict[str, _Staging] = {}
        self._allocate(request)

    @property
    def nbytes(self) -> int:
        """How much memory is the plan's own on the GPU, and on the host as well."""
        return sum(staging.device.nbytes for staging in (*self._inputs.values(), *self._outputs.values()))

    def write(self, inputs: Mapping[str, NDArray[Any]]) -> None:
        """Put what comes from the host where the GPU fetches it; no run of this plan may be under way."""
        for name, staging in self._inputs.items():
            np.copyto(staging.host.array, inputs[name])

    def bind(self, addresses: Mapping[str, int]) -> None:
        """Let the other tensors be at these addresses from the next run on."""
        if addresses == self._foreign:
            return
        self._forget_capture()
        for name, address in addresses.items():
            self._check(self.context.set_tensor_address(name, address), f"take {name} at its address")
        self._foreign = dict(addresses)

    def launch(self, capturing: Capturing) -> None:
        """Put the work on the lane's stream."""
        self._attach_scratch()
        if self._graph is None and self._ran and capturing.on:
            self._graph = capturing.capture(self._lane.stream, self._work)
        if self._graph is not None:
            self._lane.stream.launch(self._graph)
        else:
            self._work()
        self._ran = True

    def read(self) -> tuple[NDArray[Any], ...]:
        """Return copies of what went to the host; the stream must have been waited for."""
        return tuple(staging.host.array.copy() for staging in self._outputs.values())

    def close(self) -> None:
        """Free all but the context; the stream must have been waited for."""
        self._forget_capture()
        for staging in (*self._inputs.values(), *self._outputs.values()):
            staging.close()

    def _attach_scratch(self) -> None:
        """Give the lane's scratch memory to the context, where it is not the same as before."""
        try:
            scratch = self._lane.scratch(self._scratch_bytes)
        except OutOfGpuMemory:
            raise NoRoom(self.needed) from None
        if scratch is not self._scratch:
            self._forget_capture()
            self._scratch = scratch
            if scratch is not None:
                self.context.set_device_memory(scratch.handle, scratch.nbytes)

    def _work(self) -> None:
        stream = self._lane.stream
        for staging in self._inputs.values():
            stream.copy(staging.device.handle, staging.host.handle, staging.host.nbytes, Copy.TO_DEVICE)
        self._check(self.context.execute_async_v3(stream.handle), "run the engine")
        for staging in self._outputs.values():
            stream.copy(staging.host.handle, staging.device.handle, staging.host.nbytes, Copy.TO_HOST)

    def _allocate(self, request: Request) -> None:
        spec = GRAPHS[request.graph]
        try:
            for tensors, stagings in ((spec.inputs, self._inputs), (spec.outputs, self._outputs)):
                for tensor in tensors:
                    if tensor.name in request.staged:
                        stagings[tensor.name] = _Staging(self._lane.cuda, self.shapes[tensor.name], tensor.dtype)
            self._attach_scratch()
            for name, staging in (self._inputs | self._outputs).items():
                self._check(self.context.set_tensor_address(name, staging.device.handle), f"take {name}")
        except BaseException as error:
            self.close()
            if isinstance(error, OutOfGpuMemory):
                raise NoRoom(self.needed) from None
            raise

    def _bytes(self, tensor: TensorSpec) -> int:
        return int(math.prod(self.shapes[tensor.name]) * np.dtype(tensor.dtype).itemsize)

    def _forget_capture(self) -> None:
        """Drop the graph, whose addresses are no more; the next run is a plain one."""
        if self._graph is not None:
            self._lane.stream.synchronize()
            self._graph.close()
            self._graph = None
        self._ran = False

    def _check(self, done: bool, what: str) -> None:
        if not done:
            raise AdainError(f"{self._library} could not {what}; the log has what it said")


class Lane:
    """A stream with its scratch memory and its plans; one thread works on it at a time."""

    def __init__(self, cuda: Cuda) -> None:
        self.cuda = cuda
        self.stream = Stream(cuda)
        self.busy = False
        self._scratch: DeviceBuffer | None = None
        self._plans: OrderedDict[Request, Plan] = OrderedDict()
        self._spare: dict[tuple[Hashable, int], list[trt.IExecutionContext]] = {}

    def find(self, request: Request) -> Plan | None:
        """Return the plan for this, if it is there."""
        plan = self._plans.get(request)
        if plan is not None:
            self._plans.move_to_end(request)
        return plan

    def prepare(self, request: Request, opened: OpenedEngine, profile: int) -> Plan:
        """Make a plan, in the place of those that were not used for longest.

        Raises:
            NoRoom: it does not fit into the GPU's memory.
            AdainError: TensorRT refuses.

        """
        spares = self._spare.setdefault((opened.key, profile), [])
        context = spares.pop() if spares else self._new_context(opened, profile)
        try:
            plan = Plan(self, opened, profile, context, request)
        except BaseException:
            spares.append(context)
            raise
        self._plans[request] = plan
        while len(self._plans) > 1 and (len(self._plans) > _PLANS or self._staged_bytes() > _STAGED_BYTES):
            self._drop(next(iter(self._plans)))
        return plan

    def scratch(self, nbytes: int) -> DeviceBuffer | None:
        """Return memory of at least so many bytes for the plan in use, ``None`` for none; all plans share it."""
        if nbytes and (self._scratch is None or self._scratch.nbytes < nbytes):
            self.settle()
            if self._scratch is not None:
                self._scratch.close()
                self._scratch = None  # before there is another: both may not fit
            self._scratch = DeviceBuffer(self.cuda, nbytes)
        return self._scratch if nbytes else None

    def settle(self) -> None:
        """Wait until nothing is under way."""
        self.busy = False
        self.stream.synchronize()

    def clear(self) -> None:
        """Free all memory on the GPU; contexts stay, for new plans."""
        self.settle()
        for request in list(self._plans):
            self._drop(request)
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None

    def _new_context(self, opened: OpenedEngine, profile: int) -> trt.IExecutionContext:
        context = opened.new_context()
        if context is None or not context.set_optimization_profile_async(profile, self.stream.handle):
            raise AdainError(f"{opened.library} could not make a context for an engine; the log has what it said")
        self.stream.synchronize()
        return context

    def _staged_bytes(self) -> int:
        return sum(plan.nbytes for plan in self._plans.values())

    def _drop(self, request: Request) -> None:
        self.settle()
        plan = self._plans.pop(request)
        plan.close()
        self._spare[plan.pool].append(plan.context)


def _scratch_bytes(engine: trt.ICudaEngine, context: trt.IExecutionContext, profile: int) -> int:
    """Return what memory a context needs for the shapes that are set, or for all of its profile if it does not tell."""
    return context.update_device_memory_size_for_shapes() or engine.get_device_memory_size_for_profile_v2(profile)


def _dimensions(shape: trt.Dims) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in range(len(shape)))
