"""Steps that overlap: each in a thread of its own, a few items ahead of the next."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from queue import Full, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

__all__ = ["run_ahead"]

_T = TypeVar("_T")

_LOOK = 0.1
"""Seconds after which a thread that waits looks whether it is still needed."""


def run_ahead(items: Iterable[_T], size: int) -> Generator[_T]:
    """Yield items that another thread takes from ``items``, at most ``size`` ahead of the reader.

    What ``items`` raises is raised here, after the items before it. When the reader stops early, so does the thread,
    which is waited for, and ``items`` is closed if it is a generator.
    """
    producer = _Producer(items, size)
    try:
        producer.start()
        while not isinstance(item := producer.queue.get(), _End):
            yield item
        if item.error is not None:
            raise item.error
    finally:
        producer.stopped.set()
        if producer.ident is not None:  # a signal may have come before its start; it does nothing then
            producer.join()


class _End:
    """The end of the items, and the error that ended them, if one did."""

    def __init__(self, error: BaseException | None) -> None:
        self.error = error


class _Producer(Thread, Generic[_T]):
    """Takes items and puts them into a queue until there is no more, or nobody reads them any more."""

    def __init__(self, items: Iterable[_T], size: int) -> None:
        super().__init__(name="adain-rt-ahead", daemon=True)
        self.queue: Queue[_T | _End] = Queue(size)
        self.stopped = Event()
        self._items = items

    def run(self) -> None:
        if self.stopped.is_set():
            return
        error = None
        try:
            for item in self._items:
                if not self._put(item):
                    break
        except BaseException as raised:
            error = raised
        finally:
            if hasattr(self._items, "close"):
                self._items.close()
        self._put(_End(error))

    def _put(self, item: _T | _End) -> bool:
        """Return whether an item was put before the reader stopped."""
        while not self.stopped.is_set():
            try:
                self.queue.put(item, timeout=_LOOK)
            except Full:
                continue
            return True
        return False
