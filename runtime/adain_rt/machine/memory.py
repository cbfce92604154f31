"""How much memory a process can still take, on systems that tell."""

from __future__ import annotations

from pathlib import Path

from adain_rt.machine import limits

__all__ = ["available_bytes"]

_MEMINFO = Path("/proc/meminfo")


def available_bytes() -> int | None:
    """Return the bytes that can be taken without swapping, within the limits of the process; ``None`` if unknown."""
    left = limits.memory_left()
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text("ascii").splitlines())
        available = int(lines["MemAvailable"].split()[0]) * 1024  # given in kB
    except (OSError, KeyError, ValueError):
        return left
    return available if left is None else min(available, left)
