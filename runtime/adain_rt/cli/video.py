"""``adain-rt video``."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from adain_models.errors import AdainError
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import complain, progress, word_error
from adain_rt.jobs.outputs import STDOUT
from adain_rt.jobs.stills import Failed, Remark, Skipped
from adain_rt.jobs.styles import parse
from adain_rt.steady import STEADY
from adain_rt.stylizer import Stylizer

if TYPE_CHECKING:
    from adain_rt.jobs.video import Done, Outcome, Video

__all__ = ["command"]

_CODECS = ("h264", "hevc", "av1", "vp9", "prores", "h264_nvenc", "hevc_nvenc", "av1_nvenc")


def _rate(ctx: click.Context, param: click.Parameter, value: str) -> Fraction:
    """Return a number of frames a second, which may be a fraction such as 24000/1001."""
    try:
        rate = Fraction(value)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    if not 0 < rate <= 1000:  # noqa: PLR2004 - no clip has more
        raise click.BadParameter(f"{value} is not a number of frames a second, such as 25 or 24000/1001.", ctx, param)
    return rate


@click.command("video")
@click.argument("clips", nargs=-1, required=True, metavar="CLIP...")
@options.styles
@click.option(
    "--mask",
    "masks",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="M",
    help="Picture or clip that is white where a style applies, as large as the clip. Give one for each --style, in the "
    "same order.",
)
@options.alpha
@options.strokes
@options.fit
@options.underpainting
@options.color
@options.size(default=0)
@options.max_size
@options.style_size
@click.option(
    "--steady",
    type=click.Choice(STEADY),
    default="flow",
    show_default=True,
    help="How frames are kept from flickering: flow blends each with the one before along the motion; statistics "
    "smooths the content's statistics over time; off paints each by itself.",
)
@click.option(
    "--start",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    callback=options.finite,
    help="Begin at this second of the clip.",
)
@click.option(
    "--duration",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    callback=options.finite,
    help="Paint so many seconds.  [default: all]",
)
@click.option(
    "--rate",
    default="25",
    show_default=True,
    metavar="FPS",
    callback=_rate,
    help="Frames a second of an image sequence. Clips keep their own.",
)
@click.option(
    "--codec",
    type=click.Choice(_CODECS),
    metavar="NAME",
    help=f"Codec of the result: {', '.join(_CODECS)}.  [default: the first that the container holds, h264 for .mp4]",
)
@click.option(
    "--crf",
    type=click.IntRange(0, 63),
    metavar="N",
    help="Quality of the codec: lower is better and larger.  [default: one that suits the codec]",
)
@options.stylizer
@click.option(
    "-o",
    "--output",
    metavar="OUT",
    help="Output file, directory, or image sequence such as frames/%05d.png, or - for stdout.  "
    "[default: current directory]",
)
@options.overwrite
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with an interrupted run: skip results whose file exists, and paint only what is left of a clip.",
)
@click.option("--json", "as_json", is_flag=True, help="Print a report as JSON.")
def command(
    clips: Sequence[str],
    styles: Sequence[str],
    masks: Sequence[Path],
    alpha: float,
    strokes: int,
    fit: bool,
    underpainting: float,
    color: str,
    size: int,
    max_size: int,
    style_size: int,
    steady: str,
    start: float,
    duration: float | None,
    rate: Fraction,
    codec: str | None,
    crf: int | None,
    stylizer: Stylizer,
    output: str | None,
    overwrite: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Paint clips in the style of pictures, with their sound.

    \b
    Examples:
      adain-rt video clip.mp4 --style painting.jpg
      adain-rt video clip.mov --style @starry-night --size 720 -o out.mp4
      adain-rt video clip.mp4 --style @udnie --start 10 --duration 5 -o out.gif
      adain-rt video frames/%05d.png --rate 30 --style @great-wave -o out.mkv

    CLIP is a file of any format that FFmpeg reads, an animated picture, an image sequence, or - for stdin. A result
    has the frames, the times, the sound, the subtitles and the chapters of its clip. Its suffix names its format: .mp4,
    .m4v, .mov, .mkv, .webm, .gif, .webp or .apng. What goes to stdout is Matroska.

    The exit status is 0 if all clips were painted whole, 1 if some were, or if a clip was damaged, and 2 if none was.
    """
    with needing("video", "video"):
        from adain_rt.jobs.clips import expand_clips
        from adain_rt.jobs.video import Video
    job = Video(
        expand_clips(clips),
        [parse(style) for style in styles],
        masks=masks,
        strength=alpha,
        strokes=strokes,
        fit=fit,
        underpainting=underpainting,
        color=color,
        size=size,
        max_size=max_size,
        style_size=style_size,
        start=start,
        duration=duration,
        rate=rate,
        steady=steady,
        codec=codec,
        crf=crf,
        output=output,
        overwrite=overwrite,
        resume=resume,
    )
    if STDOUT in job.targets.values() and (as_json or sys.stdout.isatty()):
        raise AdainError("a clip cannot go to stdout with --json or on a terminal; name a file with -o")
    outcomes: list[Outcome] = []
    try:
        _paint(job, stylizer, outcomes)
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, or SIGTERM
        complain(_word_interruption(job, outcomes))
        raise
    finally:
        _report(outcomes, stylizer, as_json)
    sys.exit(_status(outcomes))


