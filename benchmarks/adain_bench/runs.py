"""A run from its parts to its record, its report and its plots."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.util import find_spec
from pathlib import Path

from adain_bench.measure.request import Request
from adain_bench.record import machine, run_file
from adain_bench.record.run import Result, Run
from adain_bench.show import report
from adain_models.errors import AdainError
from adain_models.files import explain, replacing

__all__ = ["REPORT_NAME", "Progress", "can_draw", "run_parts", "write_report"]

REPORT_NAME = "report.md"

Section = Callable[[Request], Iterable[Result]]


@dataclass(frozen=True)
class Progress:
    """A run after one of its parts, and the results that this part added."""

    run: Run
    added: Sequence[Result]


def run_parts(parts: Sequence[tuple[Section, Request]], output: Path | None, command: str) -> Iterator[Progress]:
    """Run the parts of a run one after another; yield what is known after each.

    The record is written after each part, before it is yielded. If a signal or an error ends a part, what it had
    measured is written and yielded too, in a run that is marked as cut short; then the signal or the error is raised
    again.

    Args:
        parts: in order, each with what it is to measure; models and settings are the same in all. Where a part is ended
            early, it yields what it knows before it raises.
        output: a folder for the record, or none.
        command: the run's command line, for the record.

    Raises:
        AdainError: something asked for is not there, or a file cannot be written.

    """
    if output is not None:
        _check_writable(output)
    started, before, begun = datetime.now(timezone.utc), machine.state(), time.perf_counter()
    _, request = parts[0]
    info = {**machine.machine_info(request.models, request.settings.threads), "before": before}
    run = Run(command, started, 0, info, machine.commit_info(), ())

    def keep(found: Sequence[Result], *, cut_short: bool = False) -> Progress:
        nonlocal run
        seconds, state = time.perf_counter() - begun, {**info, "after": machine.state()}
        results = (*run.results, *found)
        run = replace(run, seconds=seconds, machine_info=state, results=results, cut_short=cut_short)
        if output is not None:
            run_file.write(run, output / run_file.NAME)
        return Progress(run, found)

    for section, asked in parts:
        found: list[Result] = []
        try:
            found.extend(each for each in section(asked) if each.times or not _is_known(each, run.results))
        except BaseException:
            if found or run.results:
                yield keep(found, cut_short=True)
            raise
        yield keep(found)


def _is_known(result: Result, earlier: Sequence[Result]) -> bool:
    """Return whether an earlier part of the run already has this result of what cannot run."""
    return any((result.group, result.name) == (each.group, each.name) for each in earlier)


def _check_writable(output: Path) -> None:
    """Check before anything is measured that the files can be written.

    Raises:
        AdainError: the folder cannot be made or written into.

    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output):
            pass
    except OSError as error:
        raise AdainError(f"{output}: cannot be written into ({explain(error)})") from None
    for name in (run_file.NAME, REPORT_NAME):
        if (output / name).is_dir():
            raise AdainError(f"{output / name} is a folder, where a file is to be written; choose another folder")


def can_draw() -> bool:
    """Return whether plots can be drawn, which takes matplotlib."""
    return find_spec("matplotlib") is not None


def write_report(run: Run, folder: Path) -> None:
    """Write a run's report with its plots beside it; without plots where they cannot be drawn.

    Args:
        run: with its results.
        folder: it exists.

    Raises:
        AdainError: a file cannot be written.

    """
    drawn = []
    if can_draw():
        from adain_bench.show.plots import draw

        drawn = [path.name for path in draw(run, folder) if path.suffix == ".png"]
    figures = "".join(f"\n![{Path(name).stem.capitalize()}]({name})\n" for name in drawn)
    with replacing(folder / REPORT_NAME) as aside:
        aside.write_text(report.markdown(run) + figures, encoding="utf-8")
