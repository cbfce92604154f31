"""Measured times as shares of the least that this machine could take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from adain_bench.contenders import gpu_events
from adain_bench.cost.costs import Costs
from adain_bench.cost.counting import count, count_file
from adain_bench.cost.floor import Floor, floor
from adain_bench.cost.peaks import Peaks, measure_cpu, measure_cuda
from adain_bench.record.run import Result
from adain_export.graphs.engine_graph import engine_graph
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends import BACKENDS
from adain_rt.backends.onnxruntime.cpu import graph_path
from adain_rt.machine.cpu import available_cores

__all__ = ["graph_costs", "measure_peaks", "peak_results", "with_floor"]


def measure_peaks(threads: int | None) -> dict[str, Peaks]:
    """Return what each device here can do, ``cpu`` and, where there is one, ``gpu``; it takes some ten seconds."""
    peaks = {"cpu": measure_cpu(threads or available_cores())}
    return peaks | ({"gpu": measure_cuda()} if gpu_events.available() else {})


def peak_results(peaks: Mapping[str, Peaks]) -> Iterator[Result]:
    """Yield the rates as results."""
    for device, of_device in peaks.items():
        rates = {**{f"{name} operations": each for name, each in of_device.compute.items()}, "bytes": of_device.copy}
        for name, peak in rates.items():
            facts = {"per_s": peak.rate, "runner": peak.runner}
            yield Result("peaks", f"{device} {name}", {"device": device, "of": name}, None, extra_info=facts)


def with_floor(results: Iterable[Result], peaks: Mapping[str, Peaks], models: Sequence[str]) -> Iterator[Result]:
    """Yield results, those of our backends with their graphs' floor in seconds, and which share of the time it is."""
    directories = {store.model_name(model): store.model_dir(model) for model in models}
    for result in results:
        params = result.params
        backend = BACKENDS.get(str(params["backend"]))
        device = backend.device if backend else "cpu"
        if result.times is None or backend is None or device not in peaks:
            yield result
            continue
        graphs = ("encode", "stylize") if params["style_encoding"] == "included" else ("stylize",)
        run_as = str(params["backend"]), str(params["precision"]), int(params["size"]), int(params["batch"])
        directory = directories[str(params["model"])]
        try:
            floors = [floor(graph_costs(directory, graph, *run_as), peaks[device]) for graph in graphs]
        except Exception as error:  # such as a precision that no rate was measured of, or a graph that has no fp16
            why = (str(error).splitlines() or [type(error).__name__])[0]
            yield replace(result, extra_info={**result.extra_info, "no_floor": why})
            continue
        least = sum(each.seconds for each in floors)
        share = least / float(np.median((result.gpu_times or result.times).flat))
        facts = {"floor_s": least, "share_of_floor": share, "bound": _bound(floors)}
        yield replace(result, extra_info={**result.extra_info, **facts})


def graph_costs(directory: Path, graph: str, backend: str, precision: str, size: int, batch: int = 1) -> Costs:
    """Return what a graph of a model costs for square pictures, as a backend runs it.

    Args:
        directory: of the model.
        graph: one of the contract's.
        backend: the name of one of ours.
        precision: one of the contract's.
        size: of a side, in pixels.
        batch: how many pictures.

    Raises:
        AdainError: the graph is missing or damaged.

    """
    sizes = {"N": batch, "H": size, "W": size}
    if precision == "fp16":
        return count(onnx.load_from_string(engine_graph(directory, graph, precision)), sizes)
    folder = contract.graph_dir(directory, precision)
    path = graph_path(folder, graph) if backend == "onnxruntime" else folder / contract.graph_file(graph)
    return count_file(path, sizes, bf16=precision == "bf16")


def _bound(floors: Iterable[Floor]) -> str:
    """Return what most of the floor's time is bound by."""
    seconds = {"compute": 0.0, "memory": 0.0}
    for each in floors:
        for group in each.groups:
            seconds[group.bound] += group.seconds
    return max(seconds, key=lambda name: seconds[name])
