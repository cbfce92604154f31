"""What GPU backends with lanes do alike: one lane for each thread that runs at once; arrays on the host or the GPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.backends.plans import Capturing, Lane, NoRoom, Plan, Request
from adain_rt.contract import GRAPHS
from adain_rt.cuda import Cuda, OutOfGpuMemory
from adain_rt.cuda.arrays import LEGACY_STREAM, DeviceArray, borrow, is_on_device
from adain_rt.errors import too_large

__all__ = ["LaneBackend"]

T = TypeVar("T")
L = TypeVar("L", bound=Lane[Any])


class LaneBackend(ABC, Generic[L]):
    """Runs graphs on lanes, of which there are as many as there have been threads at once.

    Args:
        library: the name of what runs the graphs, for errors.
        cuda: the GPU.
        capturing: whether work is captured.

    """

    def __init__(self, library: str, cuda: Cuda, capturing: Capturing) -> None:
        self._library_name = library
        self._cuda = cuda
        self._capturing = capturing
        self._lanes: list[L] = []
        self._closed = False
        self._lock = Lock()

    @abstractmethod
    def _new_lane(self) -> L:
        """Return one more lane."""

    @abstractmethod
    def _plan(self, lane: L, request: Request) -> Plan:
        """Return the plan for a request; a missing plan is made.

        Raises:
            NoRoom: the plan does not fit into the GPU's memory.

        """

    def free_bytes(self) -> int:
        """Return how many bytes of the GPU's memory are free; see ``DeviceBackend.free_bytes``."""
        with self._cuda.current():
            return self._cuda.free_bytes()

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph; see ``Backend.run``."""
        spec = GRAPHS[graph]
        staged = frozenset(tensor.name for tensor in (*spec.inputs, *spec.outputs))
        request = self._request(graph, inputs, staged)

        def attempt(lane: L) -> tuple[NDArray[Any], ...]:
            plan = self._plan(lane, request)
            plan.write(inputs)
            plan.launch(self._capturing)
            lane.settle()
            return plan.read()

        with self._cuda.current(), self._lane() as lane:
            return self._with_room(lane, request, attempt)

    def run_on_device(
        self,
        graph: str,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any] | None = None,
        stream: int | None = None,
    ) -> tuple[Any, ...]:
        """Run a graph on arrays in the GPU's memory, without a copy.

        Args:
            graph: one of the contract's.
            inputs: by name, with the contract's types and shapes. Those that speak DLPack or
                ``__cuda_array_interface__`` are read where they are; NumPy's are copied to the GPU.
            outputs: arrays to write into, by name; new ones are made for the others.
            stream: the handle of the caller's CUDA stream, in whose order the work is done; this returns at once. Until
                the stream has done the work, inputs must be alive, or belong to the stream's allocator, as PyTorch's
                and CuPy's do. Without it, this returns when the work is done.

        Returns:
            The outputs in the contract's order: those given, or new ``DeviceArray``.

        Raises:
            AdainError: an array does not fit, or any reason that ``run`` has.

        """
        names = [tensor.name for tensor in GRAPHS[graph].outputs]
        given = dict(outputs or {})
        if unknown := given.keys() - set(names):
            raise AdainError(f"the graph {graph} has no output {', '.join(sorted(unknown))}")
        staged = frozenset(name for name, array in inputs.items() if not is_on_device(array))
        request = self._request(graph, inputs, staged)
        order = LEGACY_STREAM if stream == 0 else stream

        with self._cuda.current(), ExitStack() as held, self._lane() as lane:

            def attempt(lane: L) -> tuple[Any, ...]:
                plan = self._plan(lane, request)
                try:
                    made = given | {
                        tensor.name: DeviceArray(self._cuda, plan.shapes[tensor.name], tensor.dtype, order)
                        for tensor in GRAPHS[graph].outputs
                        if tensor.name not in given
                    }
                except OutOfGpuMemory:
                    raise NoRoom(plan.needed) from None
                if lane.busy and staged:
                    lane.settle()
                if order is not None:
                    lane.stream.wait_for(order)
                plan.bind(_find_addresses(request, plan, inputs, made, lane, held))
                plan.write({name: inputs[name] for name in staged})
                plan.launch(self._capturing)
                lane.busy = True
                return tuple(made[name] for name in names)

            results = self._with_room(lane, request, attempt)
            if order is None:
                lane.settle()
            else:
                lane.stream.awaited_by(order)
            return results

    def close(self) -> None:
        """Free the idle lanes now, and the busy ones when their runs end; see ``Backend.close``."""
        with self._lock:
            self._closed = True
            idle, self._lanes = self._lanes, []
        with self._cuda.current():
            for lane in idle:
                lane.close()

    def _request(self, graph: str, inputs: Mapping[str, Any], staged: frozenset[str]) -> Request:
        """Check a graph's inputs, except for the number of channels, which the model knows."""
        spec = GRAPHS[graph]
        for tensor in spec.inputs:
            if tensor.name not in inputs:
                raise AdainError(f"the graph {graph} needs {tensor.name}")
        shapes = {tensor.name: _shape(inputs[tensor.name]) for tensor in spec.inputs}
        try:
            spec.sizes_of(shapes)
        except ValueError as error:
            raise AdainError(f"the graph {graph} failed in {self._library_name} ({error})") from None
        for tensor in spec.inputs:
            if tensor.name in staged and inputs[tensor.name].dtype != tensor.dtype:
                raise AdainError(
                    f"the graph {graph} failed in {self._library_name} ({tensor.name} must be {tensor.dtype}, "
                    f"not {inputs[tensor.name].dtype})"
                )
        return Request(graph, tuple(shapes.values()), staged)

    @contextmanager
    def _lane(self) -> Iterator[L]:
        """Lend a lane that no other thread has; a new lane is made where none is idle."""
        with self._lock:
            lane = self._lanes.pop() if self._lanes else None
        if lane is None:
            lane = self._new_lane()
        try:
            yield lane
        except BaseException:
            with suppress(AdainError):  # of a lost GPU, whose error is under way already
                lane.settle()  # before the arrays that it may work on are given back
            raise
        finally:
            with self._lock:
                closed = self._closed
                if not closed:
                    self._lanes.append(lane)
            if closed:
                lane.close()

    def _with_room(self, lane: L, request: Request, attempt: Callable[[L], T]) -> T:
        """Return what an attempt returns; where memory does not suffice, free idle memory and try once more."""
        try:
            return attempt(lane)
        except OutOfGpuMemory:
            self._free_idle(lane)
        try:
            return attempt(lane)
        except OutOfGpuMemory as error:
            lane.clear()
            needed = error.needed if isinstance(error, NoRoom) else None
            image = request.shapes[0]
            raise too_large(image[1], image[2], needed, self._cuda.free_bytes(), "GPU memory") from None

    def _free_idle(self, lane: L) -> None:
        with self._lock:
            idle, self._lanes = self._lanes, []
        for each in (lane, *idle):
            each.clear()
        with self._lock:
            self._lanes += idle


def _shape(array: Any) -> tuple[int, ...]:
    """Return the shape of an array of any library."""
    if hasattr(array, "shape"):
        return tuple(array.shape)
    return tuple(array.__cuda_array_interface__["shape"])


def _find_addresses(
    request: Request,
    plan: Plan,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    lane: Lane[Any],
    held: ExitStack,
) -> dict[str, int]:
    """Return the addresses of the tensors in the GPU's memory; ``held`` gives those of other libraries back."""
    spec = GRAPHS[request.graph]
    addresses = {}
    for tensors, arrays, written in ((spec.inputs, inputs, False), (spec.outputs, outputs, True)):
        for tensor in tensors:
            array = arrays[tensor.name]
            if tensor.name in request.staged:
                continue
            if isinstance(array, DeviceArray) and written:
                addresses[tensor.name] = array.address
                continue
            borrowed = borrow(tensor.name, array, tensor.dtype, plan.shapes[tensor.name], lane.stream, written=written)
            held.callback(borrowed.release)
            addresses[tensor.name] = borrowed.address
    return addresses
