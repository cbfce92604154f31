"""What a backend is, how it is described and set, and what backends do alike."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.backends.external_data import check_locations
from adain_rt.contract import GRAPHS, GraphFacts
from adain_rt.errors import too_large
from adain_rt.machine.cpu import available_cores

__all__ = [
    "Backend",
    "BackendSpec",
    "DeviceBackend",
    "KernelRun",
    "ProfilingBackend",
    "Settings",
    "TrimmableBackend",
    "check_ends",
    "check_file",
    "explain_failure",
    "read_facts",
]


class Backend(Protocol):
    """Runs the graphs of one directory. Its methods may be called from several threads at once."""

    def open(self, graph: str) -> None:
        """Load one of the contract's graphs unless it is loaded, so that the first picture does not have to.

        Raises:
            UnusableBackend: the backend cannot run on this machine.
            AdainError: the graph is missing, damaged or another one.

        """

    def facts(self, graph: str) -> GraphFacts:
        """Return the facts in a graph's metadata.

        Raises:
            AdainError: the graph is missing, damaged or another one.

        """

    def run(self, graph: str, inputs: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Return the outputs of one of the contract's graphs, in the contract's order.

        Args:
            graph: its name; it is opened if it is not open.
            inputs: NumPy arrays by name, with the contract's types and shapes.

        Raises:
            AdainError: the graph is missing, damaged or another one; an input does not fit; or memory does not suffice.

        """

    def close(self) -> None:
        """Free the memory and the threads that the backend holds. It may not be used afterwards.

        A run that is under way in another thread still ends, and its memory is freed then.
        """


@runtime_checkable
class DeviceBackend(Backend, Protocol):
    """A backend that also runs the graphs on arrays in a GPU's memory."""

    def free_bytes(self) -> int:
        """Return how many bytes of the GPU's memory are free.

        Raises:
            AdainError: the GPU is lost.

        """

    def run_on_device(
        self, graph: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any] | None = None, stream: int | None = None
    ) -> tuple[Any, ...]:
        """Return the outputs of a graph on arrays that speak DLPack or ``__cuda_array_interface__``, without a copy.

        Args:
            graph: one of the contract's.
            inputs: arrays by name; NumPy's are copied.
            outputs: arrays to write into, by name; new ones are made for the others.
            stream: the handle of the CUDA stream in whose order the work is done; without it, the work is done when
                this returns.

        Raises:
            AdainError: an array does not fit, or any reason that ``run`` has.

        """


@dataclass(frozen=True)
class KernelRun:
    """One run of a kernel, which is what a backend runs as one.

    Attributes:
        place: which kernel of the graph it is; the same in each run.
        name: the kernel's name in the backend, which is made from a node's or a tensor's.
        kind: its type, with its implementation where the backend names it.
        seconds: how long it ran.

    """

    place: str
    name: str
    kind: str
    seconds: float


@runtime_checkable
class ProfilingBackend(Backend, Protocol):
    """A backend that also times the kernels of its graphs."""

    def profile(self, graph: str, inputs: Mapping[str, NDArray[Any]], runs: int) -> Iterable[KernelRun]:
        """Return the times of the kernels of a graph, under the same settings as ``run``.

        Args:
            graph: one of the contract's.
            inputs: as for ``run``.
            runs: how often the graph is run.

        Returns:
            Each kernel of each run, in order.

        Raises:
            AdainError: any reason that ``run`` has.

        """


@runtime_checkable
class TrimmableBackend(Backend, Protocol):
    """A backend that keeps a run's memory for the next run, and can give it up."""

    def trim(self, graph: str) -> None:
        """Free the memory that runs of a graph keep, unless one is under way. The next run takes it again."""


_MOST_THREADS = 1024


