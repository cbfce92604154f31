"""A stand-in for a GPU and for TensorRT, honestly named so: memory, streams and engines on the host.

Work put on a stream is done when somebody waits for it, and not before, so that what is read too early is wrong. Memory
is garbage when it is new and when it is freed; what touches it then fails. An engine runs its ONNX graph with ONNX
Runtime on the memory at the addresses it was given, and refuses what TensorRT would.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from math import prod
from pathlib import Path
from threading import RLock, get_ident
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime

from adain_models.errors import AdainError
from adain_rt.contract import GRAPHS, GraphFacts, graph_file
from adain_rt.cuda import Copy, Gpu, OutOfGpuMemory

__all__ = ["FakeArray", "FakeCuda", "FakeEngines", "FakeTensorRt", "Profile"]

_LEGACY = 1
_ALIGNMENT = 256


class FakeCuda:
    """The interface of ``adain_rt.cuda.Cuda`` over the host's memory.

    ``calls`` are the names of what was called, in order. ``fail`` names functions that refuse. ``freed_early`` counts
    what was freed while there was work to do.
    """

    def __init__(self, total_bytes: int = 1 << 30, *, can_capture: bool = True) -> None:
        self.gpu = Gpu("Imaginary 9000", "8.9", "13.0", total_bytes)
        self.can_capture = can_capture
        self.calls: list[str] = []
        self.fail: set[str] = set()
        self.freed_early = 0
        self.memory: dict[int, np.ndarray] = {}
        self.pinned: dict[int, np.ndarray] = {}
        self.streams: dict[int, list[Callable[[], None]]] = {_LEGACY: []}
        self.events: dict[int, int | None] = {}
        self.done: set[int] = set()
        self.graphs: dict[int, list[Callable[[], None]]] = {}
        self.capturing: dict[int, list[Callable[[], None]]] = {}
        self._holders: dict[int, bool] = {}
        self._backing: dict[int, np.ndarray] = {}
        self._numbers = count(1000)
        self._lock = RLock()

    @contextmanager
    def current(self) -> Iterator[None]:
        """Let the calling thread in."""
        before = self._holders.get(get_ident(), False)
        self._holders[get_ident()] = True
        try:
            yield
        finally:
            self._holders[get_ident()] = before

    def free_bytes(self) -> int:
        return self.gpu.total_bytes - sum(memory.nbytes for memory in self.memory.values())

    def allocate(self, nbytes: int) -> int:
        with self._call("allocate"):
            if nbytes > self.free_bytes():
                raise OutOfGpuMemory("the GPU failed in cudaMalloc (cudaErrorMemoryAllocation: out of memory)")
            return self._new(self.memory, nbytes)

    def free(self, address: int) -> None:
        """Wait for all streams, as ``cudaFree`` does, but count that there was a need to."""
        with self._lock:
            self.freed_early += any(self.streams.values())
            for stream in list(self.streams):
                self._work_off(stream)
            self.memory.pop(address)[:] = 0xDD

    def allocate_pinned(self, nbytes: int) -> int:
        with self._call("allocate_pinned"):
            return self._new(self.pinned, nbytes)

    def free_pinned(self, address: int) -> None:
        with self._lock:
            self.pinned.pop(address)[:] = 0xDD

    def copy(self, target: int, source: int, nbytes: int, kind: Copy, stream: int) -> None:
        places = {
            Copy.TO_DEVICE: (self.memory, self.pinned),
            Copy.TO_HOST: (self.pinned, self.memory),
            Copy.ON_DEVICE: (self.memory, self.memory),
        }[kind]

        def copy() -> None:
            self.view(target, nbytes, places[0])[:] = self.view(source, nbytes, places[1])

        with self._call("copy"):
            self.put(stream, copy)

    def create_stream(self) -> int:
        with self._call("create_stream"):
            stream = next(self._numbers)
            self.streams[stream] = []
            return stream

    def destroy_stream(self, stream: int) -> None:
        with self._lock:
            self._work_off(stream)
            del self.streams[stream]

    def synchronize(self, stream: int) -> None:
        with self._call("synchronize"):
            assert stream not in self.capturing, "nobody may wait while a stream is captured"
            self._work_off(stream)

    def create_event(self) -> int:
        with self._call("create_event"):
            event = next(self._numbers)
            self.events[event] = None
            return event

    def destroy_event(self, event: int) -> None:
        with self._lock:
            del self.events[event]

    def record(self, event: int, stream: int) -> None:
        with self._call("record"):
            mark = next(self._numbers)
            self.events[event] = mark
            self.put(stream, lambda: self.done.add(mark), (mark,))

    def wait(self, stream: int, event: int) -> None:
        with self._call("wait"):
            mark = self.events[event]
            if mark is not None:
                self.put(stream, lambda: self._reach(mark))

    def capture(self, stream: int, work: Callable[[], None]) -> int:
        with self._call("capture"):
            self.capturing[stream] = []
            try:
                work()
            finally:
                captured = self.capturing.pop(stream)
            graph = next(self._numbers)
            self.graphs[graph] = captured
            return graph

    def launch(self, graph: int, stream: int) -> None:
        with self._call("launch"):
            for work in self.graphs[graph]:
                self.put(stream, work)

    def destroy_graph(self, graph: int) -> None:
        with self._lock:
            del self.graphs[graph]

    def put(self, stream: int, work: Callable[[], None], marks: tuple[int, ...] = ()) -> None:
        """Put work on a stream, or into the graph that is captured from it."""
        with self._lock:
            work.marks = marks  # type: ignore[attr-defined]
            self.capturing.get(stream, self.streams[stream]).append(work)

    def view(self, address: int, nbytes: int, among: Mapping[int, np.ndarray] | None = None) -> np.ndarray:
        """Return the bytes at an address, which must be in memory that is there."""
        for begin, memory in (self.memory if among is None else among).items():
            if begin <= address and address + nbytes <= begin + memory.nbytes:
                return memory[address - begin : address - begin + nbytes]
        raise AssertionError(f"{nbytes} bytes at {address} are not there")

    def _new(self, among: dict[int, np.ndarray], nbytes: int) -> int:
        block = np.full(nbytes + _ALIGNMENT, 0xCD, np.uint8)
        address = -(-block.ctypes.data // _ALIGNMENT) * _ALIGNMENT
        offset = address - block.ctypes.data
        among[address] = block[offset : offset + nbytes]
        self._backing[address] = block  # stays, so that no address comes twice
        return address

    @contextmanager
    def _call(self, name: str) -> Iterator[None]:
        assert self._holders.get(get_ident()), f"{name} outside of current()"
        with self._lock:
            self.calls.append(name)
            if name in self.fail:
                raise AdainError(f"the GPU failed in {name} (cudaErrorUnknown: unknown error)")
            yield

    def _work_off(self, stream: int) -> None:
        while self.streams[stream]:
            self.streams[stream].pop(0)()

    def _reach(self, mark: int) -> None:
        for stream in list(self.streams):
            if mark not in self.done and any(mark in work.marks for work in self.streams[stream]):
                self._work_off(stream)
        assert mark in self.done


class FakeArray:
    """Another library's array in the fake GPU's memory, made by work on a stream of that library."""

    def __init__(self, cuda: FakeCuda, content: np.ndarray, stream: int = _LEGACY) -> None:
        with cuda.current():
            self.address = cuda.allocate(content.nbytes)
        self.shape, self.dtype = content.shape, content.dtype
        self.strides: tuple[int, ...] | None = None
        self.offset = 0
        self.stream: int | None = stream
        self.read_only = False
        self._cuda = cuda
        kept = np.ascontiguousarray(content).view(np.uint8).reshape(-1).copy()

        def make() -> None:
            cuda.view(self.address, kept.nbytes)[:] = kept

        cuda.put(stream, make)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address + self.offset, self.read_only),
            "strides": self.strides,
            "stream": self.stream,
            "version": 3,
        }

    def numpy(self) -> np.ndarray:
        """What is there when all work on the stream is done."""
        with self._cuda.current():
            self._cuda.synchronize(self.stream or _LEGACY)
        nbytes = prod(self.shape) * self.dtype.itemsize
        return self._cuda.view(self.address, nbytes).view(self.dtype).reshape(self.shape).copy()


@dataclass(frozen=True)
class Profile:
    """For which sizes an engine is: the least and the largest of N, H and W."""

    least: tuple[int, int, int]
    largest: tuple[int, int, int]

    def covers(self, sizes: Mapping[str, int]) -> bool:
        bounds = zip(self.least, "NHW", self.largest, strict=True)
        return all(low <= sizes[letter] <= high for low, letter, high in bounds)


@dataclass(frozen=True)
class _EngineFile:
    path: Path
    content: bytes
    manifest: Any = field(compare=False)

    def read(self) -> bytes:
        return self.content


class FakeEngines:
    """In the place of ``adain_rt.backends.tensorrt.engines.Engines``: an engine of each graph, with two profiles."""

    profiles = (Profile((1, 16, 16), (4, 64, 64)), Profile((1, 16, 16), (1, 512, 512)))
    weights = "included"
    version_compatible = False

    def __init__(self, directory: Path, *_: object) -> None:
        self._directory = directory

    def find(self, graph: str, sizes: Mapping[str, int]) -> tuple[_EngineFile, int]:
        for place, profile in enumerate(self.profiles):
            if profile.covers(sizes):
                return self._file(graph), place
        raise AdainError(f"no engine of {graph} is for {sizes}")

    def first(self, graph: str) -> _EngineFile:
        return self._file(graph)

    def _file(self, graph: str) -> _EngineFile:
        path = self._directory / graph_file(graph)
        profiles = [(profile.least, profile.largest) for profile in self.profiles]
        content = json.dumps({"onnx": str(path), "graph": graph, "profiles": profiles}).encode()
        manifest = SimpleNamespace(
            recipe=SimpleNamespace(version_compatible=self.version_compatible, weights=self.weights),
            origin=SimpleNamespace(
                facts=GraphFacts.from_metadata(_session(str(path)).get_modelmeta().custom_metadata_map)
            ),
        )
        return _EngineFile(path.with_suffix(".engine"), content, manifest)


class FakeTensorRt:
    """In the place of the module ``tensorrt`` or ``tensorrt_rtx``.

    ``contexts`` are all contexts that were made. ``scratch`` is how many bytes of memory they ask for each pixel;
    0 is a library that does not tell. ``refuses`` lets it refuse engines, ``breaks_captures`` what is captured.
    """

    __version__ = "1.2.3"

    ExecutionContextAllocationStrategy = SimpleNamespace(USER_MANAGED="user managed")
    CudaGraphStrategy = SimpleNamespace(DISABLED="disabled", WHOLE_GRAPH_CAPTURE="whole graph")
    DynamicShapesKernelSpecializationStrategy = SimpleNamespace(LAZY="lazy")
    EngineValidity = SimpleNamespace(VALID=0, INVALID=2)
    ComputeCapability = SimpleNamespace(__members__={"NONE": 0, "CURRENT": 1, "SM89": 2, "SM120": 3})
    EngineInvalidityDiagnostics = SimpleNamespace(__members__={"VERSION_MISMATCH": 1, "UNSUPPORTED_CC": 2})

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.scratch = 8
        self.refuses = False
        self.breaks_captures = False
        self.contexts: list[_Context] = []
        self.engines = 0

    def Runtime(self, _: object) -> _Runtime:  # noqa: N802 - the library's name
        return _Runtime(self)


class _Runtime:
    def __init__(self, library: FakeTensorRt) -> None:
        self._library = library
        self.engine_host_code_allowed = False

    def get_engine_validity(self, _: bytes) -> tuple[int, int]:
        return (2, 2) if self._library.refuses else (0, 0)

    def deserialize_cuda_engine(self, content: bytes) -> _Engine | None:
        if self._library.refuses:
            return None
        self._library.engines += 1
        return _Engine(self._library, **json.loads(content))


class _Engine:
    def __init__(self, library: FakeTensorRt, onnx: str, graph: str, profiles: list[Any]) -> None:
        self.library = library
        self.session = _session(onnx)
        self.graph = graph
        self.profiles = [Profile(tuple(least), tuple(largest)) for least, largest in profiles]
        self.channels = int(self.session.get_modelmeta().custom_metadata_map["channels"])
        self._names = [value.name for value in (*self.session.get_inputs(), *self.session.get_outputs())]
        self.num_io_tensors = len(self._names)

    def get_tensor_name(self, place: int) -> str:
        return self._names[place]

    def get_device_memory_size_for_profile_v2(self, profile: int) -> int:
        return prod(self.profiles[profile].largest) * 8

    def create_runtime_config(self) -> _RuntimeConfig:
        return _RuntimeConfig(self.library)

    def create_execution_context(self, how: Any) -> _Context:
        strategy = how.strategy if isinstance(how, _RuntimeConfig) else how
        assert strategy == "user managed"
        context = _Context(self, how)
        self.library.contexts.append(context)
        if isinstance(how, _RuntimeConfig):
            how.cache.entries.add(self.graph.encode())
        return context


class _RuntimeConfig:
    def __init__(self, library: FakeTensorRt) -> None:
        self._library = library
        self.strategy = "static"
        self.cuda_graph_strategy = self.dynamic_shapes_kernel_specialization_strategy = ""
        self.cache: Any = None

    def set_execution_context_allocation_strategy(self, strategy: str) -> None:
        self.strategy = strategy

    def create_runtime_cache(self) -> _RuntimeCache:
        return _RuntimeCache()

    def set_runtime_cache(self, cache: _RuntimeCache) -> bool:
        self.cache = cache
        return True


class _RuntimeCache:
    def __init__(self) -> None:
        self.entries: set[bytes] = set()

    def deserialize(self, blob: bytes) -> bool:
        if not blob.startswith(b"compiled:"):
            return False
        self.entries |= set(blob.removeprefix(b"compiled:").split(b","))
        return True

    def serialize(self) -> bytes:
        return b"compiled:" + b",".join(sorted(self.entries))


class _Context:
    """Refuses what TensorRT would, and so fails the test that does it."""

    def __init__(self, engine: _Engine, how: Any) -> None:
        self.engine = engine
        self.how = how
        self.profile = 0
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.memory = (0, 0)
        self.enqueued = 0
        self._unsettled = True

    @property
    def needed(self) -> int:
        return prod(self.shapes["image"][:3]) * self.engine.library.scratch

    def set_optimization_profile_async(self, profile: int, stream: int) -> bool:
        assert stream in self.engine.library.cuda.streams
        self.profile, self.shapes = profile, {}
        return True

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        letters = next(tensor.shape for tensor in GRAPHS[self.engine.graph].inputs if tensor.name == name)
        sizes = dict(zip(letters, shape, strict=True))
        profile = self.engine.profiles[self.profile]
        bounds = dict(zip("NHW", zip(profile.least, profile.largest, strict=True), strict=True))
        if any(not bounds[letter][0] <= sizes[letter] <= bounds[letter][1] for letter in bounds if letter in sizes):
            return False
        if sizes.get("C", self.engine.channels) != self.engine.channels:
            return False
        self.shapes[name] = shape
        self._unsettled = True
        return True

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        letters = next(tensor.shape for tensor in GRAPHS[self.engine.graph].outputs if tensor.name == name)
        sizes = {"C": self.engine.channels}
        for tensor in GRAPHS[self.engine.graph].inputs:
            sizes |= dict(zip(tensor.shape, self.shapes[tensor.name], strict=True))
        return tuple(sizes.get(size, size) for size in letters)

    def update_device_memory_size_for_shapes(self) -> int:
        return self.needed

    def set_device_memory(self, address: int, nbytes: int) -> None:
        self.engine.library.cuda.view(address, nbytes)
        self.memory = (address, nbytes)

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert address % _ALIGNMENT == 0
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream: int) -> bool:
        cuda = self.engine.library.cuda
        spec = GRAPHS[self.engine.graph]
        assert self.memory[1] >= self.needed
        assert set(self.shapes) == {tensor.name for tensor in spec.inputs}
        if stream in cuda.capturing and (self._unsettled or self.engine.library.breaks_captures):
            return False
        self._unsettled = False
        self.enqueued += 1
        shapes, addresses, memory = dict(self.shapes), dict(self.addresses), self.memory
        outputs = {tensor.name: self.get_tensor_shape(tensor.name) for tensor in spec.outputs}

        def at(name: str, shape: tuple[int, ...], dtype: str) -> np.ndarray:
            nbytes = prod(shape) * np.dtype(dtype).itemsize
            return cuda.view(addresses[name], nbytes).view(dtype).reshape(shape)

        def work() -> None:
            if memory[1]:
                cuda.view(*memory)[:] = 0xEE
            inputs = {tensor.name: at(tensor.name, shapes[tensor.name], tensor.dtype) for tensor in spec.inputs}
            made = self.engine.session.run(None, inputs)
            for tensor, value in zip(spec.outputs, made, strict=True):
                at(tensor.name, outputs[tensor.name], tensor.dtype)[:] = value

        cuda.put(stream, work)
        return True


@cache
def _session(path: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def patched_dlpack_device(capsule: Any, device: int) -> None:
    """Let a capsule of NumPy's say that its memory is on another device."""
    prototype = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    pointer = prototype(("PyCapsule_GetPointer", ctypes.pythonapi))
    ctypes.c_int32.from_address(pointer(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p)).value = device
