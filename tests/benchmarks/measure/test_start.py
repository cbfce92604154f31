"""Starts of real processes: what they measure, and what becomes of one that fails. No time is asserted."""

from __future__ import annotations

import pytest

from adain_bench.contenders.contender import Contender
from adain_bench.contenders.ours import ours
from adain_bench.measure import start
from adain_bench.measure.start import time_starts
from adain_bench.record.run import CUT_SHORT
from adain_rt.backends import Settings


@pytest.fixture(scope="module")
def started():
    """A start of each kind, of ONNX Runtime in int8; and of what is not there."""
    contenders = [*ours(["lite"], ["onnxruntime"], ["int8"])]
    contenders.append(Contender({"model": "lite", "backend": "elsewhere"}, lambda: None, "not installed"))
    turns: list[int] = []
    results = list(time_starts(contenders, ["lite"], 64, 1, Settings(threads=1), lambda: turns.append(1)))
    assert len(turns) == 2
    return results


def test_a_start_is_timed_with_a_cold_cache_and_with_a_warm_one(started):
    cold, warm, _ = started
    assert [each.params["cache"] for each in (cold, warm)] == ["cold", "warm"]
    assert all(each.times.flat.size == 1 for each in (cold, warm))


def test_its_parts_are_within_the_whole_and_memory_is_that_of_the_process_alone(started):
    cold = started[0]
    parts = cold.extra_info
    assert 0 < parts["import_s"] < cold.times.flat[0]
    assert parts["load_s"] < cold.times.flat[0]
    assert 20e6 < parts["host_peak_bytes"] < 500e6  # that of this process, with PyTorch, is above


def test_what_cannot_run_is_not_started(started):
    assert started[-1].skipped == "not installed"


def test_what_ends_the_starts_early_ends_them_after_the_times_that_are_known(monkeypatch):
    parts = dict.fromkeys(("total_s", "import_s", "load_s", "host_peak_bytes", "device_bytes"), 1)
    processes = iter([parts, parts, parts])

    def start_process(*_: object) -> dict[str, int]:
        if (made := next(processes, None)) is None:
            raise KeyboardInterrupt
        return made

    monkeypatch.setattr(start, "_start_process", start_process)
    contenders = [Contender({"model": name}, lambda: None) for name in ("whole", "half", "never")]
    found = []
    with pytest.raises(KeyboardInterrupt):
        found.extend(time_starts(contenders, ["lite"], 64, 1, Settings(), lambda: None))
    assert [(each.params["model"], each.params.get("cache"), each.skipped) for each in found] == [
        ("whole", "cold", None), ("whole", "warm", None), ("half", "cold", None), ("never", None, CUT_SHORT),
    ]  # fmt: skip


def test_a_process_that_fails_says_why():
    gone = Contender({"model": "lite", "backend": "onnxruntime", "precision": "fp16"}, lambda: None)
    (result,) = time_starts([gone], ["lite"], 64, 1, Settings(), lambda: None)
    assert result.times is None
    assert "nothing here stylises as lite onnxruntime fp16" in result.skipped
