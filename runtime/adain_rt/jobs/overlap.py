"""Steps that overlap: each in a thread of its own, a few items ahead of the next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

__all__ = ["run_ahead"]

_T = TypeVar("_T")

_LOOK = 0.1
"""Seconds after which a thread that waits looks whether it is still needed."""


class _End:
    """The end of the items, and the error that ended them, if one did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def run_ahead(items: Iterable[_T], size: int) -> Iterator[_T]:
    """Yield items that another thread takes from ``items``, at most ``size`` ahead of the reader.

    What ``items`` raises is raised here, after the items before it. When the reader stops early, so does the thread,
    and ``items`` is closed if it is a generator. It is waited for.
    """
    queue: Queue[_T | _End] = Queue(size)
    stopped = Event()

    def put(item: _T | _End) -> bool:
        while not stopped.is_set():
            try:
                queue.put(item, timeout=_LOOK)
            except Full:
                continue
            return True
        return False

    def produce() -> None:
        end = _End()
        try:
            for item in items:
                if not put(item):
                    break
        except BaseException as error:  # it is raised where the items are read
            end = _End(error)
        finally:
            if hasattr(items, "close"):
                items.close()
        put(end)

    thread = Thread(target=produce, name="adain-rt-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        thread.join()
