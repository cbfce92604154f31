"""Ordinary scheduling of threads, which an encoder's library takes from the whole process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["keep_scheduling"]

_THREADS = Path("/proc/self/task")  # Linux's; elsewhere nothing is known that has to be undone


@contextmanager
def keep_scheduling() -> Iterator[None]:
    """Undo what the block does to the scheduling of this process's threads, and have its new threads scheduled alike.

    Where root runs it, SVT-AV1 puts the thread that opens it, and its own, under SCHED_FIFO at the highest priority.
    Threads and processes that are begun later inherit it. One that spins there, as those of ONNX Runtime and OpenMP do
    while they wait, lets nothing else run on its core, not even what it waits for: the program stands still.
    """
    if not _THREADS.is_dir():
        yield
        return
    own = _scheduling(0)
    before = {thread: _scheduling(thread) for thread in _threads()}
    try:
        yield
    finally:
        for thread in _threads():
            wanted = before.get(thread, own)
            with suppress(OSError):  # it has ended
                if _scheduling(thread) != wanted and wanted is not None:
                    policy, priority = wanted
                    os.sched_setscheduler(thread, policy, os.sched_param(priority))


def _threads() -> list[int]:
    return [int(thread.name) for thread in _THREADS.iterdir()]


def _scheduling(thread: int) -> tuple[int, int] | None:
    """Return a thread's policy and priority, if it has not ended; 0 is the thread that asks."""
    try:
        return os.sched_getscheduler(thread), os.sched_getparam(thread).sched_priority
    except ProcessLookupError:
        return None
