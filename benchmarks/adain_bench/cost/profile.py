"""Where the time of a graph goes: each kernel's time, by the profilers of ONNX Runtime and OpenVINO.

The graph runs under the settings that ship, with the profiler on. A kernel's time is the least of its runs after
warm-up: what it takes where no other process interrupts it, as the rates of ``floor`` are. It is the kernel's own,
without what lies between kernels, so the sum is somewhat less than a call takes.

Kernels are matched with the graph's nodes by name, which both libraries derive from the node's or from the tensor's. Of
a convolution that others were fused into, the operations are the convolution's, and the floor is the whole group's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_bench.cost.costs import Costs, Group, Layer
from adain_bench.cost.floor import Floor
from adain_export.graphs.passes.editing import CONVOLUTIONS
from adain_models.errors import AdainError
from adain_rt import contract
from adain_rt.backends import Settings, open_backend

__all__ = ["PROFILERS", "Kernel", "Row", "profile", "rows"]

_WARM_UP_RUNS = 3

_KERNEL_TIME = "_kernel_time"

_DECORATION = re.compile(r"(_nchwc|_token_\d+|/WithoutBiases|_original)+$")
"""What the libraries add to the name of a node or tensor."""

_CONVOLUTION = re.compile(r"Conv(olution)?( |$)")
"""The kinds of kernels that convolve: Conv, QLinearConv, and OpenVINO's Convolution with its implementation."""

_TRANSPOSED = "ConvolutionBackpropData"
"""OpenVINO's transposed convolution, to which it gives a name of its own; they come in the graph's order."""


@dataclass(frozen=True)
class Kernel:
    """What a backend runs as one.

    Attributes:
        name: in the backend.
        kind: its type, and how it is implemented where the backend tells.
        seconds: the least of its times.

    """

    name: str
    kind: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """A kernel beside what it costs.

    Attributes:
        kernel: its name, kind and seconds.
        share: of the sum of all kernels' times.
        flops: operations; ``None`` where the kernel is none of the graph's nodes, such as a change of layout.
        floor: the least seconds for it and what it is fused with; ``None`` but for what starts a group.

    """

    kernel: Kernel
    share: float
    flops: int | None
    floor: float | None

    @property
    def rate(self) -> float | None:
        """Operations a second."""
        return self.flops / self.kernel.seconds if self.flops and self.kernel.seconds else None

    @property
    def floor_share(self) -> float | None:
        """The floor as a share of the time."""
        return self.floor / self.kernel.seconds if self.floor and self.kernel.seconds else None


def profile(
    backend: str,
    directory: Path,
    precision: str,
    graph: str,
    sizes: Mapping[str, int],
    settings: Settings | None = None,
    runs: int = 20,
) -> tuple[Kernel, ...]:
    """Return the kernels that a backend runs for a graph, in its order, on a picture of noise.

    Args:
        backend: of ``PROFILERS``, and able to run here.
        directory: of the model.
        precision: one that the backend computes in.
        graph: one of the contract's.
        sizes: N, H and W, and R where the graph has regions.
        settings: of the backend.
        runs: how often the graph is timed.

    Raises:
        AdainError: the backend tells no times of kernels; or as the backend does.

    """
    if backend not in PROFILERS:
        raise AdainError(f"{backend} tells no times of kernels: only {', '.join(PROFILERS)} do")
    opened: Any = open_backend(backend, contract.source_dir(directory, precision), precision, settings)
    times: dict[tuple[str, str, str], list[float]] = {}
    for key, seconds in PROFILERS[backend](opened, graph, _inputs(opened, graph, sizes), _WARM_UP_RUNS + runs):
        times.setdefault(key, []).append(seconds)
    kernels = (Kernel(name, kind, min(each[_WARM_UP_RUNS:])) for (_, name, kind), each in times.items())
    return tuple(kernel for kernel in kernels if kernel.seconds > 0)


def rows(kernels: Sequence[Kernel], costs: Costs, floor: Floor | None = None) -> tuple[Row, ...]:
    """Return kernels beside their costs, the one that takes longest first.

    Args:
        kernels: of a graph.
        costs: of the same graph, for the same size.
        floor: of these costs.

    """
    found = _Names(costs)
    floors = {each.group.name: each.seconds for each in floor.groups} if floor else {}
    total = sum(kernel.seconds for kernel in kernels) or 1.0
    made = []
    for kernel in kernels:
        layer, group = found.of(kernel)
        starts = group is not None and layer is not None and layer.name == group.name
        made.append(
            Row(
                kernel=kernel,
                share=kernel.seconds / total,
                flops=layer.flops if layer else None,
                floor=floors.get(layer.name) if layer and starts else None,
            )
        )
    return tuple(sorted(made, key=lambda row: -row.kernel.seconds))


