"""What backends with lanes do alike: a lane for each thread that runs at once, arrays on the host or on the GPU."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.backends.base import too_large
from adain_rt.backends.plans import Capturing, Lane, NoRoom, Plan, Request
from adain_rt.contract import GRAPHS
from adain_rt.cuda import Cuda, OutOfGpuMemory
from adain_rt.cuda.arrays import LEGACY_STREAM, DeviceArray, foreign, is_on_device

__all__ = ["LaneBackend"]

T = TypeVar("T")
L = TypeVar("L", bound=Lane[Any])


class LaneBackend(ABC, Generic[L]):
    """Runs graphs on as many lanes as there have been threads at once.

    Args:
        library: what runs the graphs, to be named in errors.
        cuda: the GPU.
        capturing: whether work is captured.

    """

    def __init__(self, library: str, cuda: Cuda, capturing: Capturing) -> None:
        self._named = library
        self._cuda = cuda
        self._capturing = capturing
        self._lanes: list[L] = []
        self._lock = Lock()

    @abstractmethod
    def _new_lane(self) -> L:
        """Return a lane more."""

    @abstractmethod
    def _plan(self, lane: L, request: Request) -> Plan:
        """Return the plan for a request, made if there is none.

        Raises:
            NoRoom: it does not fit into the GPU's memory.

        """

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph, as the protocol says."""
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
                ``__cuda_array_interface__`` are taken where they are; NumPy's are copied there.
            outputs: arrays to write into, by name; for those that are not given there are new ones.
            stream: the handle of the caller's CUDA stream. The work waits for what is on it, what is put on it later
                waits for the work, and this returns at once; until the stream has come past, inputs must be alive, or
                of that stream's allocator, as PyTorch's and CuPy's are. Without it, this returns when the work is done.

        Returns:
            The outputs in the contract's order: those given, or ``DeviceArray``.

        Raises:
            AdainError: an array does not fit, or as ``run`` does.

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
                plan.bind(_addresses(request, plan, inputs, made, lane, held))
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

    def _request(self, graph: str, inputs: Mapping[str, Any], staged: frozenset[str]) -> Request:
        """Check what goes into a graph, but for the number of channels, which the model knows."""
        sizes: dict[str, int] = {}
        shapes = []
        for tensor in GRAPHS[graph].inputs:
            if tensor.name not in inputs:
                raise AdainError(f"the graph {graph} needs {tensor.name}")
            shape = _shape(inputs[tensor.name])
            fits = len(shape) == len(tensor.shape) and all(
                size == (sizes.setdefault(letter, size) if isinstance(letter, str) else letter)
                for size, letter in zip(shape, tensor.shape, strict=True)
            )
            if not fits or (tensor.name in staged and inputs[tensor.name].dtype != tensor.dtype):
                wanted = tuple(sizes.get(str(size), size) for size in tensor.shape)
                raise AdainError(
                    f"the graph {graph} failed in {self._named} ({tensor.name} must be {tensor.dtype} {wanted}, not "
                    f"{getattr(inputs[tensor.name], 'dtype', '')} {shape})"
                )
            shapes.append(shape)
        return Request(graph, tuple(shapes), staged)

    @contextmanager
    def _lane(self) -> Iterator[L]:
        """Lend a lane that no other thread has; a new one if there is none."""
        with self._lock:
            lane = self._lanes.pop() if self._lanes else None
        if lane is None:
            lane = self._new_lane()
        try:
            yield lane
        except BaseException:
            with suppress(AdainError):  # the GPU is lost, which is being said
                lane.settle()  # before the arrays that it may work on are given back
            raise
        finally:
            with self._lock:
                self._lanes.append(lane)

    def _with_room(self, lane: L, request: Request, attempt: Callable[[L], T]) -> T:
        """Return what an attempt returns; where memory does not suffice, free what is idle, and try once more."""
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
    if hasattr(array, "shape"):
        return tuple(array.shape)
    return tuple(array.__cuda_array_interface__["shape"])


def _addresses(
    request: Request,
    plan: Plan,
    inputs: Mapping[str, Any],
    outputs: Mapping[str, Any],
    lane: Lane[Any],
    held: ExitStack,
) -> dict[str, int]:
    """Return where the tensors in the GPU's memory are; ``held`` gives those of other libraries back."""
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
            taken = foreign(tensor.name, array, tensor.dtype, plan.shapes[tensor.name], lane.stream, written=written)
            held.callback(taken.release)
            addresses[tensor.name] = taken.address
    return addresses
