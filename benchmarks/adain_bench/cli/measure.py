"""``adain-rt bench latency``, ``throughput``, ``start``, ``exactness``, ``paper``, ``tiles``, ``gpu`` and ``all``."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

import click

from adain_bench.cli import sections
from adain_bench.cli.printing import run_and_print
from adain_bench.measure import gpu_day
from adain_bench.measure.gpu_day import Day
from adain_bench.measure.request import Request
from adain_bench.measure.timing import Plan
from adain_models.weights import spec
from adain_rt import backends, contract
from adain_rt.backends import Settings
from adain_rt.cli import options
from adain_rt.stylizer import Stylizer

__all__ = ["everything", "exactness", "gpu", "latency", "paper", "serve", "start", "throughput", "tiles"]

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


def _repeatable(
    option: str, name: str, kind: Any, default: Sequence[Any], metavar: str | None, text: str
) -> _Decorator:
    """Return an option that may be repeated. A value that is given twice counts once."""
    return click.option(
        option,
        name,
        type=kind,
        multiple=True,
        default=default,
        show_default=bool(default),
        metavar=metavar,
        callback=lambda ctx, param, values: tuple(dict.fromkeys(values)),  # noqa: ARG005 - click's interface
        help=text,
    )


_models = _repeatable(
    "--model", "models", str, (spec.DEFAULT_MODEL,), "NAME|DIR", "A named model or a model directory; may be repeated."
)
_backends = _repeatable(
    "--backend",
    "names",
    click.Choice(list(backends.BACKENDS)),
    (),
    None,
    "A backend of this package; may be repeated.  [default: all]",
)
_precisions = _repeatable(
    "--precision",
    "precisions",
    click.Choice(contract.PRECISIONS),
    (),
    None,
    "A precision to compute in; may be repeated.  [default: all]",
)
_sizes = _repeatable(
    "--size", "sizes", click.IntRange(16, 8192), (256, 512), "N", "Side of a square picture in pixels; may be repeated."
)
_size = click.option(
    "--size", type=click.IntRange(16, 8192), default=512, show_default=True, metavar="N",
    help="Side of a square picture in pixels.",
)  # fmt: skip
_output = click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Write the record (run.json), the report and the plots into this folder.",
)  # fmt: skip
_as_json = click.option(
    "--json", "as_json", is_flag=True, help="Print the record with every time as JSON, in place of tables."
)
_peers = click.option("--peers", is_flag=True, help="Measure PyTorch (eager and compiled) and other packages too.")
_iterations = click.option(
    "--iterations", type=click.IntRange(2, 500), default=3, show_default=True, metavar="N",
    help="Time N iterations of the optimisation of Gatys et al.; the result is scaled to 500.",
)  # fmt: skip


def _seconds(default: float) -> _Decorator:
    return click.option(
        "--seconds", type=click.FloatRange(0.01, 3600), callback=options.finite, default=default, show_default=True,
        metavar="S", help="Seconds to time each case, after its warm-up.",
    )  # fmt: skip


_repeats = click.option(
    "--repeats", type=click.IntRange(1, 1000), default=10, show_default=True, metavar="N",
    help="Split that time into N rounds with every case in each; the differences between rounds are the noise.",
)  # fmt: skip


def _with_measuring_options(function: Callable[..., Any], seconds: float = 2.0) -> Callable[..., Any]:
    """Give a command the options of every measurement of time, as ``plan``, ``settings``, ``output`` and ``as_json``.

    Args:
        function: the command.
        seconds: the default for each case.

    """

    @_seconds(seconds)
    @_repeats
    @options.threads
    @options.engines
    @options.trust_engines
    @_output
    @_as_json
    @wraps(function)
    def wrapped(*args: Any, seconds: float, repeats: int, **kwargs: Any) -> Any:
        settings = Settings(**{name: kwargs.pop(name) for name in ("threads", "engines", "trust_engines")})
        return function(*args, plan=Plan(repeats, seconds), settings=settings, **kwargs)

    return wrapped


@click.command("latency")
@_models
@_backends
@_precisions
@_sizes
@_repeatable("--batch", "batches", click.IntRange(1, 256), (1,), "N", "Pictures in a call; may be repeated.")
@_peers
@_repeatable("--peer", "peer_names", str, (), "NAME", "Of those only this one, such as pytorch-eager; may be repeated.")
@click.option(
    "--floor", is_flag=True, help="Measure the fastest that this machine could be, and give each time as a share of it."
)
@_with_measuring_options
def latency(names: Sequence[str], output: Path | None, as_json: bool, **asked: Any) -> None:
    """Time single calls, from pixels to pixels.

    Each backend that can run here is timed in each precision, once with a saved style and once encoding the style. On a
    GPU, the GPU's share of the time is shown too.

    \b
    Examples:
      adain-rt bench latency
      adain-rt bench latency --backend onnxruntime --precision int8 --size 1024 -o report
    """
    asked["peers"] = asked["peers"] or bool(asked["peer_names"])
    run_and_print([(sections.latency, Request(backends=names, **asked))], output, as_json)


@click.command("exactness")
@_models
@_backends
@_precisions
@_sizes
@options.engines
@options.trust_engines
@_output
@_as_json
def exactness(
    names: Sequence[str], output: Path | None, as_json: bool, engines: Path | None, trust_engines: bool, **asked: Any
) -> None:
    """Compare each backend's pictures with PyTorch's in float64.

    Each backend encodes the style itself.
    """
    settings = Settings(engines=engines, trust_engines=trust_engines)
    request = Request(backends=names, settings=settings, plan=Plan(1, 0), **asked)
    run_and_print([(sections.exactness, request)], output, as_json)


@click.command("throughput")
@_models
@_backends
@_precisions
@_size
@_repeatable("--batch", "batches", click.IntRange(1, 256), (1, 2, 4, 8), "N", "Pictures in a call; may be repeated.")
@_repeatable("--streams", "streams", click.IntRange(1, 64), (2, 4), "N", "Threads that call at once; may be repeated.")
@_with_measuring_options
def throughput(names: Sequence[str], size: int, output: Path | None, as_json: bool, **asked: Any) -> None:
    """Count pictures per second.

    They come in batches, or from several threads that share one Stylizer.
    """
    run_and_print([(sections.throughput, Request(backends=names, sizes=(size,), **asked))], output, as_json)


@click.command("serve")
@_size
@_repeatable("--clients", "clients", click.IntRange(1, 256), (1, 8, 32), "N", "Clients at once; may be repeated.")
@click.option(
    "--workers", type=click.IntRange(1, 64), metavar="N", help="The server's --workers.  [default: the server's own]"
)
@_seconds(10.0)
@_repeats
@options.stylizer
@_output
@_as_json
def serve(
    size: int,
    clients: Sequence[int],
    workers: int | None,
    seconds: float,
    repeats: int,
    stylizer: Stylizer,
    output: Path | None,
    as_json: bool,
) -> None:
    """Load a server on this machine with requests, beside plain calls.

    Each answer is compared with what the plain call makes. The table has the server's memory before and after, so with
    a small --size and many --seconds it shows whether memory grows.

    \b
    Examples:
      adain-rt bench serve
      adain-rt bench serve --size 64 --clients 8 --seconds 60
    """
    request = Request((str(stylizer.directory),), Plan(repeats, seconds), stylizer.settings, sizes=(size,))
    run_and_print([(partial(sections.serving, stylizer, clients, workers), request)], output, as_json)


@click.command("start")
@_models
@_backends
@_precisions
@_size
@_peers
@_with_measuring_options
def start(names: Sequence[str], size: int, output: Path | None, as_json: bool, **asked: Any) -> None:
    """Time processes up to their first picture.

    Each is started with an empty cache directory, as at the first start on a machine, and again with the cache that
    this start has filled; at most three times. The memory that a process takes is shown too.
    """
    run_and_print([(sections.start, Request(backends=names, sizes=(size,), **asked))], output, as_json)


@click.command("paper")
@_backends
@_iterations
@click.option(
    "--network", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
    help="Keep the paper's network, if its weights are random, in this folder: making it takes a while.",
)  # fmt: skip
@_with_measuring_options
def paper(names: Sequence[str], network: Path | None, output: Path | None, as_json: bool, **asked: Any) -> None:
    """Time the methods of the paper's Table 1 on this machine.

    The paper's figures stand beside the results. The four methods that the paper compares AdaIN with run in PyTorch.
    AdaIN runs in PyTorch and on every backend here, with the paper's network and with the bundled one. All run at 256
    and 512 pixels. If the paper's weights have not been fetched, random weights take their place; this does not change
    the times.
    """
    request = Request((spec.DEFAULT_MODEL,), backends=names, **asked)
    run_and_print([(partial(sections.paper, network=network), request)], output, as_json)


@click.command("tiles")
@_models
@_backends
@_precisions
@click.option(
    "--size", type=click.IntRange(128, 8192), default=4096, show_default=True, metavar="N",
    help="Side of the square picture in pixels.",
)  # fmt: skip
@_repeatable(
    "--tile", "sides", click.IntRange(64, 8192), (2048, 1024), "N", "Side of the tiles in pixels; may be repeated."
)
@partial(_with_measuring_options, seconds=60.0)
def tiles(
    names: Sequence[str], size: int, sides: Sequence[int], output: Path | None, as_json: bool, **asked: Any
) -> None:
    """Time a large picture in tiles beside the same picture at once.

    They take turns, and the table has the ratio of their times. If the weights of `vgg19` have not been fetched, random
    weights take their place; this does not change the times.

    \b
    Examples:
      adain-rt bench tiles --backend openvino --precision int8
      adain-rt bench tiles --model vgg19 --backend openvino --size 2048 --tile 1024 --tile 512
    """
    request = Request(backends=names, sizes=(size,), **asked)
    run_and_print([(partial(sections.tiles, sides), request)], output, as_json)


@click.command("all")
@_models
@_iterations
@partial(_with_measuring_options, seconds=1.2)  # so that all of it ends within ten minutes
def everything(output: Path | None, as_json: bool, **asked: Any) -> None:
    """Run every measurement of speed.

    These are the paper's Table 1, latency, throughput and start. Other packages that are installed are measured too, at
    512 pixels. On two cores it takes less than ten minutes.

    \b
    Examples:
      adain-rt bench all -o report
    """
    of_ours = Request(**asked)
    beside_others = replace(of_ours, sizes=(512,), peers=True, floor=True)
    parts = [
        (sections.paper, of_ours),
        (sections.latency, beside_others),
        (sections.latency, replace(of_ours, sizes=(256, 1024))),
        (sections.throughput, replace(of_ours, batches=(1, 2, 4), streams=(2,))),
        (sections.start, beside_others),
    ]
    run_and_print(parts, output, as_json)


@click.command("gpu")
@click.option(
    "--minutes", type=click.FloatRange(0.1, 60), callback=options.finite, default=8, show_default=True, metavar="M",
    help="End after M minutes, whatever has been done.",
)  # fmt: skip
@click.option("--rehearse", is_flag=True, help="Run short, small steps, on a CPU too, to check that each works.")
@_output
@_as_json
def gpu(minutes: float, rehearse: bool, output: Path | None, as_json: bool) -> None:
    """Test and measure a GPU within minutes.

    The steps are exactness, latency with its floor, throughput, Table 1, the tests for GPUs, and PyTorch. Each is a
    process with a time limit; if one fails, the report has a line for it. The tests need a checkout of the repository.
    """
    backends_here = ["onnxruntime"] if rehearse else gpu_day.backends_on_gpu()
    with tempfile.TemporaryDirectory(prefix="adain-bench-") as folder:
        day = Day(Path(folder), time.monotonic() + 60 * minutes)
        request = Request((spec.DEFAULT_MODEL,), Plan(1, 0), Settings())
        found = gpu_day.steps(backends_here, Path(folder), rehearse=rehearse)
        parts = [(lambda _, step=step: day.results(step), request) for step in found]
        run_and_print(parts, output, as_json)
