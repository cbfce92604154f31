"""What the commands that measure print: each part's tables when it is done, or the record."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from adain_bench import runs
from adain_bench.measure.request import Request
from adain_bench.record import run_file
from adain_bench.record.run import Run
from adain_bench.show import report
from adain_rt.cli.terminal import complain

__all__ = ["run_and_print", "write_report"]


def run_and_print(parts: Sequence[tuple[runs.Section, Request]], output: Path | None, as_json: bool) -> None:
    """Run the parts of a run and print what they find; write the record and the report.

    Of a run that a signal or an error cuts short, this is what had been measured.

    Args:
        parts: as ``runs.run_parts`` takes them.
        output: a folder for the record, the report and the plots, or none.
        as_json: whether to print the record in place of the tables.

    Raises:
        AdainError: something asked for is not there, or a file cannot be written.

    """
    progress = None
    try:
        for progress in runs.run_parts(parts, output, shlex.join(["adain-rt", *sys.argv[1:]])):
            if not as_json:
                click.echo(report.tables(progress.added) + "\n")
            if not as_json and progress.run.cut_short:
                click.echo("This run was cut short. The tables have what was measured until then.")
    finally:
        if progress is not None and as_json:
            click.echo(run_file.text(progress.run), nl=False)
        if progress is not None and output is not None:
            write_report(progress.run, output)


def write_report(run: Run, folder: Path) -> None:
    """Write a run's report and plots, and say if plots cannot be drawn.

    Raises:
        AdainError: a file cannot be written.

    """
    if not runs.can_draw():
        complain("matplotlib is missing, and plots are left out: pip install 'adain-rt[bench]'")
    runs.write_report(run, folder)