def _paint(job: Video, stylizer: Stylizer, outcomes: list[Outcome]) -> None:
    """Do the job; collect what happens, but for single frames, which only a progress bar shows."""
    from adain_rt.jobs.video import Began, Painted, Repeated

    # Closed at once when a signal ends the loop: the job's threads may not outlive the Stylizer that they paint with.
    with ExitStack() as shown, closing(job.run(stylizer)) as run:
        for outcome in run:
            if isinstance(outcome, Began):
                shown.close()  # the bar of the result before
                bar = shown.enter_context(progress(outcome.output.name, outcome.frames, iter(())))
                started = time.monotonic()
            elif isinstance(outcome, Repeated):
                bar.label = f"{outcome.output.name}  what is done"
                bar.update(1)
                started = time.monotonic()
            elif isinstance(outcome, Painted):
                bar.label = f"{outcome.output.name}  {outcome.frames / (time.monotonic() - started):.1f} frames/s"
                bar.update(1)
            else:
                outcomes.append(outcome)


def _word_interruption(job: Video, outcomes: Sequence[Outcome]) -> str:
    """Return what was done of a job, and the way on if there is one."""
    said = f"interrupted; {_count_there(outcomes)} of {len(job.targets)} results are written"
    # Of several, some that are to be replaced may exist before they are painted. A run with --resume would skip them.
    if not (job.unfinished if len(job.targets) == 1 else not job.overwrite):
        return said
    with_resume = "with --resume in place of --overwrite" if job.overwrite else "with --resume"
    return f"{said}, and the same command {with_resume} goes on where it stopped"


def _status(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if every clip was painted whole, 1 if some were or were damaged, 2 if none was."""
    from adain_rt.jobs.video import Done

    failed = any(isinstance(outcome, Failed) for outcome in outcomes)
    damaged = any(isinstance(outcome, Done) and outcome.damage for outcome in outcomes)
    if failed and not _count_there(outcomes):
        return 2
    return 1 if failed or damaged else 0


def _count_there(outcomes: Sequence[Outcome]) -> int:
    from adain_rt.jobs.video import Done

    return sum(isinstance(outcome, Done | Skipped) for outcome in outcomes)


def _report(outcomes: Sequence[Outcome], stylizer: Stylizer, as_json: bool) -> None:
    """Print what was done, for a person on a terminal or as JSON; what failed goes to stderr."""
    from adain_rt.jobs.video import Done

    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    failures = [(outcome.source, word_error(outcome.error)) for outcome in outcomes if isinstance(outcome, Failed)]
    remarks = [outcome.text for outcome in outcomes if isinstance(outcome, Remark)]
    damages = [f"{each.clip}: {each.damage}; what could be read is painted" for each in done if each.damage]
    for line in dict.fromkeys([*remarks, *damages, *(text for _, text in failures)]):
        complain(line)
    if skipped:
        complain(f"skipped what exists already; results: {len(skipped)}")
    if as_json:
        report = {
            "model": stylizer.model,
            "backend": stylizer.backend,
            "precision": stylizer.precision,
            "outputs": [_describe(each) for each in done],
            "skipped": [
                {"clip": str(each.content), "style": each.style, "output": str(each.output)} for each in skipped
            ],
            "failures": [{"source": source, "error": text} for source, text in failures],
        }
        click.echo(json.dumps(report, indent=2))
    elif sys.stdout.isatty():
        for each in done:
            click.echo(
                f"{each.output}  {each.width}x{each.height}  {each.frames} frames  "
                f"{(each.frames - each.earlier) / each.seconds:.1f} frames/s"
            )


def _describe(done: Done) -> dict[str, Any]:
    return {
        "clip": str(done.clip),
        "style": done.style,
        "output": str(done.output),
        "width": done.width,
        "height": done.height,
        "frames": done.frames,
        "earlier": done.earlier,
        "seconds": round(done.seconds, 4),
        "damage": done.damage,
    }