@dataclass(frozen=True)
class Settings:
    """How a backend runs.

    Attributes:
        threads: how many threads compute one picture; ``None`` leaves it to the backend. GPU backends ignore it.
        engines: the folder of TensorRT engines; ``None`` is the cache, where missing engines are built.
        trust_engines: whether to load an engine that does not match its manifest. Engines can run code.
        cuda_graph: whether a GPU replays its work for a size as one recorded graph.

    Raises:
        AdainError: ``threads`` is no whole number from 1 to 1024.

    """

    threads: int | None = None
    engines: Path | None = None
    trust_engines: bool = False
    cuda_graph: bool = True

    @property
    def own_threads(self) -> int:
        """How many threads may do what no backend does for a picture, such as resizing it."""
        return self.threads or available_cores()

    def __post_init__(self) -> None:
        """Refuse a number of threads that is not a positive whole number."""
        whole = isinstance(self.threads, Integral) and not isinstance(self.threads, bool)
        if self.threads is not None and not (whole and 0 < self.threads <= _MOST_THREADS):
            raise AdainError(
                f"the number of threads is a whole number from 1 to {_MOST_THREADS}, not {self.threads!r}",
                hint="set `threads` to the number of cores, or leave it out",
            )


@dataclass(frozen=True)
class BackendSpec:
    """The description of a backend.

    Attributes:
        module: the module that implements it.
        backend: the name of the class there.
        summary: what it is for, in a few words.
        hindrance: returns why the backend cannot run here, or ``None``; it is quick, and does not raise.
        device: where it computes.
        precisions: what it computes in.
        host_memory_factor: by precision, how many bytes of the host's memory it takes at most for each byte that a
            graph's tensors need (measured). It is below 1 where fused kernels never make some of the tensors. A GPU
            backend has none: it minds the GPU's memory itself.
        auto: whether ``auto`` may choose it.
        on_device: whether it is a ``DeviceBackend``, and replays a size's work as a CUDA graph of its own.
        profiles: whether it is a ``ProfilingBackend``.
        forks: whether a process that was forked can open it although its parent has used it.

    """

    module: str
    backend: str
    summary: str
    hindrance: Callable[[], str | None]
    device: Literal["cpu", "gpu"]
    precisions: tuple[str, ...]
    host_memory_factor: Mapping[str, float] = field(default_factory=dict)
    auto: bool = True
    on_device: bool = False
    profiles: bool = False
    forks: bool = False


def check_file(path: Path) -> set[str]:
    """Refuse a graph whose file is missing or whose data are elsewhere than beside it; return the names of its data.

    No library may open a graph before.
    """
    if not path.is_file():
        raise AdainError(f"{path}: there is no such graph", hint="write it with `adain-rt export`")
    return check_locations(path)


def check_ends(path: Path, graph: str, names: Sequence[str]) -> None:
    """Refuse a file whose inputs and outputs are not the graph's."""
    if list(names) != [tensor.name for tensor in (*GRAPHS[graph].inputs, *GRAPHS[graph].outputs)]:
        raise AdainError(
            f"{path}: is not the graph {graph}, which has other inputs and outputs", hint="export it again"
        )


def read_facts(path: Path, metadata: Mapping[str, str]) -> GraphFacts:
    """Return the facts in a graph's metadata, and refuse a graph without them."""
    try:
        return GraphFacts.from_metadata(metadata)
    except ValueError as error:
        raise AdainError(f"{path}: the graph is damaged ({error})", hint="export it again") from None


def explain_failure(
    library: str, graph: str, error: Exception, line: str, inputs: Mapping[str, NDArray[Any]]
) -> AdainError:
    """Return the error to raise where a library failed.

    Args:
        library: its name.
        graph: the graph that it ran.
        error: what it raised; no library has a type of its own for too little memory.
        line: the same in one line.
        inputs: what the graph was run on.

    """
    if "alloc" not in str(error).lower():
        return AdainError(f"the graph {graph} failed in {library} ({line})")
    height, width = inputs["image"].shape[1:3]
    return too_large(height, width, None, 0, "memory")
