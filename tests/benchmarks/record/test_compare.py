"""Two runs side by side: what is joined, what is said first, and what counts as slower."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import numpy as np
import pytest

from adain_bench.record.compare import compare
from adain_bench.record.run import Result, Run
from adain_bench.record.statistics import Times
from adain_bench.show.comparison import lines, markdown

_MACHINE = {"cpu": "2 x a processor", "packages": {"numpy": "2.0"}, "memory_available_bytes": 5}


def _times(seconds, spread=0.001, repeats=10):
    """Times whose repeats' medians lie evenly about ``seconds``."""
    return Times(tuple((float(median),) * 5 for median in seconds * np.linspace(1 - spread, 1 + spread, repeats)))


def _run(**seconds):
    """A run of cases that took these seconds."""
    results = tuple(Result("latency", name, {}, _times(each)) for name, each in seconds.items())
    started = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
    return Run("adain-rt bench latency", started, 60, _MACHINE, {"id": "0123abc", "dirty": False}, results)


@pytest.fixture
def comparison():
    """Of a case that became slower, one much faster, one that did not change, and one that is too noisy."""
    before = _run(same=0.1, slower=0.1, faster=0.1, gone=0.1)
    after = _run(new=0.1, same=0.1005, slower=0.11, faster=0.05)
    noisy = [Result("latency", "noisy", {}, _times(seconds, spread=0.3)) for seconds in (0.1, 0.11)]
    return compare(
        *(replace(run, results=(*run.results, each)) for run, each in zip((before, after), noisy, strict=True))
    )


def test_cases_are_joined_by_name_and_what_became_slower_is_first(comparison):
    assert [(change.name, change.verdict) for change in comparison.changes] == [
        ("latency: slower", "slower"),
        ("latency: faster", "faster"),
        ("latency: noisy", "too noisy to say"),
        ("latency: same", "no difference"),
    ]
    slower = comparison.changes[0]
    assert (slower.ratio.value, slower.before, slower.after) == pytest.approx((1.1, 0.1, 0.11))
    assert comparison.any_slower
    assert (comparison.gone, comparison.new) == (("latency: gone",), ("latency: new",))


def test_all_cases_together_tell_a_change_of_the_machine():
    together = compare(_run(a=0.1, b=1.0), _run(a=0.12, b=1.2))
    assert together.overall == pytest.approx(1.2)
    assert "all cases together: 1.200 times as long" in list(lines(together))
    before, after = ({f"case{number}": seconds for number in range(5)} for seconds in (0.1, 0.12))
    moved = "all cases together: 1.200 times as long; every one moved that way"
    assert any(line.startswith(moved) for line in lines(compare(_run(**before), _run(**after))))
    mixed = compare(_run(**before), _run(**after | {"case0": 0.09}))
    assert not any("every one" in line for line in lines(mixed))


def test_the_tolerance_decides_what_counts():
    before, after = _run(a=0.1), _run(a=0.104)
    assert compare(before, after).any_slower
    assert not compare(before, after, tolerance=0.1).any_slower


def test_the_gpus_part_is_compared_too():
    before, after = (
        replace(_run(), results=(Result("latency", "a", {}, _times(0.1), gpu_times=_times(gpu)),))
        for gpu in (0.01, 0.02)
    )
    slower, same = compare(before, after).changes
    assert (slower.part, slower.verdict) == ("GPU part", "slower")
    assert (same.part, same.verdict) == ("whole call", "no difference")
    assert compare(before, after).overall == pytest.approx(1)


def test_a_case_that_is_skipped_now_is_listed_with_the_reason():
    skipped = replace(_run(), results=(Result("latency", "a", {}, None, skipped="no such backend"),))
    comparison = compare(_run(a=0.1), skipped)
    assert comparison.gone == ("latency: a (no such backend)",)
    assert not comparison.changes
    assert list(lines(comparison))[-2:] == [
        "no case was timed in both runs",
        "only before: latency: a (no such backend)",
    ]
    assert compare(skipped, _run(a=0.1)).new == ("latency: a (no such backend)",)


def test_another_machine_is_said_first_and_what_always_changes_is_not():
    other = {"cpu": "8 x another", "packages": {"numpy": "2.1"}, "gpu": {"name": "a GPU"}, "memory_available_bytes": 9}
    comparison = compare(_run(a=0.1), replace(_run(a=0.1), machine_info=other))
    assert comparison.machine == (
        "cpu: 2 x a processor before, 8 x another after",
        "packages numpy: 2.0 before, 2.1 after",
        "gpu name: none before, a GPU after",
    )
    assert next(lines(comparison)) == "the machines differ: cpu: 2 x a processor before, 8 x another after"
    assert markdown(comparison).startswith("- the machines differ: cpu")
    assert compare(_run(a=0.1), _run(a=0.1)).machine == ()


def test_what_a_record_says_of_itself_cannot_move_the_cursor():
    hostile = replace(_run(a=0.1), command="a\x1b[2J", commit_info={"id": "\ud800\n", "dirty": None})
    said = "".join(lines(compare(hostile, _run(a=0.1))))
    assert said.isprintable()


def test_lines_and_markdown_say_the_same(comparison):
    text = list(lines(comparison))
    assert text[0] == "before: adain-rt bench latency, 2026-11-24 12:00 UTC, commit 0123abc"
    assert text[3].split() == ["slower", "1.100", "(1.099-1.101)", "100.0", "ms", "110.0", "ms", "latency:", "slower"]
    assert text[-2:] == ["only before: latency: gone", "only after: latency: new"]
    rows = [" ".join(line.split()) for line in markdown(comparison).splitlines()]
    assert "| slower | 1.100 (1.099-1.101) | 100.0 ms | 110.0 ms | latency: slower |" in rows
    assert markdown(comparison).endswith("- only before: latency: gone\n- only after: latency: new\n")
