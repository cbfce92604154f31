"""Figures of times against a count by hand, and verdicts against differences that were planted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from adain_bench.record.statistics import Ratio, Times, judge_change, ratio, summary
from adain_bench.record.text import significant

_TRIALS = 1000


class _Machine:
    """Times as a machine gives them, seeded.

    Noise of 1-3 % that is skewed to the right, drift of 1 % from repeat to repeat, and 2 % of calls that take twice as
    long.
    """

    def __init__(self) -> None:
        self._generator = np.random.default_rng(20)

    def drift(self, repeats: int) -> np.ndarray:
        return np.exp(self._generator.normal(0, 0.01, (repeats, 1)))

    def times(self, drift: np.ndarray, calls: int, seconds: float = 1.0) -> Times:
        shape = (len(drift), calls)
        noise = self._generator.uniform(0.01, 0.03) * (self._generator.lognormal(0, 0.6, shape) - 1) / 0.7
        outliers = np.where(self._generator.random(shape) < 0.02, 2, 1)
        return Times(tuple(map(tuple, (seconds * drift * (1 + noise) * outliers).tolist())))

    def verdicts(self, repeats: int, calls: int, factor: float, tolerance: float = 0.02) -> Iterator[tuple[str, Ratio]]:
        for _ in range(_TRIALS):
            before = self.times(self.drift(repeats), calls)
            yield judge_change(before, self.times(self.drift(repeats), calls, factor), tolerance)

    def ratios(self, repeats: int, calls: int, factor: float) -> Iterator[Ratio]:
        for _ in range(_TRIALS):
            drift = self.drift(repeats)
            yield ratio(self.times(drift, calls, factor), self.times(drift, calls))


@pytest.fixture
def machine():
    return _Machine()


def test_the_figures_are_those_of_the_times():
    figures = summary(Times(((3.0, 1.0), (2.0, 10.0), (4.0, 4.0))))
    assert (figures["min"], figures["max"], figures["mean"], figures["median"]) == (1, 10, 4, 3.5)
    assert (figures["total"], figures["rounds"], figures["repeats"], figures["ops"]) == (24, 6, 3, 0.25)
    assert figures["stddev"] == pytest.approx(10**0.5)  # squares of 1, 3, 2, 6, 0, 0 over 5
    assert (figures["q1"], figures["q3"], figures["iqr"]) == (2.25, 4, 1.75)
    assert (figures["p90"], figures["p95"], figures["p99"]) == pytest.approx((7, 8.5, 9.7))
    assert figures["spread"] == 1  # medians 2, 6 and 4
    assert figures["data"] == [3, 1, 2, 10, 4, 4]


def test_one_call_has_figures_too():
    figures = summary(Times(((2.0,),)))
    assert (figures["median"], figures["p99"], figures["stddev"], figures["spread"]) == (2, 2, 0, 0)


@pytest.mark.parametrize("seconds", [(), ((),), ((1.0,), (1.0, 2.0))])
def test_times_without_repeats_of_one_length_are_refused(seconds):
    with pytest.raises(ValueError, match="one or more repeats"):
        Times(seconds)


@pytest.mark.parametrize("second", [0.0, -1.0, 1e-300, 1e300, float("nan"), float("inf")])
def test_a_time_that_no_call_takes_is_refused(second):
    with pytest.raises(ValueError, match="above zero"):
        Times(((1.0, second),))


def test_the_ratio_is_the_medians_and_its_interval_is_students():
    found = ratio(Times(((2.0, 2.0, 9.0), (4.0, 4.0, 4.0))), Times(((1.0,), (1.0,))))
    half = 12.706 * np.log(2) / 2  # medians 2 and 4: the deviation of their logarithms' mean is half of log(4 / 2)
    assert found.value == pytest.approx(8**0.5)
    assert (found.low, found.high) == pytest.approx((8**0.5 / np.exp(half), 8**0.5 * np.exp(half)))


def test_the_interval_of_two_runs_is_welchs():
    before = Times(((1.0,), (1.0,), (1.0,)))
    after = Times(tuple((float(np.exp(logarithm)),) for logarithm in (0.1, 0.2, 0.3)))
    verdict, found = judge_change(before, after)
    half = 4.303 * (0.01 / 3) ** 0.5  # all the variance is on one side, and so are the degrees of freedom
    assert (found.value, found.high) == pytest.approx((np.exp(0.2), np.exp(0.2 + half)))
    assert verdict == "too noisy to say"


def test_one_repeat_says_nothing_of_how_repeats_differ():
    once = Times(((1.0, 1.0, 1.0),))
    assert ratio(once, once) == Ratio(1, 0, float("inf"))
    assert str(ratio(once, once)) == "1.000 (one repeat: no interval)"
    assert judge_change(once, Times(((2.0,), (2.0,))))[0] == "too noisy to say"


def test_a_ratio_is_of_the_repeats_that_both_have():
    short, long = Times(((1.0,), (2.0,))), Times(((2.0,), (4.0,), (100.0,)))
    assert ratio(long, short) == Ratio(2, 2, 2)
    assert ratio(short, long) == Ratio(0.5, 0.5, 0.5)


def test_the_widest_interval_of_the_shortest_and_the_longest_times_is_still_one():
    rising, falling = Times(((1e-12,), (1e9,))), Times(((1e9,), (1e-12,)))
    assert 0 <= ratio(rising, falling).low < 1 < ratio(rising, falling).high
    assert judge_change(rising, falling)[0] == "too noisy to say"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0123456, "0.0123"),
        (1, "1.00"),
        (38.1234, "38.1"),
        (186.4, "186"),
        (12345.6, "12,346"),
        (-2.5, "-2.50"),
        (float("inf"), "inf"),
    ],
)
def test_numbers_are_written_with_significant_digits(value, text):
    assert significant(value, 3) == text


@pytest.mark.parametrize(("repeats", "calls"), [(3, 20), (5, 20), (10, 5), (10, 20)])
def test_intervals_hold_the_true_ratio_as_often_as_they_say(machine, repeats, calls):
    paired = [found.low <= 1.3 <= found.high for found in machine.ratios(repeats, calls, 1.3)]
    separate = [found.low <= 1.05 <= found.high for _, found in machine.verdicts(repeats, calls, 1.05)]
    assert 0.92 <= np.mean(paired) <= 0.985
    assert 0.92 <= np.mean(separate) <= 0.985


@pytest.mark.parametrize(("repeats", "calls", "power"), [(5, 20, 0.9), (10, 5, 0.95), (10, 20, 0.99)])
def test_five_percent_more_are_found_and_five_less(machine, repeats, calls, power):
    slower = Counter(verdict for verdict, _ in machine.verdicts(repeats, calls, 1.05))
    faster = Counter(verdict for verdict, _ in machine.verdicts(repeats, calls, 1 / 1.05))
    assert slower["slower"] >= power * _TRIALS
    assert faster["faster"] >= power * _TRIALS
    assert slower["faster"] == faster["slower"] == slower["no difference"] == 0


@pytest.mark.parametrize(("factor", "tolerance"), [(1.0, 0.0), (1.02, 0.02)])
def test_what_is_within_the_tolerance_is_called_slower_at_most_by_chance(machine, factor, tolerance):
    verdicts = Counter(verdict for verdict, _ in machine.verdicts(10, 20, factor, tolerance))
    assert verdicts["slower"] <= 0.04 * _TRIALS  # 2.5 % are expected
    assert verdicts["faster"] <= 0.04 * _TRIALS


def test_a_null_difference_is_called_none_where_there_are_repeats_enough(machine):
    verdicts = Counter(verdict for verdict, _ in machine.verdicts(10, 20, 1.0))
    assert verdicts["no difference"] >= 0.85 * _TRIALS
    assert verdicts["slower"] == verdicts["faster"] == 0
    few = Counter(verdict for verdict, _ in machine.verdicts(3, 20, 1.0))
    assert few["too noisy to say"] >= 0.85 * _TRIALS


def test_drift_that_meets_both_cases_of_a_run_cancels(machine):
    drift = np.linspace(1, 2, 5)[:, None]
    found = ratio(machine.times(drift, 20, 1.1), machine.times(drift, 20))
    assert found.high / found.low < 1.05
    assert found.low < 1.1 < found.high
