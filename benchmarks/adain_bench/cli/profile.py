"""``adain-rt bench profile``."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from adain_models.errors import AdainError
from adain_rt import contract
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.stylizer import Stylizer

if TYPE_CHECKING:
    from adain_bench.cost.profile import Row

__all__ = ["command"]


@click.command("profile")
@click.option(
    "--graph",
    type=click.Choice(list(contract.GRAPHS)),
    default="stylize",
    show_default=True,
    help="The graph to profile.",
)
@click.option(
    "--size",
    type=click.IntRange(16, 8192),
    default=512,
    show_default=True,
    metavar="N",
    help="Side of a square picture in pixels, a multiple of 8.",
)
@click.option(
    "--top", type=click.IntRange(min=1), default=10, show_default=True, metavar="N", help="List the N slowest layers."
)
@click.option(
    "--floor", is_flag=True, help="Measure the fastest that this machine could be, and give each time as a share of it."
)
@options.stylizer
@click.option("--json", "as_json", is_flag=True, help="Print every layer as JSON.")
def command(graph: str, size: int, top: int, floor: bool, stylizer: Stylizer, as_json: bool) -> None:
    """Show how long each layer of a graph takes, the slowest first.

    This works with ONNX Runtime and OpenVINO, at batch 1. The layers are the backend's own; they have the names of the
    graph's nodes where the backend gives them.

    \b
    Examples:
      adain-rt bench profile --backend onnxruntime --precision int8 --floor
    """
    with needing("bench profile", "bench"):
        from adain_bench.cost import against_floor
        from adain_bench.cost.floor import floor as least
        from adain_bench.cost.profile import profile, rows
    if size % contract.MULTIPLE:
        raise AdainError(f"--size {size}: it must be a multiple of {contract.MULTIPLE}")
    sizes = {"N": 1, "H": size, "W": size, "R": 2}
    asked = stylizer.backend, stylizer.directory, stylizer.precision, graph, sizes, stylizer.settings
    kernels = profile(*asked)
    costs = against_floor.graph_costs(stylizer.directory, graph, stylizer.backend, stylizer.precision, size)
    peaks = against_floor.measure_peaks(stylizer.settings.threads)["cpu"] if floor else None
    layers = rows(kernels, costs, least(costs, peaks) if peaks else None)
    facts = {"model": stylizer.model, "graph": graph, "size": size, "backend": stylizer.backend}
    facts |= {"precision": stylizer.precision}
    if as_json:
        click.echo(json.dumps({**facts, "layers": [asdict(layer) for layer in layers]}, indent=2))
        return
    total = sum(layer.kernel.seconds for layer in layers)
    click.echo(f"{graph} of {stylizer.model} in {stylizer.precision}, {stylizer.backend}, {size}x{size}, batch 1")
    click.echo(f"{costs.flops / 1e9:.1f} GFLOP; {len(layers)} layers in {total * 1e3:.2f} ms, the least of their times")
    click.echo(f"{'ms':>8} {'share':>6} {'GFLOP':>7} {'GFLOP/s':>8} {'of floor':>9}  layer")
    for layer in layers[:top]:
        click.echo(_line(layer))


def _line(layer: Row) -> str:
    cells: list[Any] = [
        f"{layer.kernel.seconds * 1e3:.3f}",
        f"{layer.share:.0%}",
        "" if layer.flops is None else f"{layer.flops / 1e9:.3f}",
        "" if layer.rate is None else f"{layer.rate / 1e9:.0f}",
        "" if layer.floor_share is None else f"{layer.floor_share:.0%}",
    ]
    figures = "{:>8} {:>6} {:>7} {:>8} {:>9}".format(*cells)
    return f"{figures}  {layer.kernel.name} ({layer.kernel.kind})"
