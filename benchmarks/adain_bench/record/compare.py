"""Two runs of the same command side by side: what became slower or faster beyond the noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adain_bench.record.record import Result, Run, Times
from adain_bench.record.statistics import Ratio, Verdict, changed, significant, summary
from adain_bench.show.report import cell, flattened, table

__all__ = ["Change", "Comparison", "compare", "lines", "markdown"]

# What a machine is; the rest of what a record says of it (clocks, load, free memory) never is the same twice.
_IDENTITY = ("cpu", "cores", "threads", "gpu", "platform", "python", "packages", "weights_sha256")

_ORDER: tuple[Verdict, ...] = ("slower", "faster", "too noisy to say", "no difference")
_MANY = 5  # cases: so many move the same way by chance one time in sixteen
_SHOWN = 120  # characters of a value on each side of a difference


@dataclass(frozen=True)
class Change:
    """What became of one case.

    Attributes:
        name: with its group before it.
        part: ``whole call``, or ``GPU part``.
        verdict: whether it is slower.
        ratio: of its times, after to before.
        before: the median in seconds.
        after: the same.

    """

    name: str
    part: str
    verdict: Verdict
    ratio: Ratio
    before: float
    after: float


@dataclass(frozen=True)
class Comparison:
    """What differs between two runs.

    Attributes:
        runs: what was run, before and after, in a line each.
        machine: what is another on the two machines, in a line each.
        changes: of every case that both runs timed, what matters most first.
        overall: the ratio of all their times together (whole calls, geometric mean): the machine's own change, if all
            moved alike; ``None`` where there are none.
        gone: cases that the run before timed, and the one after did not, with the reason if it says one.
        new: the reverse.

    """

    runs: tuple[str, str]
    machine: tuple[str, ...]
    changes: tuple[Change, ...]
    overall: float | None
    gone: tuple[str, ...]
    new: tuple[str, ...]

    @property
    def any_slower(self) -> bool:
        """Whether a case became slower beyond the noise and the tolerance."""
        return any(change.verdict == "slower" for change in self.changes)


def compare(before: Run, after: Run, tolerance: float = 0.02) -> Comparison:
    """Compare the cases of two runs that have the same group and name.

    Args:
        before: the run to compare with.
        after: the run that is judged.
        tolerance: the relative difference that does not matter, as in ``statistics.changed``.

    """
    old, new = ({(each.group, each.name): each for each in run.results} for run in (before, after))
    changes = [change for key in old if key in new for change in _changes(old[key], new[key], tolerance)]
    changes.sort(key=lambda change: (_ORDER.index(change.verdict), -abs(math.log(change.ratio.value))))
    whole = [math.log(change.ratio.value) for change in changes if change.part == "whole call"]
    return Comparison(
        runs=(_said(before), _said(after)),
        machine=tuple(_differences(before.machine_info, after.machine_info)),
        changes=tuple(changes),
        overall=math.exp(sum(whole) / len(whole)) if whole else None,
        gone=tuple(_missing(old, new)),
        new=tuple(_missing(new, old)),
    )


def lines(comparison: Comparison) -> Iterator[str]:
    """Yield a comparison as lines for a terminal."""
    yield from _preface(comparison)
    rows = [["", "after / before", "before", "after", ""], *_rows(comparison)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows if comparison.changes else []:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    yield from _epilogue(comparison)


def markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown."""
    listed = [[f"- {cell(line)}" for line in part(comparison)] for part in (_preface, _epilogue)]
    rows = table(["verdict", "after / before (95 %)", "before", "after", "case"], _rows(comparison))
    blocks = ["\n".join(listed[0]), rows if comparison.changes else "", "\n".join(listed[1])]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _preface(comparison: Comparison) -> Iterator[str]:
    for line in comparison.machine:
        yield f"the machines differ: {line}"
    yield f"before: {comparison.runs[0]}"
    yield f"after: {comparison.runs[1]}"


def _rows(comparison: Comparison) -> list[list[str]]:
    return [
        [change.verdict, str(change.ratio), _seconds(change.before), _seconds(change.after), _titled(change)]
        for change in comparison.changes
    ]


def _epilogue(comparison: Comparison) -> Iterator[str]:
    if comparison.overall is None:
        yield "no case was timed in both runs"
    else:
        hint = "; every one moved that way, as when the machine is busy" if _together(comparison) else ""
        yield f"all cases together: {significant(comparison.overall, 4)} times as long{hint}"
    for name in comparison.gone:
        yield f"only before: {name}"
    for name in comparison.new:
        yield f"only after: {name}"


def _together(comparison: Comparison) -> bool:
    """Return whether there are many cases, and all became slower or all faster, be it within the noise."""
    up = [change.ratio.value > 1 for change in comparison.changes if change.part == "whole call"]
    return len(up) >= _MANY and len(set(up)) == 1


def _changes(old: Result, new: Result, tolerance: float) -> Iterator[Change]:
    name = f"{old.group}: {old.name}"
    for part, before, after in (
        ("whole call", old.times, new.times),
        ("GPU part", old.gpu_times, new.gpu_times),
    ):
        if before and after:
            yield Change(name, part, *changed(before, after, tolerance), _median(before), _median(after))


def _missing(these: Mapping[tuple[str, str], Result], those: Mapping[tuple[str, str], Result]) -> Iterator[str]:
    """Yield what is timed among these and not among those, with the reason that those give."""
    for key, result in these.items():
        other = those.get(key)
        if result.times and not (other and other.times):
            reason = f" ({cell(other.skipped)})" if other and other.skipped else ""
            yield f"{result.group}: {result.name}{reason}"


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = (dict(flattened({key: info[key] for key in _IDENTITY if key in info})) for info in (before, after))
    for key in dict.fromkeys([*old, *new]):
        if cell(old.get(key)) != cell(new.get(key)):
            yield f"{key.replace('_', ' ')}: {_short(old.get(key))} before, {_short(new.get(key))} after"


def _short(value: object) -> str:
    text = cell(value) or "none"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _said(run: Run) -> str:
    commit = cell(run.commit_info["id"] or "unknown")[:12] + (" with changes" if run.commit_info["dirty"] else "")
    return f"{cell(run.command)}, {run.started:%Y-%m-%d %H:%M %Z}, commit {commit}"


def _median(times: Times) -> float:
    return float(summary(times)["median"])


def _seconds(seconds: float) -> str:
    return f"{significant(seconds, 4)} s" if seconds >= 1 else f"{significant(seconds * 1e3, 4)} ms"


def _titled(change: Change) -> str:
    return change.name if change.part == "whole call" else f"{change.name}, {change.part}"
