"""Steps that run ahead of one another."""

from __future__ import annotations

import threading
import time

import pytest

from adain_rt.jobs.overlap import run_ahead


def test_items_come_in_their_order():
    assert list(run_ahead(iter(range(100)), 3)) == list(range(100))


def test_a_step_is_no_further_ahead_than_asked():
    made = []

    def make():
        for index in range(20):
            made.append(index)
            yield index

    for index in run_ahead(make(), 2):
        time.sleep(0.002)
        assert len(made) <= index + 1 + 2 + 1  # the one here, those waiting, and the one being handed over


def test_an_error_comes_after_the_items_before_it():
    def fail():
        yield 1
        raise ValueError("no more")

    items = run_ahead(fail(), 4)
    assert next(items) == 1
    with pytest.raises(ValueError, match="no more"):
        next(items)


def test_a_reader_that_stops_ends_the_thread_and_closes_the_items():
    closed = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    ahead = run_ahead(endless(), 2)
    next(ahead)
    ahead.close()
    assert closed.is_set()
    assert not any(thread.name == "adain-rt-ahead" for thread in threading.enumerate())


def test_a_signal_while_a_thread_starts_leaves_the_items_alone(monkeypatch):
    taken, late = [], []

    def start(thread):  # the signal comes before the thread has begun to run
        late.append(thread)
        raise KeyboardInterrupt

    def make():
        taken.append(0)
        yield 0

    monkeypatch.setattr("adain_rt.jobs.overlap._Producer.start", start)
    with pytest.raises(KeyboardInterrupt):
        next(run_ahead(make(), 2))
    late[0].run()
    assert taken == []


def test_steps_overlap():
    """The first is at its fourth item while the last still has its first."""
    ahead = threading.Event()

    def first():
        for number in range(20):
            if number == 3:
                ahead.set()
            yield number

    def last(items):
        for item in items:
            assert ahead.wait(30)
            yield item

    assert list(last(run_ahead(run_ahead(first(), 4), 4))) == list(range(20))
