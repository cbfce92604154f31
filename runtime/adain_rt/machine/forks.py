"""What a process that was forked must mind: of all threads, only the one that forked goes on in the child.

A lock that another thread held stays locked for ever there. A library waits for ever for threads that it once started.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import count
from typing import Protocol
from weakref import WeakValueDictionary

__all__ = ["call_in_children", "keep", "watch"]


class _Watched(Protocol):
    def after_fork(self) -> None:
        """Do what is needed in a child, before anything else runs there."""


_NUMBERS = count()
_WATCHED: WeakValueDictionary[int, _Watched] = WeakValueDictionary()


def call_in_children(function: Callable[[], object]) -> None:
    """Call a function in every child that is forked, before anything else runs there."""
    if hasattr(os, "register_at_fork"):  # Windows does not fork
        os.register_at_fork(after_in_child=function)


def watch(thing: _Watched) -> None:
    """Call ``thing.after_fork()`` in every child that is forked while ``thing`` exists, in the order of these calls."""
    _WATCHED[next(_NUMBERS)] = thing


def keep(thing: object) -> None:
    """Keep an object until the process ends, and beyond: freed in a child, its library would wait for its threads."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _tell() -> None:
    for thing in list(_WATCHED.values()):
        thing.after_fork()


call_in_children(_tell)
