"""``adain-rt stylize``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from adain_models.errors import AdainError
from adain_rt.cli import options
from adain_rt.cli.terminal import complain, progress, word_error
from adain_rt.jobs.inputs import expand
from adain_rt.jobs.outputs import STDOUT
from adain_rt.jobs.stills import Done, Failed, Outcome, Remark, Skipped, Stills
from adain_rt.jobs.styles import parse
from adain_rt.stylizer import Stylizer

__all__ = ["command"]

_STEPS = 100
"""Steps of the progress bar for each result: a large picture is computed in many tiles."""


@click.command("stylize")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@options.styles
@options.masks
@options.recursive
@options.alpha
@options.color
@options.strokes
@options.fit
@options.underpainting
@options.size(default=0)
@options.max_size
@options.style_size
@options.crop
@options.stylizer
@click.option(
    "-o", "--output", metavar="OUT", help="Output file or directory, or - for stdout.  [default: current directory]"
)
@options.overwrite
@options.resume
@click.option("--json", "as_json", is_flag=True, help="Print a report as JSON.")
def command(
    contents: Sequence[str],
    styles: Sequence[str],
    masks: Sequence[Path],
    recursive: bool,
    alpha: float,
    color: str,
    strokes: int,
    fit: bool,
    underpainting: float,
    size: int,
    max_size: int,
    style_size: int,
    crop: bool,
    stylizer: Stylizer,
    output: str | None,
    overwrite: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Paint photos in the style of pictures.

    \b
    Examples:
      adain-rt stylize photo.jpg --style painting.jpg
      adain-rt stylize photo.jpg --style @starry-night --alpha 0.7 -o out.png
      adain-rt stylize photos/ --style paintings/ -o out/
      adain-rt stylize photo.jpg --style a.jpg:3 --style b.jpg:1
      cat photo.jpg | adain-rt stylize - --style @great-wave > wave.png

    \b
    A style for each region:
      adain-rt stylize photo.jpg --style a.jpg --mask sky.png \\
                                 --style b.jpg --mask ground.png

    CONTENT is a file, a directory, a glob, or - for stdin. With a directory of styles, every content is painted in
    every style. With --recursive, results are in the same subfolders of the output directory.

    The exit status is 0 if all pictures were painted, 1 if some were, and 2 if none was. Those that --resume skips
    count as painted.
    """
    job = Stills(
        expand(contents, recursive, None if output is None else Path(output)),
        [parse(style) for style in styles],
        masks=masks,
        strength=alpha,
        color=color,
        strokes=strokes,
        fit=fit,
        underpainting=underpainting,
        size=size,
        max_size=max_size,
        style_size=style_size,
        crop=crop,
        output=output,
        overwrite=overwrite,
        resume=resume,
    )
    if STDOUT in job.targets.values() and (as_json or sys.stdout.isatty()):
        raise AdainError("a picture cannot go to stdout with --json or on a terminal; name a file with -o")
    outcomes: list[Outcome] = []
    try:
        _paint(job, stylizer, outcomes, as_json)
    except (KeyboardInterrupt, SystemExit):  # Ctrl-C, or SIGTERM
        complain(_word_interruption(job, outcomes))
        raise
    sys.exit(_status(outcomes))


def _paint(job: Stills, stylizer: Stylizer, outcomes: list[Outcome], as_json: bool) -> None:
    """Do the job; collect what happens, and report it, also if the job is interrupted."""
    try:
        with progress("Stylizing", _STEPS * len(job.targets)) as bar:
            finished = 0

            def advance(share: float) -> None:
                bar.update(int(_STEPS * (finished + share)) - bar.pos)

            job.progress = advance
            for outcome in job.run(stylizer):
                outcomes.append(outcome)
                finished += outcome.results if isinstance(outcome, Failed) else isinstance(outcome, Done | Skipped)
                advance(0)
    finally:
        if outcomes:
            _report(outcomes, stylizer, as_json)


def _word_interruption(job: Stills, outcomes: Sequence[Outcome]) -> str:
    there = sum(isinstance(outcome, Done | Skipped) for outcome in outcomes)
    said = f"interrupted; {there} of {len(job.targets)} results are written"
    if job.unfinished and not job.overwrite:
        kept = ", ".join(map(str, job.unfinished))
        return f"{said}, and the same command with --resume goes on where it stopped ({kept})"
    if job.overwrite or len(job.targets) == 1:  # what is replaced may exist before it is painted
        return said
    return f"{said}, and the same command with --resume goes on with the others"


def _status(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if nothing failed, 1 if something did, 2 if everything did; what is skipped was done before."""
    if not any(isinstance(outcome, Failed) for outcome in outcomes):
        return 0
    return 1 if any(isinstance(outcome, Done | Skipped) for outcome in outcomes) else 2


def _report(outcomes: Sequence[Outcome], stylizer: Stylizer, as_json: bool) -> None:
    """Print what was done, for a person on a terminal or as JSON; what failed goes to stderr."""
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    skipped = [outcome for outcome in outcomes if isinstance(outcome, Skipped)]
    failures = [(outcome.source, word_error(outcome.error)) for outcome in outcomes if isinstance(outcome, Failed)]
    remarks = [outcome.text for outcome in outcomes if isinstance(outcome, Remark)]
    for line in dict.fromkeys([*remarks, *(text for _, text in failures)]):
        complain(line)
    if skipped:
        complain(f"skipped what exists already; results: {len(skipped)}")
    if as_json:
        report = {
            "model": stylizer.model,
            "backend": stylizer.backend,
            "precision": stylizer.precision,
            "outputs": [
                {
                    "content": str(each.content),
                    "style": each.style,
                    "output": str(each.output),
                    "width": each.width,
                    "height": each.height,
                    "seconds": round(each.seconds, 4),
                }
                for each in done
            ],
            "skipped": [
                {"content": str(each.content), "style": each.style, "output": str(each.output)} for each in skipped
            ],
            "failures": [{"source": source, "error": text} for source, text in failures],
        }
        click.echo(json.dumps(report, indent=2))
    elif sys.stdout.isatty():
        for each in done:
            click.echo(f"{each.output}  {each.width}x{each.height}  {each.seconds:.2f} s")
