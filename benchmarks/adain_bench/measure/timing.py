"""How long calls take: warm-up until they are steady, then turns in which every case is timed, so that drift meets all.

A case that fails is left out from then on, and says why; the others go on.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import median

from adain_bench.measure.cases import Case, case_name
from adain_bench.record.run import CUT_SHORT, Result
from adain_bench.record.statistics import Times

__all__ = ["Plan", "time_cases"]

_WARM_UP_SECONDS = 0.2  # at least, as trtexec does
_WINDOW = 3  # calls whose median is compared with that of as many before
_CALLS = 3  # a turn, at least: the median of fewer may be an outlier
_MOST_CALLS = 1000  # a turn
_MOST_GPU_CALLS = 50
_STEADY = 0.05  # how near the two are once the warm-up is over


@dataclass(frozen=True)
class Plan:
    """How long cases are timed.

    Attributes:
        repeats: turns of each case, of three calls or more; fewer turns where ``seconds`` have no room for that. A call
            that takes longer than ``seconds`` is timed once, after one that is not.
        seconds: how long each case is timed, about.

    """

    repeats: int
    seconds: float


def time_cases(group: str, cases: Sequence[Case], plan: Plan, done: Callable[[Case], object]) -> Iterator[Result]:
    """Yield each case's times, once all are timed. What ends the timing early ends it after those that are known.

    Args:
        group: of the results.
        cases: to time.
        plan: for how long.
        done: called after each case's warm-up, and after each of its turns: ``repeats`` + 1 times a case.

    """
    timings = [_Timing(case) for case in cases]
    try:
        for timing in timings:
            timing.run_guarded(partial(timing.warm_up, plan))
            done(timing.case)
        order = random.Random(0)  # noqa: S311 - nobody is to be kept from guessing it
        for turn in range(plan.repeats):
            for timing in order.sample(timings, len(timings)):
                if turn < timing.turns:
                    timing.run_guarded(timing.take_turn)
                done(timing.case)
    finally:
        yield from (timing.result(group) for timing in timings)


@dataclass
class _Timing:
    """A case, and what was measured of it, in seconds; ``on_cpu`` of all cores, for each call but the first."""

    case: Case
    turns: int = 0
    calls: int = 0
    whole: list[tuple[float, ...]] = field(default_factory=list)
    on_gpu: list[tuple[float, ...]] = field(default_factory=list)
    on_cpu: list[float] = field(default_factory=list)
    failed: str | None = None

    def run_guarded(self, work: Callable[[], None]) -> None:
        """Do work, unless the case has failed."""
        if self.case.hindrance is not None or self.failed is not None:
            return
        try:
            work()
        except Exception as error:  # of whatever library: the other cases go on
            self.failed = (str(error).splitlines() or [""])[0] or type(error).__name__

    def warm_up(self, plan: Plan) -> None:
        """Call until the calls take as long as those before, or the time is up; then decide on the turns."""
        self._once()  # loads, compiles, allocates
        self.on_cpu.clear()
        seconds: list[float] = []
        while not _is_steady(seconds) and sum(seconds) < plan.seconds:
            seconds.append(self._once())
        usual = median(seconds[-_WINDOW:])
        if usual > plan.seconds:
            self.whole.append((seconds[-1],))
            return
        self.turns = max(1, min(plan.repeats, int(plan.seconds / usual / _CALLS)))
        self.calls = min(_MOST_CALLS, round(plan.seconds / self.turns / usual))
        for _ in range(_WINDOW):  # a GPU's work is recorded at its second run
            self.case.gpu_part()

    def take_turn(self) -> None:
        """Time the calls of a turn, and after them the GPU's part of as many; short ones get one each to begin with."""
        if self.calls > _CALLS:
            self._once()
        self.whole.append(tuple(self._once() for _ in range(self.calls)))
        if self.case.gpu_part() is not None:
            parts = [self.case.gpu_part() for _ in range(min(self.calls, _MOST_GPU_CALLS))]
            self.on_gpu.append(tuple(part for part in parts if part is not None))

    def result(self, group: str) -> Result:
        """Return what was measured."""
        skipped = self.case.hindrance or self.failed or (None if self.whole else CUT_SHORT)
        return Result(
            group=group,
            name=case_name(self.case.params),
            params=self.case.params,
            times=None if skipped else Times(tuple(self.whole)),
            gpu_times=Times(tuple(self.on_gpu)) if self.on_gpu and not skipped else None,
            extra_info={**self.case.facts, **self._rate()},
            skipped=skipped,
        )

    def _rate(self) -> dict[str, float]:
        if not self.whole:
            return {}
        return {
            "pictures_per_s": self.case.pictures / median(second for turn in self.whole for second in turn),
            "cpu_s": median(self.on_cpu),
        }

    def _once(self) -> float:
        started, on_cpu = time.perf_counter(), time.process_time()
        self.case.call()
        seconds = time.perf_counter() - started
        self.on_cpu.append(time.process_time() - on_cpu)
        return seconds


def _is_steady(seconds: Sequence[float]) -> bool:
    if len(seconds) < 2 * _WINDOW or sum(seconds) < _WARM_UP_SECONDS:
        return False
    last, before = (median(window) for window in (seconds[-_WINDOW:], seconds[-2 * _WINDOW : -_WINDOW]))
    return abs(last / before - 1) < _STEADY
