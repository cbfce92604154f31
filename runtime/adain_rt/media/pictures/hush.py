"""Keeping Pillow quiet, in every thread."""

from __future__ import annotations

import logging
import threading
import warnings
from contextlib import ExitStack

__all__ = ["HUSH", "explain_failure"]

# A library's logger: without a handler, Python prints Pillow's errors where no logging is set up.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class _Hush:
    """While any thread is inside, Pillow's warnings are not shown.

    ``catch_warnings`` alone is not safe with threads: the thread that leaves last restores the filters that it found,
    which may be those of another thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._filters = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.close()


HUSH = _Hush()


def explain_failure(error: Exception) -> str:
    """Return the text of one of Pillow's errors on one line."""
    return " ".join(str(error).split()) or type(error).__name__