class _Names:
    """Finds the layer that a kernel is."""

    def __init__(self, costs: Costs) -> None:
        self._found: dict[str, tuple[Layer, Group]] = {}
        for group in costs.groups:
            for layer in group.layers:
                self._found[layer.output] = layer, group
        for group in costs.groups:
            for layer in group.layers:
                self._found[layer.name] = layer, group

        transposed = ((layer, group) for group in costs.groups for layer in group.layers)
        self._transposed = (each for each in transposed if each[0].op_type == "ConvTranspose")

    def of(self, kernel: Kernel) -> tuple[Layer, Group] | tuple[None, None]:
        """Return a kernel's layer and its group; of a convolution, which may bear the name of its ReLU, that one."""
        if kernel.kind.startswith(_TRANSPOSED):
            return next(self._transposed, (None, None))
        found = self._found.get(_DECORATION.sub("", kernel.name))
        if found is None:
            return None, None
        layer, group = found
        if _CONVOLUTION.search(kernel.kind) and layer.op_type not in CONVOLUTIONS:
            layer = next((each for each in group.layers if each.op_type in CONVOLUTIONS), layer)
        return layer, group


def _inputs(backend: Any, graph: str, sizes: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """Return a picture of noise, and ones for whatever else a graph takes."""
    letters = {**sizes, "C": int(backend.metadata(graph)["channels"])}
    generator = np.random.default_rng(0)
    made: dict[str, NDArray[Any]] = {}
    for tensor in contract.GRAPHS[graph].inputs:
        shape = tuple(size if isinstance(size, int) else letters[size] for size in tensor.shape)
        made[tensor.name] = (
            generator.integers(0, 256, shape, np.uint8) if tensor.name == "image" else np.ones(shape, tensor.dtype)
        )
    return made


_Timed = Iterator[tuple[tuple[str, str, str], float]]
"""Each kernel of each run, in order: what tells it from the others, its name and its kind; and its seconds."""


def _in_onnxruntime(backend: Any, graph: str, inputs: Mapping[str, NDArray[Any]], runs: int) -> _Timed:
    """Yield what ONNX Runtime's profile tells; it is a file, of events that are named by node."""
    from adain_rt.backends.onnxruntime.cpu import open_session

    session = backend._session(graph)
    with TemporaryDirectory() as folder:
        options = session.get_session_options()
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        path = Path(session._model_path)
        profiled = open_session(path, graph, path, options, session.get_providers())
        for _ in range(runs):
            profiled.run(None, dict(inputs))
        events = json.loads(Path(profiled.end_profiling()).read_text("utf-8"))
    for event in events:
        name = event["name"]
        if event["cat"] == "Node" and name.endswith(_KERNEL_TIME):
            told = event["args"]
            yield (told["node_index"], name.removesuffix(_KERNEL_TIME), told["op_name"]), event["dur"] / 1e6


def _in_openvino(backend: Any, graph: str, inputs: Mapping[str, NDArray[Any]], runs: int) -> _Timed:
    """Yield what an infer request of OpenVINO tells of its last run."""
    from adain_rt.backends.openvino import CORE

    path = backend._directory / contract.graph_file(graph)
    compiled = CORE.compile_model(path, "CPU", {**backend._config, "PERF_COUNT": True})
    request = compiled.create_infer_request()
    given = [inputs[tensor.name] for tensor in contract.GRAPHS[graph].inputs]
    for _ in range(runs):
        request.infer(given)
        for place, told in enumerate(request.get_profiling_info()):
            kind = f"{told.node_type} {told.exec_type}"  # a node that another took in tells no time
            yield (str(place), told.node_name, kind), told.real_time.total_seconds()


PROFILERS: dict[str, Callable[[Any, str, Mapping[str, NDArray[Any]], int], _Timed]] = {
    "onnxruntime": _in_onnxruntime,
    "openvino": _in_openvino,
}
"""What tells the times of kernels, by backend."""
