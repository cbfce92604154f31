"""How much memory a process can still take, on systems that say so, and the guard that keeps it within that."""

from __future__ import annotations

from pathlib import Path

from adain_rt.errors import too_large
from adain_rt.machine import limits

__all__ = ["available_bytes", "check_fits"]

_MEMINFO = Path("/proc/meminfo")


def check_fits(height: int, width: int, needed: int) -> None:
    """Refuse pictures that need more memory than is available: most systems end a process that tries.

    Args:
        height: of each picture, in pixels.
        width: of each picture, in pixels.
        needed: the bytes that the pictures may take; 0 where they take none of this memory, as on a GPU.

    Raises:
        AdainError: the pictures do not fit.

    """
    available = available_bytes() if needed else None
    if available is not None and needed > available:
        raise too_large(height, width, needed, available, "memory")


def available_bytes() -> int | None:
    """Return the bytes that can be taken without swapping, within the limits of the process; ``None`` if unknown."""
    left = limits.memory_left()
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text("ascii").splitlines())
        available = int(lines["MemAvailable"].split()[0]) * 1024  # the file counts in kB
    except (OSError, KeyError, ValueError):
        return left
    return available if left is None else min(available, left)
