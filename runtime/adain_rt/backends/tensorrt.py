"""TensorRT on NVIDIA GPUs, in its two libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.backends import Settings
from adain_rt.backends._common import UnusableBackend, check_ends, too_large
from adain_rt.backends._plans import Capturing, Lane, NoRoom, OpenedEngine, Plan, Request
from adain_rt.backends._runtime_cache import RuntimeCache
from adain_rt.contract import GRAPHS
from adain_rt.cuda import Cuda, OutOfGpuMemory, open_cuda
from adain_rt.cuda.arrays import LEGACY_STREAM, DeviceArray, foreign, is_on_device
from adain_rt.tensorrt import flavors
from adain_rt.tensorrt.engines import EngineFile, Engines
from adain_rt.tensorrt.refit import refit

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = ["TensorRtBackend", "TensorRtRtxBackend"]

T = TypeVar("T")


class TensorRtBackend:
    """The full library. One loaded engine for each file, and as many lanes as there have been threads at once.

    Args:
        directory: the folder of the model's graphs, of which engines are made.
        precision: ``fp32`` or ``fp16``.
        settings: of which the engines and the CUDA graph count.

    Raises:
        UnusableBackend: the library cannot be loaded, or there is no GPU.

    """

    flavor = "tensorrt"
    captures = True
    """Whether CUDA graphs are ours to capture; the other library does it itself."""

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        self._library, self._cuda = _opened(self.flavor)
        self._directory = directory
        self._cuda_graph = settings.cuda_graph
        self._capturing = Capturing(self._cuda, wanted=settings.cuda_graph and self.captures)
        self._engines = Engines(
            directory, precision, self.flavor, self._cuda.gpu, settings.engines, settings.trust_engines
        )
        self._opened: dict[EngineFile, OpenedEngine] = {}
        self._lanes: list[Lane] = []
        self._lock = Lock()
        self._opening = Lock()

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph, as the protocol says."""
        spec = GRAPHS[graph]
        staged = frozenset(tensor.name for tensor in (*spec.inputs, *spec.outputs))
        request = self._request(graph, inputs, staged)

        def attempt(lane: Lane) -> tuple[NDArray[Any], ...]:
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

            def attempt(lane: Lane) -> tuple[Any, ...]:
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

    def metadata(self, graph: str) -> Mapping[str, str]:
        """Return a graph's metadata, as the protocol says.

        Raises:
            UnusableBackend: the library does not run its engines on this GPU.

        """
        file = self._engines.first(graph)
        with self._cuda.current():
            self._open(file, graph)  # to find out whether it runs here
        metadata: Mapping[str, str] = file.manifest.origin.metadata
        return metadata

    def _context_of(self, engine: trt.ICudaEngine) -> trt.IExecutionContext | None:
        """Return a new context of an engine; its memory is the lane's."""
        return engine.create_execution_context(self._library.ExecutionContextAllocationStrategy.USER_MANAGED)

    def _refusal(self, runtime: trt.Runtime, content: bytes) -> str | None:
        """Say why the library refuses an engine here, if it does before it loads it."""
        del runtime, content
        return None

    def _request(self, graph: str, inputs: Mapping[str, Any], staged: frozenset[str]) -> Request:
        """Check what goes into a graph, but for the number of channels, which the engine knows."""
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
                    f"the graph {graph} failed in {self.flavor} ({tensor.name} must be {tensor.dtype} {wanted}, not "
                    f"{getattr(inputs[tensor.name], 'dtype', '')} {shape})"
                )
            shapes.append(shape)
        return Request(graph, tuple(shapes), staged)

    def _plan(self, lane: Lane, request: Request) -> Plan:
        plan = lane.find(request)
        if plan is None:
            spec = GRAPHS[request.graph]
            letters = {
                letter: size
                for tensor, shape in zip(spec.inputs, request.shapes, strict=True)
                for letter, size in zip(tensor.shape, shape, strict=True)
                if isinstance(letter, str) and letter != "C"
            }
            file, profile = self._engines.find(request.graph, letters)
            with self._opening:  # contexts of an engine are made one after another
                plan = lane.prepare(request, self._open_locked(file, request.graph), profile)
        return plan

    def _open(self, file: EngineFile, graph: str) -> OpenedEngine:
        with self._opening:
            return self._open_locked(file, graph)

    def _open_locked(self, file: EngineFile, graph: str) -> OpenedEngine:
        if file not in self._opened:
            self._opened[file] = self._load(file, graph)
        return self._opened[file]

    def _load(self, file: EngineFile, graph: str) -> OpenedEngine:
        content = file.read()
        runtime: trt.Runtime = self._library.Runtime(flavors.logger(self.flavor))
        runtime.engine_host_code_allowed = file.manifest.recipe.version_compatible  # which brings a library of its own
        refusal = self._refusal(runtime, content)
        engine: trt.ICudaEngine | None = None if refusal else runtime.deserialize_cuda_engine(content)
        if engine is None and not refusal and self._cuda.free_bytes() < len(content):
            raise AdainError(f"{file.path}: the GPU has too little memory left for the engine")
        if engine is None:
            gpu = self._cuda.gpu
            raise UnusableBackend(
                f"{file.path}: {self.flavor} does not run this engine on {gpu.name}, of compute capability "
                f"{gpu.compute_capability} ({refusal or 'the log has what it said'})"
            )
        if file.manifest.recipe.weights == "stripped":
            refit(engine, file, self._directory)
        names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
        spec = GRAPHS[graph]
        check_ends(file.path, graph, sorted(names, key=[tensor.name for tensor in (*spec.inputs, *spec.outputs)].index))
        return OpenedEngine(self.flavor, file, engine, partial(self._context_of, engine))

    @contextmanager
    def _lane(self) -> Iterator[Lane]:
        """Lend a lane that no other thread has; a new one if there is none."""
        with self._lock:
            lane = self._lanes.pop() if self._lanes else None
        if lane is None:
            lane = Lane(self._cuda)
        try:
            yield lane
        except BaseException:
            with suppress(AdainError):  # the GPU is lost, which is being said
                lane.settle()  # before the arrays that it may work on are given back
            raise
        finally:
            with self._lock:
                self._lanes.append(lane)

    def _with_room(self, lane: Lane, request: Request, attempt: Callable[[Lane], T]) -> T:
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

    def _free_idle(self, lane: Lane) -> None:
        with self._lock:
            idle, self._lanes = self._lanes, []
        for each in (lane, *idle):
            each.clear()
        with self._lock:
            self._lanes += idle


