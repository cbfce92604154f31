"""TensorRT on NVIDIA GPUs, in its two libraries."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any

from adain_models.errors import AdainError
from adain_rt.backends.base import Settings, check_ends
from adain_rt.backends.lanes import LaneBackend
from adain_rt.backends.plans import Capturing, Request
from adain_rt.backends.tensorrt.engine_file import EngineFile
from adain_rt.backends.tensorrt.engines import Engines
from adain_rt.backends.tensorrt.flavors import FLAVORS, Flavor
from adain_rt.backends.tensorrt.plans import EngineLane, EnginePlan, OpenedEngine
from adain_rt.backends.tensorrt.refit import refit
from adain_rt.backends.tensorrt.runtime_cache import RuntimeCache
from adain_rt.contract import GRAPHS, GraphFacts
from adain_rt.cuda import Cuda, open_cuda
from adain_rt.errors import UnusableBackend

if TYPE_CHECKING:
    import tensorrt as trt

__all__ = ["TensorRtBackend", "TensorRtRtxBackend"]


class TensorRtBackend(LaneBackend[EngineLane]):
    """Runs engines by the full library. Each engine file is loaded once.

    Args:
        directory: the folder of the model's graphs in fp32, of which engines are made.
        precision: ``fp32`` or ``fp16``.
        settings: how it runs; it uses ``engines``, ``trust_engines`` and ``cuda_graph``.

    Raises:
        UnusableBackend: the library cannot be loaded, or there is no GPU.

    """

    flavor = FLAVORS["tensorrt"]
    captures = True
    """Whether this backend captures CUDA graphs itself; TensorRT-RTX does so without it."""

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        self._library, cuda = _load(self.flavor)
        super().__init__(self.flavor.name, cuda, Capturing(cuda, wanted=settings.cuda_graph and self.captures))
        self._directory = directory
        self._cuda_graph = settings.cuda_graph
        self._engines = Engines(
            directory, precision, self.flavor, self._cuda.gpu, settings.engines, settings.trust_engines
        )
        self._opened: dict[EngineFile, OpenedEngine] = {}
        self._opening = RLock()  # held while engines are loaded and contexts made, one after another

    def open(self, graph: str) -> None:
        """Load the first engine of a graph; see ``Backend.open``.

        Raises:
            UnusableBackend: the library does not run its engines on this GPU.

        """
        with self._cuda.current():
            self._open(self._engines.first(graph), graph)

    def facts(self, graph: str) -> GraphFacts:
        """Return a graph's facts; see ``Backend.facts``."""
        return self._engines.first(graph).manifest.origin.facts

    def close(self) -> None:
        """Free the lanes and the engines; see ``Backend.close``."""
        super().close()
        with self._opening:
            self._opened.clear()

    def _make_context(self, engine: trt.ICudaEngine) -> trt.IExecutionContext | None:
        """Return a new context of an engine; the lane gives it its memory."""
        return engine.create_execution_context(self._library.ExecutionContextAllocationStrategy.USER_MANAGED)

    def _explain_refusal(self, runtime: trt.Runtime, content: bytes) -> str | None:
        """Return why the library refuses an engine here, if it says so before it loads the engine."""
        del runtime, content
        return None

    def _new_lane(self) -> EngineLane:
        return EngineLane(self._cuda)

    def _plan(self, lane: EngineLane, request: Request) -> EnginePlan:
        plan = lane.find(request)
        if plan is None:
            spec = GRAPHS[request.graph]
            names = [tensor.name for tensor in spec.inputs]
            sizes = spec.sizes_of(dict(zip(names, request.shapes, strict=True)))
            sizes.pop("C", None)  # no profile has a range of channels
            file, profile = self._engines.find(request.graph, sizes)
            with self._opening:
                plan = lane.prepare(request, self._open(file, request.graph), profile)
        return plan

    def _open(self, file: EngineFile, graph: str) -> OpenedEngine:
        """Return a loaded engine; load it if it is not."""
        with self._opening:
            if file not in self._opened:
                self._opened[file] = self._load_engine(file, graph)
            return self._opened[file]

    def _load_engine(self, file: EngineFile, graph: str) -> OpenedEngine:
        content = file.read()
        runtime: trt.Runtime = self._library.Runtime(self.flavor.logger())
        runtime.engine_host_code_allowed = file.manifest.recipe.version_compatible  # which brings a library of its own
        refusal = self._explain_refusal(runtime, content)
        engine: trt.ICudaEngine | None = None if refusal else runtime.deserialize_cuda_engine(content)
        if engine is None and not refusal and self._cuda.free_bytes() < len(content):
            raise AdainError(f"{file.path}: the GPU has too little memory left for the engine")
        if engine is None:
            gpu = self._cuda.gpu
            raise UnusableBackend(
                f"{file.path}: {self.flavor.name} does not run this engine on {gpu.name}, of compute capability "
                f"{gpu.compute_capability} ({refusal or 'see the log of adain_rt.tensorrt'})"
            )
        if file.manifest.recipe.weights == "stripped":
            refit(engine, file, self._directory)
        names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
        spec = GRAPHS[graph]
        check_ends(file.path, graph, sorted(names, key=[tensor.name for tensor in (*spec.inputs, *spec.outputs)].index))
        return OpenedEngine(self.flavor.name, file, engine, partial(self._make_context, engine))


