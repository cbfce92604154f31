"""``adain-rt bench gpu``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from adain_export.psnr import psnr
from adain_models.errors import AdainError
from adain_rt import contract
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.info import versions
from adain_rt.cli.terminal import progress
from adain_rt.cuda import open_cuda
from adain_rt.stylizer import Stylizer

if TYPE_CHECKING:
    from adain_bench.gpu import Case

__all__ = ["command", "row", "table_line"]


@click.command("gpu")
@options.model
@click.option(
    "--size",
    type=click.IntRange(16, 4096),
    default=512,
    show_default=True,
    metavar="N",
    help="Side of a square picture in pixels, a multiple of 8.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=200, show_default=True, help="Timed calls of each case.")
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every time.")
def command(model: str, size: int, rounds: int, as_json: bool) -> None:
    """Time TensorRT, ONNX Runtime and PyTorch on an NVIDIA GPU.

    Whole calls, from pixels to pixels in the host's memory, and what of them is the GPU's; batch 1, the style's code
    known. Engines are built first where they lack. What cannot run here is listed with the reason.
    """
    with needing("bench gpu", "export"):
        from adain_bench.gpu import cases, interleaved
    if size % contract.MULTIPLE:
        raise AdainError(f"--size {size}: it must be a multiple of {contract.MULTIPLE}")
    gpu = open_cuda().gpu
    painting, picture = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), np.uint8)
    exact = Stylizer(model, "onnxruntime", "fp32")
    code = exact.encode(painting)
    reference = exact.stylize(picture, code)
    tried = dict(cases(model, picture, code))
    ready = [case for case in tried.values() if not isinstance(case, AdainError)]
    with progress("Measuring", rounds, interleaved(ready, rounds)) as numbers:
        sum(1 for _ in numbers)
    rows = [row(name, case, reference) for name, case in tried.items()]
    facts = {"model": exact.model, "size": size, "rounds": rounds, "gpu": asdict(gpu), "packages": versions()}
    if as_json:
        click.echo(json.dumps(facts | {"cases": rows}, indent=2))
        return
    click.echo(f"{exact.model}, {size}x{size}, batch 1, {rounds} rounds, milliseconds; {gpu.name}, CUDA {gpu.driver}")
    click.echo(f"{'':<46} {'whole call':>20} {'GPU part':>19}")
    click.echo(f"{'':<46} {'median':>10} {'p99':>9} {'median':>10} {'p99':>8} {'PSNR to fp32':>13}")
    for each in rows:
        click.echo(table_line(each))


def row(name: str, case: Case | AdainError, reference: contract.Pixels) -> dict[str, Any]:
    """Return a case's figures, or why there are none.

    Args:
        name: of the case.
        case: timed.
        reference: the picture in float32, uint8 (H, W, 3).

    """
    failed = case if isinstance(case, AdainError) else case.failed
    if failed is not None:
        return {"case": name, "failed": str(failed)}
    assert not isinstance(case, AdainError)  # noqa: S101 - for the type checker
    figures = {f"{part}_{key}": value for part in ("whole", "gpu") for key, value in _summary(case, part).items()}
    return {"case": name, "psnr_db": psnr(case.made, reference), **figures}


def _summary(case: Case, part: str) -> dict[str, Any]:
    times: Sequence[float] = getattr(case, f"{part}_ms")
    if not times:
        return {}
    return {"median_ms": float(np.median(times)), "p99_ms": float(np.percentile(times, 99)), "ms": list(times)}


def table_line(figures: Mapping[str, Any]) -> str:
    """Return a case's line of the table."""
    if "failed" in figures:
        return f"{figures['case']:<46} {figures['failed']}"
    times = [figures.get(f"{part}_{name}_ms") for part in ("whole", "gpu") for name in ("median", "p99")]
    columns = "{:>10} {:>9} {:>10} {:>8}".format(*("" if time is None else f"{time:.3f}" for time in times))
    return f"{figures['case']:<46} {columns} {figures['psnr_db']:>10.1f} dB"
