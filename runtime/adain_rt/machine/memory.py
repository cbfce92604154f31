"""How much memory a process can still take, on systems that tell."""

from __future__ import annotations

from pathlib import Path

__all__ = ["available_bytes"]

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")


def available_bytes() -> int | None:
    """Return the bytes that can be taken without swapping, within the limit of a container; ``None`` if unknown."""
    try:
        lines = dict(line.split(":", 1) for line in _MEMINFO.read_text("ascii").splitlines())
        available = int(lines["MemAvailable"].split()[0]) * 1024  # given in kB
    except (OSError, KeyError, ValueError):
        return None
    try:
        limit, used = (int((_CGROUP / name).read_text("ascii")) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no container, or one without a limit
        return available
    return min(available, limit - used)
