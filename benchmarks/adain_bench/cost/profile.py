"""Where the time of a graph goes: the time of each kernel, from the profilers of ONNX Runtime and OpenVINO.

The graph runs under the default settings, with the profiler on. A kernel's time is the least of its runs after the
warm-up: the time that it takes without interruption by other processes, like the rates of ``floor``. The time between
kernels is not counted, so the sum is somewhat less than the time of a call.

Kernels are matched with the graph's nodes by name, which both libraries derive from the name of a node or of a tensor.
For a convolution into which other nodes are fused, the operations are the convolution's, and the floor is the whole
group's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_bench.cost.costs import Costs, Group, Layer
from adain_bench.cost.floor import Floor
from adain_export.graphs.passes.editing import CONVOLUTIONS
from adain_models.errors import AdainError
from adain_rt import contract
from adain_rt.backends import BACKENDS, ProfilingBackend, Settings, open_backend

__all__ = ["Kernel", "Row", "profile", "rows"]

_WARM_UP_RUNS = 3

_DECORATION = re.compile(r"(_nchwc|_token_\d+|/WithoutBiases|_original)+$")
"""What the libraries add to the name of a node or tensor."""

_CONVOLUTION = re.compile(r"Conv(olution)?( |$)")
"""The kinds of kernels that convolve: Conv, QLinearConv, and OpenVINO's Convolution with its implementation."""

_TRANSPOSED = "ConvolutionBackpropData"
"""OpenVINO's transposed convolutions, to which it gives names of its own; they come in the graph's order."""


@dataclass(frozen=True)
class Kernel:
    """A kernel, which is what a backend runs as one.

    Attributes:
        name: its name in the backend.
        kind: its type, with its implementation where the backend names it.
        seconds: the least of its times.

    """

    name: str
    kind: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """A kernel beside its costs.

    Attributes:
        kernel: its name, kind and seconds.
        share: its share of the sum of all kernels' times.
        flops: its operations; ``None`` where the kernel is not a node of the graph, such as a change of layout.
        floor: the least seconds for it and the nodes fused with it; ``None`` for a kernel that does not start a group.

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
    """Return the kernels that a backend runs for a graph on a picture of noise, in the order of its runs.

    Args:
        backend: the name of a backend that times its kernels, and can run here.
        directory: the model directory.
        precision: one that the backend computes in.
        graph: one of the contract's.
        sizes: N, H and W, and R where the graph has regions.
        settings: how the backend runs.
        runs: how often the graph is timed.

    Raises:
        AdainError: the backend does not time its kernels, or fails.

    """
    able = [name for name, spec in BACKENDS.items() if spec.profiles]
    if backend not in able:
        raise AdainError(f"{backend} does not time its kernels", hint=f"use the `backend` {' or '.join(able)}")
    opened = open_backend(backend, contract.source_dir(directory, precision), precision, settings)
    assert isinstance(opened, ProfilingBackend)  # noqa: S101 - the table says so
    inputs = _make_inputs(graph, {**sizes, "C": opened.facts(graph).channels})
    times: dict[tuple[str, str, str], list[float]] = {}
    for run in opened.profile(graph, inputs, _WARM_UP_RUNS + runs):
        times.setdefault((run.place, run.name, run.kind), []).append(run.seconds)
    opened.close()
    kernels = (Kernel(name, kind, min(each[_WARM_UP_RUNS:])) for (_, name, kind), each in times.items())
    return tuple(kernel for kernel in kernels if kernel.seconds > 0)


def rows(kernels: Sequence[Kernel], costs: Costs, floor: Floor | None = None) -> tuple[Row, ...]:
    """Return kernels beside their costs, the slowest first.

    Args:
        kernels: the kernels of a graph.
        costs: the costs of the same graph, for the same size.
        floor: the floor of these costs.

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
    """Finds the layer that a kernel computes."""

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
        """Return a kernel's layer and its group; for a convolution that bears the name of its ReLU, the convolution."""
        if kernel.kind.startswith(_TRANSPOSED):
            return next(self._transposed, (None, None))
        found = self._found.get(_DECORATION.sub("", kernel.name))
        if found is None:
            return None, None
        layer, group = found
        if _CONVOLUTION.search(kernel.kind) and layer.op_type not in CONVOLUTIONS:
            layer = next((each for each in group.layers if each.op_type in CONVOLUTIONS), layer)
        return layer, group


def _make_inputs(graph: str, sizes: Mapping[str, int]) -> dict[str, NDArray[Any]]:
    """Return a picture of noise, and ones for a graph's other inputs."""
    generator = np.random.default_rng(0)
    made: dict[str, NDArray[Any]] = {}
    for tensor in contract.GRAPHS[graph].inputs:
        shape = tensor.sized(sizes)
        made[tensor.name] = (
            generator.integers(0, 256, shape, np.uint8) if tensor.name == "image" else np.ones(shape, tensor.dtype)
        )
    return made
