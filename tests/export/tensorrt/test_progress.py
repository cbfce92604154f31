"""How far a build is, and what ends it."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
from dataclasses import replace
from typing import Any

import pytest

from adain_export.tensorrt import build
from adain_export.tensorrt.builder import Builder
from adain_export.tensorrt.log import BuildLog
from adain_export.tensorrt.progress import Phases
from adain_models.weights import store
from adain_rt.backends.tensorrt.manifest import Recipe
from adain_rt.backends.tensorrt.profiles import DEFAULTS, static_profile

LITE = store.model_dir("lite")
SMALL = Recipe("tensorrt-rtx", "fp32", (static_profile("64"),))


def test_progress_counts_nested_phases_into_their_parents_step():
    phases = Phases()
    phases.start("build", None, 4)
    phases.step("build", 0)
    phases.start("layers", "build", 10)
    phases.step("layers", 4)
    assert phases.share == pytest.approx(0.25 + 0.25 * 0.5)
    phases.finish("layers")
    phases.step("build", 1)
    assert phases.share == pytest.approx(0.5)
    phases.finish("build")
    assert phases.share == 1


def test_progress_of_a_real_build_rises_in_the_thread_that_asked_for_it(tmp_path):
    calls: list[tuple[float, threading.Thread]] = []
    recipe = replace(SMALL, precision="fp16", profiles=DEFAULTS)
    Builder().build(LITE, "stylize", recipe, tmp_path, lambda share: calls.append((share, threading.current_thread())))
    shares = [share for share, _ in calls]
    assert shares == sorted(shares)
    assert max(shares) > 0.8  # the last steps have no number
    assert all(0 <= share <= 1 for share in shares)
    assert {thread for _, thread in calls} == {threading.current_thread()}


def test_an_error_of_the_callback_cancels_the_build_and_leaves_nothing(tmp_path):
    def fail(_: float) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        Builder().build(LITE, "stylize", replace(SMALL, profiles=DEFAULTS), tmp_path, fail)
    assert list(tmp_path.iterdir()) == []


def test_a_cancelled_build_ends_at_its_next_step(tmp_path, monkeypatch):
    monitors: list[Any] = []
    make = build.make_monitor
    monkeypatch.setattr(build, "make_monitor", lambda trt: monitors.append(make(trt)) or monitors[-1])

    def interrupt(share: float) -> None:
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Builder().build(LITE, "stylize", replace(SMALL, profiles=DEFAULTS), tmp_path, interrupt)
    (monitor,) = monitors
    assert monitor.cancelled
    assert monitor.share < 1


def test_a_build_takes_no_signals_over(tmp_path):
    handlers: set[Any] = set()
    before = signal.getsignal(signal.SIGINT)
    Builder().build(LITE, "encode", SMALL, tmp_path, lambda _: handlers.add(signal.getsignal(signal.SIGINT)))
    assert handlers == {before}


@pytest.mark.parametrize(("number", "ended"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
@pytest.mark.parametrize("place", ["step", "start", "finish", "log"])
def test_a_signal_ends_a_build_and_leaves_nothing(tmp_path, monkeypatch, number, ended, place):
    """Wherever it meets the library's callbacks."""
    where = BuildLog if place == "log" else Phases
    name = "emit" if place == "log" else place
    original, calls = getattr(where, name), itertools.count()

    def interrupted(*arguments: Any) -> None:
        original(*arguments)
        if next(calls) == 3:
            signal.raise_signal(number)

    monkeypatch.setattr(where, name, interrupted)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the command line has it
    try:
        with pytest.raises(ended):
            Builder().build(LITE, "encode", SMALL, tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert list(tmp_path.iterdir()) == []
