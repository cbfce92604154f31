"""A fake TensorRT on the fake GPU.

An engine runs its ONNX graph with ONNX Runtime on the memory at the addresses that it was given. It refuses what
TensorRT refuses.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
from tests.runtime.fake_cuda import ALIGNMENT, FakeCuda

from adain_models.errors import AdainError
from adain_rt.contract import GRAPHS, GraphFacts, graph_file

__all__ = ["FakeEngines", "FakeRuntime", "FakeTensorRt", "Profile"]


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

    def Runtime(self, _: object) -> FakeRuntime:  # noqa: N802 - the library's name
        return FakeRuntime(self)


class FakeRuntime:
    """In the place of ``tensorrt.Runtime``."""

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
        assert address % ALIGNMENT == 0
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
