"""``adain-rt bench``."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence

import click

from adain_bench.latency import Latency, measure
from adain_rt.cli import options
from adain_rt.cli.terminal import progress
from adain_rt.stylizer import Stylizer

__all__ = ["command"]


@click.group("bench")
def command() -> None:
    """Measure how long styles and pictures take."""


@command.command("latency")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    type=click.IntRange(16, 8192),
    default=(256, 512),
    show_default=True,
    metavar="N",
    help="Side of a square picture in pixels; may be given again.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=20, show_default=True, help="Timed calls of each case.")
@options.model
@options.backend
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every time.")
def latency(sizes: Sequence[int], rounds: int, model: str, backend: str, as_json: bool) -> None:
    """Time whole calls, from pixels to pixels, with the style's code known and with the style encoded too."""
    stylizer = Stylizer(model, backend)
    with progress("Measuring", rounds, measure(stylizer, sizes, rounds)) as rounds_done:
        *_, measured = rounds_done
    if as_json:
        click.echo(json.dumps(_facts(stylizer, measured), indent=2))
        return
    click.echo(f"{stylizer.model}, {stylizer.backend}, {_processor()}; seconds, batch 1, {rounds} rounds")
    click.echo(f"{'size':>5}  {'style encoding':<15} {'median':>8} {'p90':>8} {'min':>8}")
    for case in measured:
        encoding = "included" if case.encodes_style else "excluded"
        click.echo(f"{case.size:>5}  {encoding:<15} {case.median:>8.4f} {case.p90:>8.4f} {case.fastest:>8.4f}")


def _facts(stylizer: Stylizer, measured: Sequence[Latency]) -> dict[str, object]:
    return {
        "model": stylizer.model,
        "backend": stylizer.backend,
        "processor": _processor(),
        "python": platform.python_version(),
        "cases": [
            {
                "size": case.size,
                "style_encoding": "included" if case.encodes_style else "excluded",
                "median_s": case.median,
                "p90_s": case.p90,
                "min_s": case.fastest,
                "seconds": case.seconds,
            }
            for case in measured
        ],
    }


def _processor() -> str:
    return f"{os.cpu_count()} x {platform.processor() or platform.machine()}"
