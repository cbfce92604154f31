"""A run from its command to its record, its tables and its plots."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path

import click

from adain_bench.measure.sections import Request
from adain_bench.record import machine, record
from adain_bench.record.record import Result, Run
from adain_bench.show import report
from adain_models.errors import AdainError
from adain_models.files import explain, replacing
from adain_rt.cli.terminal import complain

__all__ = ["RECORD_NAME", "REPORT_NAME", "measured", "write_report"]

RECORD_NAME = "run.json"
REPORT_NAME = "report.md"

Section = Callable[[Request], Sequence[Result]]


def measured(parts: Sequence[tuple[Section, Request]], output: Path | None, as_json: bool) -> None:
    """Run the parts of a run and print their tables, each when it is done; write the record and the report.

    The record is written after each part, before anything is printed: what was measured is not lost with what fails
    later.

    Args:
        parts: in order, each with what it is to measure; models and settings are the same in all.
        output: a folder for the record, the report and the plots, or none.
        as_json: whether to print the record in place of the tables.

    Raises:
        AdainError: something asked for is not there, or a file cannot be written.

    """
    if output is not None:
        _check_writable(output)
    started, before, begun = datetime.now(timezone.utc), machine.state(), time.perf_counter()
    _, request = parts[0]
    info = {**machine.machine_info(request.models, request.settings.threads), "before": before}
    run = Run(shlex.join(["adain-rt", *sys.argv[1:]]), started, 0, info, machine.commit_info(), ())
    for section, asked in parts:
        found = [each for each in section(asked) if each.times or not _is_told(each, run.results)]
        seconds = time.perf_counter() - begun
        state = {**info, "after": machine.state()}
        run = replace(run, seconds=seconds, machine_info=state, results=(*run.results, *found))
        if output is not None:
            record.write(run, output / RECORD_NAME)
        if not as_json:
            click.echo(report.tables(found) + "\n")
    if as_json:
        click.echo(record.text(run), nl=False)
    if output is not None:
        write_report(run, output)


def _is_told(result: Result, earlier: Sequence[Result]) -> bool:
    """Whether an earlier part of the run has said the same of what cannot run."""
    return any((result.group, result.name) == (each.group, each.name) for each in earlier)


def _check_writable(output: Path) -> None:
    """Find out before anything is measured.

    Raises:
        AdainError: the folder cannot be made or written into.

    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise AdainError(f"{output}: cannot be written into ({explain(error)})") from None
    for name in (RECORD_NAME, REPORT_NAME):
        if (output / name).is_dir():
            raise AdainError(f"{output / name} is a folder, where a file is to be written; choose another folder")


def write_report(run: Run, folder: Path) -> None:
    """Write a run's report with its plots, which lie beside it; without them where matplotlib is missing.

    Args:
        run: with its results.
        folder: that is there.

    Raises:
        AdainError: a file cannot be written.

    """
    drawn = []
    if find_spec("matplotlib") is None:
        complain("matplotlib is missing, and plots are left out: pip install 'adain-rt[bench]'")
    else:
        from adain_bench.show.plots import draw

        drawn = [path.name for path in draw(run, folder) if path.suffix == ".png"]
    figures = "".join(f"\n![{Path(name).stem.capitalize()}]({name})\n" for name in drawn)
    with replacing(folder / REPORT_NAME) as aside:
        aside.write_text(report.markdown(run) + figures, encoding="utf-8")
