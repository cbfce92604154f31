"""A run from its command to its record, its tables and its plots."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

import click

from adain_bench import machine, record, report
from adain_bench.record import Result, Run
from adain_bench.sections import Request
from adain_models.files import replacing
from adain_rt.cli.extras import needing

__all__ = ["RECORD_NAME", "REPORT_NAME", "measured", "write_report"]

RECORD_NAME = "run.json"
REPORT_NAME = "report.md"

Section = Callable[[Request], Sequence[Result]]


def measured(parts: Sequence[tuple[Section, Request]], output: Path | None, as_json: bool) -> None:
    """Run the parts of a run and print their tables, each when it is done; write the record and the report.

    Args:
        parts: in order, each with what it is to measure; models and settings are the same in all.
        output: a folder for the record, the report and the plots, or none.
        as_json: whether to print the record in place of the tables.

    Raises:
        AdainError: something asked for is not there, or a file cannot be written.

    """
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    started, before = datetime.now(timezone.utc), machine.state()
    begun = time.perf_counter()
    results: list[Result] = []
    for section, request in parts:
        found = section(request)
        results += found
        if not as_json:
            click.echo(report.tables(found) + "\n")
    _, request = parts[0]
    run = Run(
        command=shlex.join(["adain-rt", *sys.argv[1:]]),
        started=started,
        seconds=time.perf_counter() - begun,
        machine_info={
            **machine.machine_info(request.models, request.settings.threads),
            "before": before,
            "after": machine.state(),
        },
        commit_info=machine.commit_info(),
        results=tuple(results),
    )
    if as_json:
        click.echo(record.text(run), nl=False)
    if output is not None:
        record.write(run, output / RECORD_NAME)
        write_report(run, output)


def write_report(run: Run, folder: Path) -> None:
    """Write a run's report with its plots, which lie beside it.

    Args:
        run: with its results.
        folder: that is there.

    Raises:
        AdainError: matplotlib is missing, or a file cannot be written.

    """
    with needing("a report's plots", "bench"):
        from adain_bench.plots import draw
    drawn = [path.name for path in draw(run, folder) if path.suffix == ".png"]
    figures = "".join(f"\n![{Path(name).stem.capitalize()}]({name})\n" for name in drawn)
    with replacing(folder / REPORT_NAME) as aside:
        aside.write_text(report.markdown(run) + figures, encoding="utf-8")
