"""The parts of a run: each measures one thing, shows its progress, and yields what it found.

What was measured before a signal is yielded before the signal ends the part.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from adain_bench.contenders.contender import Contender
from adain_bench.contenders.ours import ours
from adain_bench.measure.agreement import with_psnr
from adain_bench.measure.cases import Case, cases
from adain_bench.measure.request import Request
from adain_bench.measure.serving import PLAIN_CASES, time_serving
from adain_bench.measure.start import time_starts
from adain_bench.measure.throughput import throughput_cases
from adain_bench.measure.timing import Plan, time_cases
from adain_bench.record.run import Result
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import contract
from adain_rt.budget import NO_TILES, Tile
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import progress
from adain_rt.stylizer import Stylizer

__all__ = ["exactness", "latency", "paper", "serving", "start", "throughput", "tiles"]

_MOST_STARTS = 3


def paper(request: Request, network: Path | None = None) -> Iterator[Result]:
    """Time the methods of the paper's Table 1.

    Args:
        request: of whose models none is taken.
        network: a folder that keeps the paper's network; without it, the network is made for this run.

    Raises:
        AdainError: PyTorch is missing.

    """
    with needing("bench paper", "bench"):
        from adain_bench.measure.paper import paper_cases, paper_results, vgg19_model
    with tempfile.TemporaryDirectory(prefix="adain-bench-") as folder:
        model, weights = vgg19_model(network or Path(folder))
        to_time = list(paper_cases(model, weights, request.settings, request.iterations, request.backends))
        yield from paper_results(_time("Table 1", "paper", to_time, request.plan))


def latency(request: Request) -> Iterator[Result]:
    """Time every contender at every size and batch, with the style encoded and not.

    Raises:
        AdainError: there is no such model, or a package is missing.

    """
    if not request.floor:
        yield from _latencies(request)
        return
    with needing("--floor", "bench"):
        from adain_bench.cost.against_floor import measure_peaks, peak_results, with_floor
    if odd := [size for size in request.sizes if size % contract.MULTIPLE]:
        raise AdainError(f"--floor counts what graphs do, and they take multiples of {contract.MULTIPLE}: not {odd[0]}")
    peaks = measure_peaks(request.settings.threads)
    try:
        yield from with_floor(_latencies(request), peaks, request.models)
    finally:
        yield from peak_results(peaks)


def _latencies(request: Request) -> Iterator[Result]:
    to_time = list(cases(_contenders(request), request.sizes, request.batches))
    return with_psnr(_time("Latency", "latency", to_time, request.plan), to_time, request.models)


def exactness(request: Request) -> Iterator[Result]:
    """Tell how far the pictures of our backends are from PyTorch's in float64.

    Raises:
        AdainError: there is no such model, or a package is missing.

    """
    with needing("bench exactness", "bench"):
        from adain_bench.measure.exactness import exactness as found
    yield from found(_contenders(replace(request, peers=False)), request.models, request.sizes)


def throughput(request: Request) -> Iterator[Result]:
    """Time our backends with pictures in batches, and with several threads, at the largest size.

    Raises:
        AdainError: there is no such model.

    """
    of_ours = replace(request, peers=False)
    to_time = list(throughput_cases(_contenders(of_ours), max(request.sizes), request.batches, request.streams))
    yield from _time("Throughput", "throughput", to_time, request.plan)


def tiles(sides: Sequence[int], request: Request) -> Iterator[Result]:
    """Time a picture of the largest size at once, and in tiles of each size. The styles are known.

    Raises:
        AdainError: there is no such model, or PyTorch is missing, which makes random weights for ``vgg19``.

    """
    sizes: list[Tile] = [NO_TILES, *sides]
    with tempfile.TemporaryDirectory(prefix="adain-bench-") as folder:
        models = [_fill_in_weights(model, Path(folder)) for model in request.models]
        contenders = [
            contender
            for tile in sizes
            for contender in ours(models, request.backends, request.precisions, request.settings, tile)
        ]
        to_time = list(cases(contenders, [max(request.sizes)], [1], ["excluded"]))
        yield from _time("Tiles", "tiles", to_time, request.plan)


def _fill_in_weights(model: str, folder: Path) -> str:
    """Return a model, or the paper's network with random weights, made in a folder, if its own were not fetched."""
    if model != "vgg19" or contract.has_graphs(store.model_dir(model), "fp32"):
        return model
    with needing("bench tiles --model vgg19", "bench"):
        from adain_bench.measure.paper import vgg19_model
    return vgg19_model(folder)[0]


def serving(stylizer: Stylizer, clients: Sequence[int], workers: int | None, request: Request) -> Iterator[Result]:
    """Time requests to a server, by each number of clients, beside plain calls.

    Raises:
        AdainError: the server does not start, or an answer is not the plain call's.

    """
    threads = request.settings.threads
    asked = {
        "--model": stylizer.directory,
        "--backend": stylizer.backend,
        "--precision": stylizer.precision,
        "--threads": threads,
        "--workers": workers,
        "--engines": request.settings.engines,
        "--queue": max(clients),
    }
    arguments = [str(part) for name, value in asked.items() if value is not None for part in (name, value)]
    with progress("Serving", request.plan.repeats * (len(clients) + PLAIN_CASES)) as bar:
        yield from time_serving(stylizer, arguments, max(request.sizes), clients, request.plan, lambda: bar.update(1))


def start(request: Request) -> Iterator[Result]:
    """Time processes from their start to their first picture, at the largest size.

    Raises:
        AdainError: there is no such model, or a package is missing.

    """
    contenders = list(_contenders(request))
    repeats = min(request.plan.repeats, _MOST_STARTS)
    with progress("Starting", repeats * len(contenders)) as bar:
        yield from time_starts(
            contenders, request.models, max(request.sizes), repeats, request.settings, lambda: bar.update(1)
        )


def _contenders(request: Request) -> Iterator[Contender]:
    """Yield peers first: ratios are to the first of them, PyTorch as most people run it.

    Raises:
        AdainError: PyTorch is missing, or there is no such peer.

    """
    if request.peers:
        with needing("--peers", "bench"):
            from adain_bench.contenders.peers import peers
        others = list(peers(request.models, request.precisions, request.settings.threads))
        known = dict.fromkeys(str(each.params["backend"]) for each in others)
        if unknown := [name for name in request.peer_names if name not in known]:
            raise AdainError(f"--peer {unknown[0]}: there are {', '.join(known)}")
        yield from (each for each in others if each.params["backend"] in (request.peer_names or known))
    yield from ours(request.models, request.backends, request.precisions, request.settings)


def _time(label: str, group: str, to_time: Sequence[Case], plan: Plan) -> Iterator[Result]:
    if not to_time:
        raise AdainError("nothing is left to measure: no backend that was asked for computes in such a precision")
    with progress(label, len(to_time) * (plan.repeats + 1)) as bar:
        yield from time_cases(group, to_time, plan, lambda _: bar.update(1))
