"""TensorRT's plans and lanes: a context for each size, and scratch memory that a lane's contexts share."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adain_models.errors import AdainError
from adain_rt.backends.plans import Lane, Plan, Request
from adain_rt.contract import GRAPHS
from adain_rt.cuda import Cuda
from adain_rt.cuda.owners import DeviceBuffer

if TYPE_CHECKING:
    import tensorrt as trt  # whose types both libraries share

__all__ = ["EngineLane", "EnginePlan", "OpenedEngine"]


@dataclass(frozen=True)
class OpenedEngine:
    """A loaded engine.

    Attributes:
        library: the name of its library.
        key: what distinguishes it from other engines.
        engine: the engine itself.
        new_context: makes a context without memory.

    """

    library: str
    key: Hashable
    engine: trt.ICudaEngine
    new_context: Callable[[], trt.IExecutionContext | None]


class EnginePlan(Plan):
    """A context that is set for one size.

    A context of its own, as NVIDIA advises for each captured graph; the scratch memory is the lane's.

    Attributes:
        pool: the engine and the profile of the context, which another plan with the same two may take over.
        context: TensorRT's execution context.

    """

    def __init__(
        self, lane: EngineLane, opened: OpenedEngine, profile: int, context: trt.IExecutionContext, request: Request
    ) -> None:
        spec = GRAPHS[request.graph]
        self.pool = (opened.key, profile)
        self.context = context
        self._library = opened.library
        self._engine_lane = lane
        self._scratch: DeviceBuffer | None = None
        for tensor, shape in zip(spec.inputs, request.shapes, strict=True):
            if not context.set_input_shape(tensor.name, shape):
                raise AdainError(
                    f"the graph {request.graph} failed in {self._library} ({tensor.name} may not be {shape})"
                )
        shapes = {tensor.name: shape for tensor, shape in zip(spec.inputs, request.shapes, strict=True)}
        shapes |= {tensor.name: _dimensions(context.get_tensor_shape(tensor.name)) for tensor in spec.outputs}
        self._scratch_bytes = _scratch_bytes(opened.engine, context, profile)
        super().__init__(lane, request, shapes, self._scratch_bytes)

    def prepare(self) -> None:
        """Give the lane's scratch memory to the context, if it is not the same as before."""
        scratch = self._engine_lane.scratch(self._scratch_bytes)
        if scratch is not self._scratch:
            self.forget_capture()
            self._scratch = scratch
            if scratch is not None:
                self.context.set_device_memory(scratch.handle, scratch.nbytes)

    def place(self, name: str, address: int) -> None:
        """Let a tensor be at this address from the next run on."""
        self._check(self.context.set_tensor_address(name, address), f"take {name} at its address")

    def compute(self) -> None:
        """Put the engine's work on the lane's stream."""
        self._check(self.context.execute_async_v3(self.lane.stream.handle), "run the engine")

    def _check(self, done: bool, what: str) -> None:
        if not done:
            raise AdainError(f"{self._library} could not {what}", hint="see the log of adain_rt.tensorrt")


class EngineLane(Lane[EnginePlan]):
    """A lane whose contexts are used again, and share scratch memory."""

    def __init__(self, cuda: Cuda) -> None:
        super().__init__(cuda)
        self._scratch: DeviceBuffer | None = None
        self._spare: dict[tuple[Hashable, int], list[trt.IExecutionContext]] = {}

    def prepare(self, request: Request, opened: OpenedEngine, profile: int) -> EnginePlan:
        """Make a plan; the plans that were not used for longest give up their place.

        Raises:
            NoRoom: the plan does not fit into the GPU's memory.
            AdainError: TensorRT cannot make it.

        """
        spares = self._spare.setdefault((opened.key, profile), [])
        context = spares.pop() if spares else self._new_context(opened, profile)
        try:
            plan = EnginePlan(self, opened, profile, context, request)
        except BaseException:
            spares.append(context)
            raise
        return self.keep(plan)

    def scratch(self, nbytes: int) -> DeviceBuffer | None:
        """Return memory of at least so many bytes for the plan in use, ``None`` for none; all plans share it."""
        if nbytes and (self._scratch is None or self._scratch.nbytes < nbytes):
            self.settle()
            if self._scratch is not None:
                self._scratch.close()
                self._scratch = None  # before there is another: both may not fit
            self._scratch = DeviceBuffer(self.cuda, nbytes)
        return self._scratch if nbytes else None

    def drop(self, request: Request) -> EnginePlan:
        """Close a plan; its context is kept for a new plan."""
        plan = super().drop(request)
        self._spare[plan.pool].append(plan.context)
        return plan

    def clear(self) -> None:
        """Free all memory on the GPU; contexts are kept for new plans."""
        super().clear()
        if self._scratch is not None:
            self._scratch.close()
            self._scratch = None

    def _new_context(self, opened: OpenedEngine, profile: int) -> trt.IExecutionContext:
        context = opened.new_context()
        if context is None or not context.set_optimization_profile_async(profile, self.stream.handle):
            raise AdainError(
                f"{opened.library} could not make a context for an engine", hint="see the log of adain_rt.tensorrt"
            )
        self.stream.synchronize()
        return context


def _scratch_bytes(engine: trt.ICudaEngine, context: trt.IExecutionContext, profile: int) -> int:
    """Return the bytes that a context needs for its shapes, or for its whole profile if that is unknown."""
    return context.update_device_memory_size_for_shapes() or engine.get_device_memory_size_for_profile_v2(profile)


def _dimensions(shape: trt.Dims) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in range(len(shape)))
