"""Two runs of the same command side by side: what became slower or faster beyond the noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from adain_bench.record.run import Result, Run
from adain_bench.record.statistics import Ratio, Times, Verdict, judge_change, summary
from adain_bench.record.text import flatten, format_cell

__all__ = ["Change", "Comparison", "compare"]

# What a machine is; the rest of what a record says of it (clocks, load, free memory) never is the same twice.
_IDENTITY = ("cpu", "cores", "threads", "gpu", "platform", "python", "packages", "weights_sha256")

_ORDER: tuple[Verdict, ...] = ("slower", "faster", "too noisy to say", "no difference")
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
            changed in the same way; ``None`` where both runs timed no case.
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
        tolerance: the relative difference that does not matter, as in ``statistics.judge_change``.

    """
    old, new = ({(each.group, each.name): each for each in run.results} for run in (before, after))
    changes = [change for key in old if key in new for change in _compare_results(old[key], new[key], tolerance)]
    changes.sort(key=lambda change: (_ORDER.index(change.verdict), -abs(math.log(change.ratio.value))))
    whole = [math.log(change.ratio.value) for change in changes if change.part == "whole call"]
    return Comparison(
        runs=(_describe(before), _describe(after)),
        machine=tuple(_list_differences(before.machine_info, after.machine_info)),
        changes=tuple(changes),
        overall=math.exp(sum(whole) / len(whole)) if whole else None,
        gone=tuple(_list_missing(old, new)),
        new=tuple(_list_missing(new, old)),
    )


def _compare_results(old: Result, new: Result, tolerance: float) -> Iterator[Change]:
    name = f"{old.group}: {old.name}"
    for part, before, after in (
        ("whole call", old.times, new.times),
        ("GPU part", old.gpu_times, new.gpu_times),
    ):
        if before and after:
            yield Change(name, part, *judge_change(before, after, tolerance), _median(before), _median(after))


def _list_missing(these: Mapping[tuple[str, str], Result], those: Mapping[tuple[str, str], Result]) -> Iterator[str]:
    """Yield what is timed among these and not among those, with the reason that those give."""
    for key, result in these.items():
        other = those.get(key)
        if result.times and not (other and other.times):
            reason = f" ({format_cell(other.skipped)})" if other and other.skipped else ""
            yield f"{result.group}: {result.name}{reason}"


def _list_differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = (dict(flatten({key: info[key] for key in _IDENTITY if key in info})) for info in (before, after))
    for key in dict.fromkeys([*old, *new]):
        if format_cell(old.get(key)) != format_cell(new.get(key)):
            yield f"{key.replace('_', ' ')}: {_short(old.get(key))} before, {_short(new.get(key))} after"


def _short(value: object) -> str:
    text = format_cell(value) or "none"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _describe(run: Run) -> str:
    dirty = " with changes" if run.commit_info["dirty"] else ""
    commit = format_cell(run.commit_info["id"] or "unknown")[:12] + dirty
    return f"{format_cell(run.command)}, {run.started:%Y-%m-%d %H:%M %Z}, commit {commit}"


def _median(times: Times) -> float:
    return float(summary(times)["median"])
