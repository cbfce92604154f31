"""OpenVINO on the CPU."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_models.files import explain, replacing
from adain_models.weights import store
from adain_rt.backends.base import KernelRun, Settings, check_ends, check_file, explain_failure, read_facts
from adain_rt.contract import GRAPHS, GraphFacts, graph_file
from adain_rt.errors import UnusableBackend
from adain_rt.machine import forks
from adain_rt.machine.cpu import choose_threads

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # else the import itself reports to Intel

import openvino  # noqa: E402
from openvino.frontend import FrontEndManager  # noqa: E402

__all__ = ["CORE", "OpenVinoBackend", "has_bf16", "openvino"]

CORE = openvino.Core()
"""The only core in the process, which lives as long as the process.

A core that has worked sets a stack for signal handlers, and restores the earlier stack when it is freed. If two cores
are freed in the order in which they were made, the second one restores the first one's stack, which is freed already:
the next signal crashes the process.
"""

forks.call_in_children(lambda: forks.keep(CORE))

_DEVICE = "CPU"

_KERNELS = 128
"""How many of the kernels that are made for a size are kept: enough for a few sizes.

OpenVINO's default keeps thousands, and each size takes a megabyte.
"""


def has_bf16() -> bool:
    """Return whether the processor has instructions for bf16."""
    return "BF16" in CORE.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")


class OpenVinoBackend:
    """Runs each graph as a compiled model, which is opened when it is first needed.

    Compiled models are kept in the cache directory, from which they load faster.

    Args:
        directory: the folder of the graphs.
        precision: what to compute in. bf16 takes the fp32 graphs, and rounds what the convolutions read to 16 bits.
        settings: of these, the threads that compute one picture; by default one for each core that a container allows.

    Raises:
        AdainError: the precision is bf16, and the processor has no instructions for it.

    """

    def __init__(self, directory: Path, precision: str, settings: Settings) -> None:
        if precision == "bf16" and not has_bf16():
            raise AdainError("this processor does not compute in bf16", hint="use another `precision`")
        self._directory = directory
        self._config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",  # its own choice is bf16, unasked
            "INFERENCE_NUM_THREADS": settings.threads or choose_threads() or 0,
            "CPU_RUNTIME_CACHE_CAPACITY": _KERNELS,
        }
        self._graphs: dict[str, _Graph] = {}
        self._lock = Lock()

    def open(self, graph: str) -> None:
        """Compile a graph, or load it from the cache; see ``Backend.open``."""
        self._graph(graph)

    def facts(self, graph: str) -> GraphFacts:
        """Return a graph's facts; see ``Backend.facts``."""
        return self._graph(graph).facts

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Run a graph; see ``Backend.run``."""
        opened = self._graph(graph)
        try:
            _check_sizes(graph, inputs, opened.facts.channels)
            return opened.run(_order(graph, inputs))
        except Exception as error:
            raise explain_failure("OpenVINO", graph, error, _last_line(error), inputs) from None

    def profile(self, graph: str, inputs: Mapping[str, NDArray[Any]], runs: int) -> Iterator[KernelRun]:
        """Time a graph's kernels in a model of their own; see ``ProfilingBackend.profile``."""
        config = {**self._config, "PERF_COUNT": True}
        with _read_model(self._directory / graph_file(graph)) as model:
            request = CORE.compile_model(model, _DEVICE, config).create_infer_request()
        for _ in range(runs):
            request.infer(_order(graph, inputs))
            for place, kernel in enumerate(request.get_profiling_info()):  # a node that is fused into another takes 0 s
                kind = f"{kernel.node_type} {kernel.exec_type}"
                yield KernelRun(str(place), kernel.node_name, kind, kernel.real_time.total_seconds())

    def trim(self, graph: str) -> None:
        """Free what runs of a graph keep; see ``TrimmableBackend.trim``."""
        opened = self._graphs.get(graph)
        if opened is not None:
            opened.trim()

    def close(self) -> None:
        """Free the compiled models; see ``Backend.close``."""
        with self._lock:
            self._graphs.clear()

    def _graph(self, graph: str) -> _Graph:
        with self._lock:
            if graph not in self._graphs:
                self._graphs[graph] = self._open_graph(graph)
            return self._graphs[graph]

    def _open_graph(self, graph: str) -> _Graph:
        path = self._directory / graph_file(graph)
        try:
            with _read_model(path) as model:
                check_ends(path, graph, [port.any_name for port in (*model.inputs, *model.outputs)])
                return _Graph(_compile(path, model, self._config), read_facts(path, _read_metadata(model)))
        except AdainError:
            raise
        except Exception as error:
            raise AdainError(
                f"{path}: the graph cannot be loaded ({_last_line(error)})", hint="export it again"
            ) from None


