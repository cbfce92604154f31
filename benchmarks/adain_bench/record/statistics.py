"""What repeated times say: their figures, the ratio of two cases in one run, and whether two runs differ.

The model: in the logarithm, a call's time is its case's, plus its repeat's drift (the machine's clocks, what else runs
there), plus noise of its own, which is skewed to the right and has outliers. A repeat's median keeps the outliers out;
an interval comes from how the medians of the repeats differ, so it holds what drifts between repeats as well as what is
left of the noise. It is Student's t on their logarithms, the standard choice for few repeats (Kalibera & Jones,
"Rigorous benchmarking in reasonable time", ISMM 2013). A percentile bootstrap over five repeats covers 84 % where it
says 95 %; one that resamples the calls too counts their noise twice, and covers over 99 %.

One call a repeat is too few, as an outlier is then a repeat's median; three are enough.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from adain_bench.record.text import significant

__all__ = ["Ratio", "Times", "Verdict", "judge_change", "ratio", "summary"]

Verdict = Literal["slower", "faster", "no difference", "too noisy to say"]

_LEAST, _MOST = 1e-12, 1e9  # seconds: no figure of times between them overflows

# Student's t at 97.5 %, by degrees of freedom.
_STUDENT = {
    1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 12: 2.179,
    15: 2.131, 20: 2.086, 30: 2.042, 60: 2.000, math.inf: 1.960,
}  # fmt: skip


@dataclass(frozen=True)
class Times:
    """Seconds that the calls of one case took.

    Attributes:
        seconds: one tuple for each repeat, all of one length; every time is from a picosecond to thirty years.

    """

    seconds: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        lengths = {len(repeat) for repeat in self.seconds}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError("times are one or more repeats, each of as many calls, one or more")
        if not all(_LEAST <= second <= _MOST for repeat in self.seconds for second in repeat):
            raise ValueError("every time is finite and above zero, and one that a call can take")

    @property
    def flat(self) -> NDArray[np.float64]:
        """All of them, repeat after repeat."""
        return np.array(self.seconds, np.float64).reshape(-1)

    @property
    def medians(self) -> NDArray[np.float64]:
        """The median of each repeat."""
        median: NDArray[np.float64] = np.median(np.array(self.seconds, np.float64), axis=1)
        return median


@dataclass(frozen=True)
class Ratio:
    """A ratio of two cases' times with its 95 % interval; from 0 to infinity where one repeat says nothing of it."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"{significant(self.value, 4)} (one repeat: no interval)"
        return "{} ({}-{})".format(*(significant(bound, 4) for bound in (self.value, self.low, self.high)))


def summary(times: Times) -> dict[str, Any]:
    """Return the figures of all calls together, in seconds, and the calls.

    Quantiles are interpolated linearly between order statistics; ``stddev`` has the divisor n - 1. ``spread`` is how
    far the medians of the repeats lie apart, relative to their median.
    """
    data, medians = times.flat, times.medians
    q1, median, q3, p90, p95, p99 = (float(value) for value in np.percentile(data, (25, 50, 75, 90, 95, 99)))
    return {
        "min": float(data.min()),
        "max": float(data.max()),
        "mean": float(data.mean()),
        "stddev": float(data.std(ddof=1)) if data.size > 1 else 0.0,
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "p90": p90,
        "p95": p95,
        "p99": p99,
        "ops": float(1 / data.mean()),
        "total": float(data.sum()),
        "rounds": data.size,
        "repeats": medians.size,
        "spread": float(np.ptp(medians) / np.median(medians)),
        "data": data.tolist(),
    }


def ratio(a: Times, b: Times) -> Ratio:
    """Return how many times as long ``a`` takes as ``b``, both of one interleaved run.

    It is the ratio of their medians in each repeat, in the geometric mean over repeats: drift from one repeat to the
    next meets both, and cancels. Of a case with more repeats than the other, the first ones count.
    """
    repeats = min(len(a.seconds), len(b.seconds))
    logarithms = np.log(a.medians[:repeats] / b.medians[:repeats])
    return _around(float(logarithms.mean()), _variance(logarithms), logarithms.size - 1)


def judge_change(before: Times, after: Times, tolerance: float = 0.02) -> tuple[Verdict, Ratio]:
    """Return whether a case takes longer, or less, than in a run before, and how many times as long.

    A verdict needs the whole 95 % interval of the ratio: beyond the tolerance for ``slower`` and ``faster``, within it
    for ``no difference``. Anything else is ``too noisy to say``. Repeats of two runs are not paired, so that the drift
    of both is in the interval (Welch's). What moves a whole run, and so all its repeats alike, no interval can see; the
    tolerance is for that.

    Args:
        before: the times of the run to compare with.
        after: those of the run that is judged.
        tolerance: the relative difference that does not matter; 0.02 is from 1 / 1.02 to 1.02.

    """
    logarithms = [np.log(times.medians) for times in (after, before)]
    variances = [_variance(each) for each in logarithms]
    between = _around(
        float(logarithms[0].mean() - logarithms[1].mean()),
        sum(variances),
        _welch(variances, [each.size - 1 for each in logarithms]),
    )
    return _verdict(between, 1 + tolerance), between


def _verdict(found: Ratio, bound: float) -> Verdict:
    if found.low > bound:
        return "slower"
    if found.high < 1 / bound:
        return "faster"
    if 1 / bound <= found.low and found.high <= bound:
        return "no difference"
    return "too noisy to say"


def _around(logarithm: float, variance: float, freedom: float) -> Ratio:
    """Return the ratio of this mean logarithm, which has this variance with so many degrees of freedom."""
    value = math.exp(logarithm)
    if freedom == 0:
        return Ratio(value, 0.0, math.inf)
    factor = math.exp(_student(freedom) * math.sqrt(variance))
    return Ratio(value, value / factor, value * factor)


def _variance(values: NDArray[np.float64]) -> float:
    """Return the variance of the mean of some values; infinite for one value alone."""
    return float(values.var(ddof=1) / values.size) if values.size > 1 else math.inf


def _welch(variances: list[float], freedoms: list[int]) -> float:
    """Return the degrees of freedom of a sum of variances (Welch 1947); 0 where one of them has none."""
    if 0 in freedoms:
        return 0.0
    if sum(variances) == 0:
        return float(sum(freedoms))
    parts = zip(variances, freedoms, strict=True)
    return sum(variances) ** 2 / sum(variance**2 / freedom for variance, freedom in parts)


def _student(freedom: float) -> float:
    """Return Student's t at 97.5 %; between the table's degrees of freedom, linear in their reciprocal."""
    reciprocals = [1 / known for known in reversed(_STUDENT)]
    return float(np.interp(1 / freedom, reciprocals, list(reversed(_STUDENT.values()))))
