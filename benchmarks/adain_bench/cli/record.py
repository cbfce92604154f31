"""``adain-rt bench compare`` and ``report``, which read records of runs."""

from __future__ import annotations

from pathlib import Path

import click

from adain_bench.cli.printing import write_report
from adain_bench.record import compare as comparison
from adain_bench.record import run_file
from adain_bench.show.comparison import lines, markdown
from adain_rt.cli import options

__all__ = ["compare", "report"]

_record = click.Path(dir_okay=False, path_type=Path)


@click.command("compare")
@click.argument("before", type=_record)
@click.argument("after", type=_record)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 1),
    callback=options.share,
    default=0.02,
    show_default=True,
    metavar="SHARE",
    help="Ignore differences up to this share; 0.02 is two per cent.",
)
@click.option("--markdown", "as_markdown", is_flag=True, help="Print Markdown.")
def compare(before: Path, after: Path, tolerance: float, as_markdown: bool) -> int:
    """Compare two records and list what became slower or faster.

    Differences within the noise are not counted. The exit status is 1 if anything became slower, so that a script can
    fail.

    \b
    Examples:
      adain-rt bench compare before/run.json after/run.json
    """
    found = comparison.compare(run_file.read(before), run_file.read(after), tolerance)
    click.echo(markdown(found) if as_markdown else "\n".join(lines(found)))
    return 1 if found.any_slower else 0


@click.command("report")
@click.argument("file", type=_record, metavar="RECORD")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="The folder to write the report and the plots into.",
)
def report(file: Path, output: Path) -> None:
    """Write the report and the plots of a record again.

    \b
    Examples:
      adain-rt bench report before/run.json -o report
    """
    run = run_file.read(file)
    output.mkdir(parents=True, exist_ok=True)
    write_report(run, output)
