"""What an encoder's library does to the scheduling of threads is undone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event, Thread

import pytest

from adain_rt.media.clips.scheduling import keep_scheduling

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="policies of threads are Linux's")


@contextmanager
def waiting_thread(policy: int | None = None) -> Iterator[int]:
    """Give the number of a thread that waits, under a policy or under that of the thread that begins it."""
    known, over = Event(), Event()

    def wait() -> None:
        if policy is not None:
            os.sched_setscheduler(0, policy, os.sched_param(0))
        known.set()
        over.wait()

    thread = Thread(target=wait)
    thread.start()
    known.wait()
    assert thread.native_id is not None
    yield thread.native_id
    over.set()
    thread.join()


def test_threads_get_their_policies_back_and_new_ones_are_scheduled_alike():
    own = os.sched_getscheduler(0)
    with ExitStack() as stack:
        idle = stack.enter_context(waiting_thread(os.SCHED_IDLE))
        with keep_scheduling():
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # which anybody may; SCHED_FIFO is for root
            new = stack.enter_context(waiting_thread())
            assert os.sched_getscheduler(new) == os.SCHED_BATCH
        assert os.sched_getscheduler(0) == own
        assert os.sched_getscheduler(new) == own
        assert os.sched_getscheduler(idle) == os.SCHED_IDLE


def test_an_error_of_the_block_comes_through_and_policies_come_back():
    own = os.sched_getscheduler(0)

    def open_encoder() -> None:
        with keep_scheduling():
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
            raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        open_encoder()
    assert os.sched_getscheduler(0) == own
