"""``adain-rt bench``."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from itertools import cycle
from pathlib import Path

import click

from adain_bench.gpu_cli import command as gpu
from adain_bench.latency import Latency, measure
from adain_export.commands import needing_export
from adain_rt import cpu, style_arguments
from adain_rt.cli import options
from adain_rt.cli.terminal import progress
from adain_rt.contents import expand
from adain_rt.stylizer import Stylizer

__all__ = ["command"]


@click.group("bench")
def command() -> None:
    """Measure how long pictures take, and how good they are."""


command.add_command(gpu)


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
@options.stylizer
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every time.")
def latency(sizes: Sequence[int], rounds: int, stylizer: Stylizer, as_json: bool) -> None:
    """Time whole calls, from pixels to pixels, with the style's code known and with the style encoded too."""
    with progress("Measuring", rounds, measure(stylizer, sizes, rounds)) as rounds_done:
        *_, measured = rounds_done
    if as_json:
        click.echo(json.dumps(_facts(stylizer, measured), indent=2))
        return
    click.echo(f"{stylizer.model} in {stylizer.precision}, {stylizer.backend}; batch 1, {rounds} rounds, seconds")
    click.echo(cpu.describe())
    click.echo(f"{'size':>5}  {'style encoding':<15} {'median':>8} {'p90':>8} {'min':>8}")
    for case in measured:
        encoding = "included" if case.encodes_style else "excluded"
        click.echo(f"{case.size:>5}  {encoding:<15} {case.median:>8.4f} {case.p90:>8.4f} {case.fastest:>8.4f}")


def _facts(stylizer: Stylizer, measured: Sequence[Latency]) -> dict[str, object]:
    return {
        "model": stylizer.model,
        "backend": stylizer.backend,
        "precision": stylizer.precision,
        "processor": cpu.describe(),
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


@command.command("quality")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@click.option("--style", "styles", multiple=True, required=True, metavar="S", help="A picture or a directory of them.")
@click.option(
    "--teacher",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="VGG-19's weights up to conv3_4 as safetensors: convB_I.weight and convB_I.bias, as Keras publishes them.",
)
@options.size(default=512)
@options.stylizer
@click.option("--json", "as_json", is_flag=True, help="As JSON, with every pair.")
def quality(
    contents: Sequence[str], styles: Sequence[str], teacher: Path, size: int, stylizer: Stylizer, as_json: bool
) -> None:
    """Judge pictures by a teacher's features, and a precision by the decibels that it is from fp32.

    The first content is paired with the first style, the second with the second, and so on, the shorter list repeated.
    """
    with needing_export("quality"):
        from adain_bench.quality import Pair, Teacher, judge
    vgg19 = Teacher(teacher)
    photos = expand(contents)
    paintings = [Path(name) for style in styles for name in style_arguments.parse(style).names]
    paired = list(zip(range(max(len(photos), len(paintings))), cycle(photos), cycle(paintings), strict=False))
    exact = Stylizer(str(stylizer.directory), "onnxruntime", "fp32")
    judged = (judge(stylizer, exact, photo, painting, size, vgg19) for _, photo, painting in paired)
    with progress("Judging", len(paired), judged) as pairs:
        found: list[Pair] = list(pairs)
    if as_json:
        click.echo(json.dumps([asdict(pair) for pair in found], indent=2))
        return
    click.echo(
        f"{stylizer.model} in {stylizer.precision}, {stylizer.backend}; {len(found)} pairs, {size} pixels, medians"
    )
    click.echo(f"{'':<20} {'style gap left':>14} {'content distance':>17}")
    for name, figures in (("here", [pair.here for pair in found]), ("fp32", [pair.fp32 for pair in found])):
        gap, distance = (statistics.median(getattr(each, key) for each in figures) for key in ("style_gap", "content"))
        click.echo(f"{name:<20} {gap:>14.3f} {distance:>17.3f}")
    worst = min(found, key=lambda pair: pair.psnr)
    median = statistics.median(pair.psnr for pair in found)
    click.echo(f"PSNR against fp32: median {median:.1f} dB, worst {worst.psnr:.1f} dB ({worst.photo} in {worst.style})")
