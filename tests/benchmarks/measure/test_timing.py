"""How cases are timed: what is called, in which order, and what is kept. The clock is a fake; nothing is timed here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from adain_bench.measure.cases import Case
from adain_bench.measure.timing import Plan, time_cases
from adain_bench.record.run import CUT_SHORT


@pytest.fixture
def clock(monkeypatch) -> Iterator[list[float]]:
    """A clock that stands still unless it is set."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def case_of(clock) -> Callable[..., Case]:
    """Make a case whose calls take so many seconds each, the last of them again and again."""

    def case_of(name: str, *seconds: float, log: list[str] | None = None, **rest: object) -> Case:
        left = list(seconds)

        def call() -> None:
            clock[0] += left.pop(0) if len(left) > 1 else left[0]
            if log is not None:
                log.append(name)

        return Case({"model": name}, call, **rest)

    return case_of


def test_the_first_call_and_the_unsteady_ones_are_not_kept(case_of):
    (result,) = time_cases("latency", [case_of("a", 5.0, 0.9, 0.5, 0.3, 0.1)], Plan(5, 3.0), lambda _: None)
    assert result.times.flat == pytest.approx(0.1)


def test_every_turn_times_every_case_for_its_share_of_the_seconds(case_of):
    log: list[str] = []
    cases = [case_of("fast", 0.01, log=log), case_of("slow", 0.1, log=log)]
    fast, slow = time_cases("latency", cases, Plan(5, 2.0), lambda _: None)
    assert [len(turn) for turn in fast.times.seconds] == [40] * 5
    assert [len(turn) for turn in slow.times.seconds] == [4] * 5
    timed = log[-5 * 46 :]  # each of them begins with a call that is not kept
    turns = [timed[start : start + 46] for start in range(0, len(timed), 46)]
    assert [turn.count("slow") for turn in turns] == [5] * 5
    assert len({turn[0] for turn in turns}) == 2  # it is not always the same that comes first


def test_a_turn_has_three_calls_at_least_and_there_are_fewer_turns_instead(case_of):
    (result,) = time_cases("latency", [case_of("a", 0.25)], Plan(5, 2.0), lambda _: None)
    assert [len(turn) for turn in result.times.seconds] == [4, 4]


def test_a_call_longer_than_the_time_is_timed_once_after_one_that_is_not(case_of):
    log: list[str] = []
    (result,) = time_cases("latency", [case_of("a", 7.0, 1.9, 6.0, log=log)], Plan(5, 2.0), lambda _: None)
    assert (len(log), result.times.seconds) == (3, ((6.0,),))


def test_progress_is_told_as_often_as_promised(case_of):
    cases = [case_of("a", 0.01), case_of("b", 9.0), Case({"model": "c"}, lambda: None, hindrance="no such library")]
    told: list[Case] = []
    list(time_cases("latency", cases, Plan(4, 1.0), told.append))
    assert len(told) == len(cases) * 5


def test_the_gpus_part_is_kept_beside_the_whole_call(case_of):
    (result,) = time_cases("latency", [case_of("a", 0.1, gpu_part=lambda: 0.004)], Plan(2, 1.0), lambda _: None)
    assert [len(turn) for turn in result.gpu_times.seconds] == [len(turn) for turn in result.times.seconds]
    assert set(result.gpu_times.flat) == {0.004}


def test_pictures_a_second_count_those_of_a_batch(case_of):
    (result,) = time_cases("throughput", [case_of("a", 0.5, pictures=8)], Plan(2, 3.0), lambda _: None)
    assert result.extra_info["pictures_per_s"] == pytest.approx(16)


@pytest.mark.parametrize("fails_at", [1, 4, 30])
def test_a_case_that_fails_says_why_and_does_not_end_the_others(case_of, fails_at):
    calls: list[int] = []

    def lost() -> None:
        calls.append(1)
        if len(calls) == fails_at:
            raise RuntimeError("the GPU is lost\nand more")

    cases = [Case({"model": "lost"}, lost), case_of("whole", 0.01)]
    failed, whole = time_cases("latency", cases, Plan(5, 1.0), lambda _: None)
    assert len(calls) == fails_at
    assert (failed.skipped, failed.times) == ("the GPU is lost", None)
    assert whole.times.flat.size == 100


@pytest.mark.parametrize(("ends_at", "known"), [(5, []), (20, ["first", "second"])])
def test_what_ends_the_timing_early_ends_it_after_the_times_that_are_known(case_of, clock, ends_at, known):
    """While the second case warms up, and while it is timed."""

    def call() -> None:
        clock[0] += 0.5
        if clock[0] > ends_at:
            raise KeyboardInterrupt

    cases = [
        case_of("first", 0.5),
        Case({"model": "second"}, call),
        Case({"model": "third"}, call, hindrance="not here"),
    ]
    found = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(time_cases("latency", cases, Plan(9, 10.0), lambda _: None))
    assert [each.name for each in found if each.times] == known
    assert {each.skipped for each in found if not each.times} == ({"not here"} if known else {"not here", CUT_SHORT})


def test_what_cannot_run_here_is_not_called():
    case = Case({"model": "there"}, lambda: pytest.fail("called"), hindrance="no such library")
    (result,) = time_cases("latency", [case], Plan(2, 1.0), lambda _: None)
    assert result.skipped == "no such library"
