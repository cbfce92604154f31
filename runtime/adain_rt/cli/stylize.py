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
from adain_rt.jobs.stills import Done, Failed, Outcome, Remark, Stills
from adain_rt.jobs.styles import parse
from adain_rt.stylizer import Stylizer

__all__ = ["command"]


@click.command("stylize")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@click.option(
    "--style",
    "styles",
    multiple=True,
    required=True,
    metavar="S[:W]",
    help="Style: a picture, a directory of pictures, a saved style, or a preset (@name). Repeat it to mix styles, with "
    "weights W.",
)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="M",
    help="Picture that is white where a style applies, as large as the content. Give one for each --style, in the same "
    "order.",
)
@options.alpha
@options.color
@options.size(default=0)
@options.style_size
@options.crop
@options.stylizer
@click.option(
    "-o", "--output", metavar="OUT", help="Output file or directory, or - for stdout.  [default: current directory]"
)
@options.overwrite
@click.option("--json", "as_json", is_flag=True, help="Print a report as JSON.")
def command(
    contents: Sequence[str],
    styles: Sequence[str],
    masks: Sequence[Path],
    alpha: float,
    color: str,
    size: int,
    style_size: int,
    crop: bool,
    stylizer: Stylizer,
    output: str | None,
    overwrite: bool,
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
    every style.

    The exit status is 0 if all pictures were painted, 1 if some were, and 2 if none was.
    """
    job = Stills(
        expand(contents),
        [parse(style) for style in styles],
        masks=masks,
        strength=alpha,
        color=color,
        size=size,
        style_size=style_size,
        crop=crop,
        output=output,
        overwrite=overwrite,
    )
    if STDOUT in job.targets.values() and (as_json or sys.stdout.isatty()):
        raise AdainError("a picture cannot go to stdout with --json or on a terminal; name a file with -o")
    outcomes: list[Outcome] = []
    try:
        with progress("Stylizing", len(job.targets)) as bar:
            for outcome in job.run(stylizer):
                outcomes.append(outcome)
                if isinstance(outcome, Done):
                    bar.update(1)
                elif isinstance(outcome, Failed):
                    bar.update(outcome.results)
    finally:  # an interrupted job reports as well
        if outcomes:
            _report(outcomes, stylizer, as_json)
    sys.exit(_status(outcomes))


def _status(outcomes: Sequence[Outcome]) -> int:
    """Return 0 if nothing failed, 1 if something did, 2 if everything did."""
    if not any(isinstance(outcome, Failed) for outcome in outcomes):
        return 0
    return 1 if any(isinstance(outcome, Done) for outcome in outcomes) else 2


def _report(outcomes: Sequence[Outcome], stylizer: Stylizer, as_json: bool) -> None:
    """Print what was done, for a person on a terminal or as JSON; what failed goes to stderr."""
    done = [outcome for outcome in outcomes if isinstance(outcome, Done)]
    failures = [(outcome.source, word_error(outcome.error)) for outcome in outcomes if isinstance(outcome, Failed)]
    remarks = [outcome.text for outcome in outcomes if isinstance(outcome, Remark)]
    for line in dict.fromkeys([*remarks, *(text for _, text in failures)]):
        complain(line)
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
            "failures": [{"source": source, "error": text} for source, text in failures],
        }
        click.echo(json.dumps(report, indent=2))
    elif sys.stdout.isatty():
        for each in done:
            click.echo(f"{each.output}  {each.width}x{each.height}  {each.seconds:.2f} s")