class TensorRtRtxBackend(TensorRtBackend):
    """Runs engines by TensorRT-RTX, which finishes them on the GPU that they run on; the result is kept on disk.

    The library captures CUDA graphs itself: it compiles kernels for a size while a general one runs already, and it
    alone knows when to capture again with them.
    """

    flavor = FLAVORS["tensorrt-rtx"]
    captures = False

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        super().__init__(directory, precision, settings)
        self._check_gpu()
        self._cache = RuntimeCache(self._library.__version__, self._cuda.gpu)

    def _make_context(self, engine: trt.ICudaEngine) -> trt.IExecutionContext | None:
        library = self._library
        config: Any = engine.create_runtime_config()  # the full library's has fewer attributes
        config.set_execution_context_allocation_strategy(library.ExecutionContextAllocationStrategy.USER_MANAGED)
        config.dynamic_shapes_kernel_specialization_strategy = library.DynamicShapesKernelSpecializationStrategy.LAZY
        strategies = library.CudaGraphStrategy
        config.cuda_graph_strategy = strategies.WHOLE_GRAPH_CAPTURE if self._cuda_graph else strategies.DISABLED
        self._cache.use_in(config)
        context = engine.create_execution_context(config)
        self._cache.save()  # it has the kernels for any size by now, which take longest
        return context

    def _check_gpu(self) -> None:
        """Refuse a GPU that the library has no engines for, before an engine is built in vain."""
        gpu, known = self._cuda.gpu, self.flavor.compute_capabilities()
        if gpu.compute_capability not in known:
            raise UnusableBackend(
                f"{self.flavor.name} {self._library.__version__} has no engines for {gpu.name}, of compute capability "
                f"{gpu.compute_capability}: there are {', '.join(known)}"
            )

    def _explain_refusal(self, runtime: Any, content: bytes) -> str | None:
        library = self._library
        validity, diagnostics = runtime.get_engine_validity(content)
        if validity != library.EngineValidity.INVALID:
            return None
        members = library.EngineInvalidityDiagnostics.__members__
        reasons = [name for name, member in members.items() if int(diagnostics) & int(member)]
        return ", ".join(reasons).lower().replace("_", " ") or "the engine is not valid here"


def _load(flavor: Flavor) -> tuple[Any, Cuda]:
    """Return the library and the GPU.

    Raises:
        UnusableBackend: the library cannot be loaded, or there is no GPU.

    """
    try:
        return flavor.library(), open_cuda()
    except AdainError as error:
        raise UnusableBackend(str(error)) from None
