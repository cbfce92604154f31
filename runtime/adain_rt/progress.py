"""How much of some work is done."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Progress", "part_of"]

Progress = Callable[[float], None]
"""What is called with the share of some work that is done, up to 1."""


def part_of(progress: Progress | None, start: float, share: float) -> Progress | None:
    """Return what reports the progress of a part, which has a share of the whole and comes after ``start``."""
    return None if progress is None else lambda done: progress(start + share * done)
