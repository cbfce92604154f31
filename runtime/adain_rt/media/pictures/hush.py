"""Keeping Pillow and its libtiff quiet, in every thread."""

from __future__ import annotations

import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

from PIL import _imaging

__all__ = ["HUSH", "explain_failure"]

# A library's logger: without a handler, Python prints Pillow's errors where no logging is set up.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class _Hush:
    """While any thread is inside, Pillow's warnings are not shown, and libtiff prints nothing.

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
                self._filters.enter_context(_silence_libtiff())
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.close()


HUSH = _Hush()


@contextmanager
def _silence_libtiff() -> Iterator[None]:
    """Take libtiff its handlers, which print to stderr without a file's name. Pillow raises for what matters."""
    setters = _find_libtiff_setters()
    before = [(setter, setter(None)) for setter in setters]
    try:
        yield
    finally:
        for setter, handler in before:
            setter(handler)


@cache
def _find_libtiff_setters() -> tuple[Any, ...]:
    """Return the functions of Pillow's own libtiff that set a handler and return the one before."""
    try:
        library = ctypes.CDLL(_imaging.__file__)  # a symbol of what it links is found through it
        setters = (library.TIFFSetErrorHandler, library.TIFFSetWarningHandler)
    except (AttributeError, OSError):  # a Pillow without libtiff, or one that hides it
        return ()
    for setter in setters:
        setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
    return setters


def explain_failure(error: Exception) -> str:
    """Return the text of one of Pillow's errors on one line."""
    return " ".join(str(error).split()) or type(error).__name__