class TensorRtRtxBackend(TensorRtBackend):
    """TensorRT-RTX: its engines are finished on the GPU that they run on, and what that gives is kept on disk.

    CUDA graphs are left to it: kernels for a size are compiled while a general one runs already, and it alone knows
    when a captured graph is to be captured again with them.
    """

    flavor = "tensorrt-rtx"
    captures = False

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        super().__init__(directory, precision, settings)
        self._check_gpu()
        self._cache = RuntimeCache(self._library.__version__, self._cuda.gpu)

    def _context_of(self, engine: trt.ICudaEngine) -> trt.IExecutionContext | None:
        library = self._library
        config: Any = engine.create_runtime_config()  # of which the full library's has less
        config.set_execution_context_allocation_strategy(library.ExecutionContextAllocationStrategy.USER_MANAGED)
        config.dynamic_shapes_kernel_specialization_strategy = library.DynamicShapesKernelSpecializationStrategy.LAZY
        strategies = library.CudaGraphStrategy
        config.cuda_graph_strategy = strategies.WHOLE_GRAPH_CAPTURE if self._cuda_graph else strategies.DISABLED
        self._cache.use_in(config)
        context = engine.create_execution_context(config)
        self._cache.save()  # the kernels for any size, which take longest
        return context

    def _check_gpu(self) -> None:
        """Refuse a GPU that the library has no engines for, before one is built in vain."""
        gpu, known = self._cuda.gpu, flavors.compute_capabilities(self.flavor)
        if gpu.compute_capability not in known:
            raise UnusableBackend(
                f"{self.flavor} {self._library.__version__} has no engines for {gpu.name}, of compute capability "
                f"{gpu.compute_capability}: there are {', '.join(known)}"
            )

    def _refusal(self, runtime: Any, content: bytes) -> str | None:
        library = self._library
        validity, diagnostics = runtime.get_engine_validity(content)
        if validity != library.EngineValidity.INVALID:
            return None
        members = library.EngineInvalidityDiagnostics.__members__
        told = [name for name, member in members.items() if int(diagnostics) & int(member)]
        return ", ".join(told).lower().replace("_", " ") or "it says that it is not valid here"


def _opened(flavor: str) -> tuple[Any, Cuda]:
    """Return the library and the GPU, without which there is no use in the backend."""
    try:
        return flavors.library(flavor), open_cuda()
    except AdainError as error:
        raise UnusableBackend(str(error)) from None


def _shape(array: Any) -> tuple[int, ...]:
    if hasattr(array, "shape"):
        return tuple(array.shape)
    return tuple(array.__cuda_array_interface__["shape"])


def _addresses(
    request: Request, plan: Plan, inputs: Mapping[str, Any], outputs: Mapping[str, Any], lane: Lane, held: ExitStack
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
