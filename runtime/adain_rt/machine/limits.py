"""What a process may take of its machine: the limits of containers (control groups), ``ulimit`` and Slurm.

Kubernetes, Docker and systemd limit a process by control groups of version 1 or 2, which Linux alone has
(https://docs.kernel.org/admin-guide/cgroup-v1/ and https://docs.kernel.org/admin-guide/cgroup-v2.html).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__ = ["cores", "memory_left"]

_PROC = Path("/proc/self")
_UNLIMITED = 1 << 60  # version 1 writes a number near 2^63 where there is no limit


def memory_left() -> int | None:
    """Return the bytes that the tightest limit still leaves to this process; ``None`` without a limit."""
    left = [*_left_by_groups(), *_left_by_ulimit(), *_left_by_slurm()]
    return max(0, min(left)) if left else None


def cores() -> int | None:
    """Return how many cores' time the tightest limit gives, rounded up; ``None`` without a limit."""
    limits = [*_cores_by_groups(), *_numbers(os.environ.get("SLURM_CPUS_PER_TASK", ""))]
    return max(1, math.ceil(min(limits))) if limits else None


def _left_by_groups() -> Iterator[int]:
    """Yield what each group leaves, without the page cache that the system takes back first, as Kubernetes counts."""
    for version, group in _groups("memory"):
        limit, used, cached = (
            ("memory.max", "memory.current", "inactive_file")
            if version == 2  # noqa: PLR2004
            else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        )
        limits, usages = _numbers(_read(group / limit)), _numbers(_read(group / used))
        if limits and usages and limits[0] < _UNLIMITED:
            reclaimable = _fields(group / "memory.stat").get(cached, 0)
            yield int(limits[0] - (usages[0] - reclaimable))


def _cores_by_groups() -> Iterator[float]:
    for version, group in _groups("cpu"):
        if version == 2:  # noqa: PLR2004
            quota_and_period = _numbers(_read(group / "cpu.max"))
        else:
            quota_and_period = [
                *_numbers(_read(group / "cpu.cfs_quota_us")),
                *_numbers(_read(group / "cpu.cfs_period_us")),
            ]
        if len(quota_and_period) == 2 and min(quota_and_period) > 0:  # noqa: PLR2004 - no quota is "max" or -1
            quota, period = quota_and_period
            yield quota / period


def _left_by_ulimit() -> Iterator[int]:
    """Yield what ``ulimit -v`` and ``ulimit -d`` leave."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for limit, name in ((resource.RLIMIT_AS, "VmSize"), (resource.RLIMIT_DATA, "VmData")):
        soft, _ = resource.getrlimit(limit)
        if soft != resource.RLIM_INFINITY and (used := _fields(_PROC / "status").get(name)) is not None:  # in kB
            yield soft - used * 1024


def _left_by_slurm() -> Iterator[int]:
    """Yield what a job's memory on this node leaves beside this process; other processes of the job are not counted."""
    of_node = _numbers(os.environ.get("SLURM_MEM_PER_NODE", ""))
    of_cpu, cpus = (_numbers(os.environ.get(f"SLURM_{name}", "")) for name in ("MEM_PER_CPU", "CPUS_ON_NODE"))
    for megabytes in (*of_node, *(each * count for each, count in zip(of_cpu, cpus, strict=False))):
        if megabytes > 0:  # 0 asks for all that the node has
            yield int(megabytes * (1 << 20)) - _fields(_PROC / "status").get("VmRSS", 0) * 1024


@cache
def _groups(controller: str) -> tuple[tuple[int, Path], ...]:
    """Return the version and the directory of this process's group for a controller, and of each group above it.

    They are found once, since a look at them comes with every picture; what the groups leave is read each time.
    """
    return tuple(_find_groups(controller))


def _find_groups(controller: str) -> Iterator[tuple[int, Path]]:
    for line in _read(_PROC / "cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        version = 2 if number == "0" else 1
        if version == 2 or controller in controllers.split(","):  # noqa: PLR2004
            for root, mount in _mounts(version, controller):
                inside = Path(path.removeprefix(root.rstrip("/")).lstrip("/"))
                # Where a container sees its host's path, its own group is what is mounted.
                reachable = ".." not in inside.parts and os.path.isdir(mount / inside)  # noqa: PTH112 - raises nothing
                inside = inside if reachable else Path()
                yield from ((version, mount / part) for part in (inside, *inside.parents))


def _mounts(version: int, controller: str) -> Iterator[tuple[str, Path]]:
    """Yield which group is mounted, and where, for each file system of control groups that has a controller."""
    for line in _read(_PROC / "mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _, options, *_) = before.split(), [*after.split(), "", "", ""]
        if (version == 2 and kind == "cgroup2") or (  # noqa: PLR2004
            version == 1 and kind == "cgroup" and controller in options.split(",")
        ):
            yield fields[3], Path(fields[4].replace("\\040", " "))


def _read(path: Path) -> str:
    """Return a file's text; none where it cannot be read."""
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _numbers(text: str) -> list[float]:
    """Return the whole numbers in a text."""
    return [float(word) for word in text.split() if word.removeprefix("-").isdecimal()]


def _fields(path: Path) -> dict[str, int]:
    """Return the numbers of a file whose lines are names and numbers."""
    words = (line.replace(":", " ").split() for line in _read(path).splitlines())
    return {word[0]: int(word[1]) for word in words if len(word) > 1 and word[1].isdecimal()}