class _Graph:
    """A compiled model with its infer requests, each of which runs one picture at a time.

    There are as many requests as there have been threads at once.
    """

    def __init__(self, compiled: openvino.CompiledModel, facts: GraphFacts) -> None:
        self.facts = facts
        self._compiled = compiled
        self._free: list[openvino.InferRequest] = []

    def run(self, inputs: list[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        try:
            request = self._free.pop()
        except IndexError:  # asking first would not do: another thread may take the last one in between
            request = self._compiled.create_infer_request()
        try:
            outputs: tuple[NDArray[Any], ...] = request.infer(inputs).to_tuple()  # copies, which the next run leaves be
        finally:
            self._free.append(request)
        return outputs

    def trim(self) -> None:
        with suppress(RuntimeError):  # a run is under way
            self._compiled.release_memory()


@contextmanager
def _read_model(path: Path) -> Iterator[openvino.Model]:
    """Yield a graph, read as ONNX and nothing else: on a damaged one ``Core.read_model`` tries other formats, loudly.

    The graph's data may be read as late as in the block.
    """
    with _follow_links(path, check_file(path)) as file:
        frontend = FrontEndManager().load_by_framework("onnx")
        yield frontend.convert(frontend.load(file))


@contextmanager
def _follow_links(path: Path, names: Collection[str]) -> Iterator[Path]:
    """Yield a graph's file, or a copy with its data if any of them is a link, which OpenVINO refuses to follow.

    Package managers and caches of models make directories of links, whose targets may have any name and place.
    """
    files = [file for file in (path, *(path.parent / name for name in names)) if file.exists()]
    if not any(file.is_symlink() for file in files):
        yield path
        return
    with ExitStack() as opened:
        try:
            folder = opened.enter_context(TemporaryDirectory(prefix="adain-rt-", ignore_cleanup_errors=True))
            for file in files:
                shutil.copyfile(file, Path(folder) / file.name)
        except OSError as error:
            raise UnusableBackend(f"{path}: is a link, and cannot be copied for OpenVINO ({explain(error)})") from None
        yield Path(folder) / path.name


def _read_metadata(model: openvino.Model) -> dict[str, str]:
    if not model.has_rt_info("framework"):
        return {}
    return {name: value.astype(str) for name, value in model.get_rt_info()["framework"].items()}


def _compile(path: Path, model: openvino.Model, config: Mapping[str, Any]) -> openvino.CompiledModel:
    """Return the compiled model of a graph, from the cache if it is there.

    OpenVINO's own cache accepts a damaged entry and makes wrong pictures with it. An entry here therefore begins with
    the SHA-256 of the rest. A cache that cannot be read or written costs only time.
    """
    try:
        entry = store.cache_dir() / "openvino" / f"{_cache_key(path, model, config)}.blob"
    except AdainError:  # there is no place for a cache
        return CORE.compile_model(model, _DEVICE, config)
    with suppress(Exception):  # whatever is wrong with the entry, it is made again
        content = entry.read_bytes()
        digest, blob = content[: sha256().digest_size], content[sha256().digest_size :]
        if sha256(blob).digest() == digest:
            return CORE.import_model(blob, _DEVICE, config)
    compiled = CORE.compile_model(model, _DEVICE, config)
    with suppress(Exception), replacing(entry) as aside:
        exported = BytesIO()
        compiled.export_model(exported)
        aside.write_bytes(sha256(exported.getvalue()).digest() + exported.getvalue())
    return compiled


def _cache_key(path: Path, model: openvino.Model, config: Mapping[str, Any]) -> str:
    """Return the SHA-256 of all that a compiled graph depends on: graph, weights, OpenVINO, processor, settings."""
    features = CORE.get_property(_DEVICE, "FULL_DEVICE_NAME"), CORE.get_property(_DEVICE, "OPTIMIZATION_CAPABILITIES")
    digest = sha256(repr((openvino.get_version(), features, config)).encode())
    digest.update(path.read_bytes())
    for node in model.get_ops():
        if node.get_type_name() == "Constant":  # weights have a file of their own, which may differ for the same graph
            digest.update(node.data)
    return digest.hexdigest()


def _order(graph: str, inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Return a graph's inputs in the contract's order."""
    return [inputs[tensor.name] for tensor in GRAPHS[graph].inputs]


def _check_sizes(graph: str, inputs: Mapping[str, NDArray[Any]], channels: int) -> None:
    """Refuse inputs that do not fit, which OpenVINO with a single thread does not: it reads beyond their end."""
    sizes = GRAPHS[graph].sizes_of({name: array.shape for name, array in inputs.items()})
    if sizes.get("C", channels) != channels:
        raise ValueError(f"the style has {sizes['C']} channels and the model {channels}")


def _last_line(error: Exception) -> str:
    """Return the last line of an error; the others name places in OpenVINO's sources."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
