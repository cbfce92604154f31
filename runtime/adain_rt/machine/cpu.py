"""What this machine's processor is and can do, on systems that say so."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path

from adain_rt.machine import limits

__all__ = ["INT8_INSTRUCTIONS", "available_cores", "choose_threads", "describe", "instructions"]

_CPUINFO = Path("/proc/cpuinfo")
_OF_INTEREST = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "amx_bf16", "asimddp")

INT8_INSTRUCTIONS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8", "asimddp"})
"""Any of these multiplies int8 several times as fast as float32."""


def instructions() -> list[str]:
    """Return the processor's instruction sets that matter here; an empty list where the system does not list them."""
    flags = _read_cpuinfo().get("flags", _read_cpuinfo().get("Features", "")).split()
    return [name for name in _OF_INTEREST if name in flags]


def available_cores() -> int:
    """Return how many cores' time this process has: those that it may run on, within a container's or Slurm's limit."""
    return choose_threads() or _allowed_cores()


def choose_threads() -> int | None:
    """Return how many threads to compute with where a container or Slurm gives less time than there are cores.

    More threads than that would be stopped in turn, each while the others wait for it. Without such a limit it returns
    ``None``: libraries know best how many threads suit all cores.
    """
    limit = limits.cores()
    return limit if limit is not None and limit < _allowed_cores() else None


def _allowed_cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> str:
    """Return the number of cores, the processor's name, and its instruction sets, in one line."""
    name = _read_cpuinfo().get("model name") or platform.processor() or platform.machine()
    return " ".join([f"{os.cpu_count()} x {name}", *instructions()])


@cache
def _read_cpuinfo() -> dict[str, str]:
    """Return what Linux reports about the last core; all are alike."""
    try:
        lines = [line.split(":", 1) for line in _CPUINFO.read_text("utf-8").splitlines() if ":" in line]
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, value in lines}
