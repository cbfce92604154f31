"""What a run was measured on: the machine, its state, the software, and the commit of the code."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_models.weights import store
from adain_rt import cuda
from adain_rt.cli.info import versions
from adain_rt.machine import cpu, memory

__all__ = ["commit_info", "machine_info", "state"]

_CPUINFO = Path("/proc/cpuinfo")
_NVIDIA_SMI = (
    "driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "temperature.gpu", "power.draw", "power.limit",
    "pstate", "utilization.gpu", "memory.total", "memory.used",
)  # fmt: skip
_TIMEOUT = 10  # seconds


def machine_info(models: Sequence[str], threads: int | None) -> dict[str, Any]:
    """Return what does not change while a run goes on.

    Args:
        models: named models or model directories, whose weights are identified by their SHA-256.
        threads: of the processor, as they were asked for.

    """
    return {
        "cpu": cpu.describe(),
        "cores": cpu.available_cores(),
        "threads": threads or "each backend's own choice",
        "memory_available_bytes": memory.available_bytes(),
        "gpu": _gpu(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": {name: number for name, number in versions().items() if number != "not installed"},
        "weights_sha256": {store.model_name(model): _weights(model) for model in models},
    }


def state() -> dict[str, Any]:
    """Return what changes: load, clocks, temperatures, as far as the system and the driver tell."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"load_1_minute": load, "cpu_mhz": _cpu_mhz(), "gpu": _nvidia_smi()}


def commit_info() -> dict[str, str | bool | None]:
    """Return the commit of the code that runs, and whether its files differ from it; ``None`` outside a repository."""
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return {"id": None, "dirty": None}
    changed = _git("status", "--porcelain", "--untracked-files=no")
    return {"id": _git("rev-parse", "HEAD"), "dirty": None if changed is None else bool(changed)}


def _git(*arguments: str) -> str | None:
    return _output("git", "-C", str(Path(__file__).parent), *arguments)


def _gpu() -> dict[str, Any] | None:
    try:
        gpu = cuda.open_cuda().gpu
    except AdainError:
        return None
    return vars(gpu)


def _weights(model: str) -> str | None:
    weights = store.model_dir(model) / store.WEIGHTS_NAME
    return sha256_of(weights) if weights.is_file() else None


def _cpu_mhz() -> list[float] | None:
    """Return each core's clock, on systems that tell."""
    try:
        lines = _CPUINFO.read_text("utf-8").splitlines()
    except OSError:
        return None
    return [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")] or None


def _nvidia_smi() -> dict[str, str] | None:
    """Return what the first GPU's driver says of it now, in its own words and units."""
    answer = _output("nvidia-smi", f"--query-gpu={','.join(_NVIDIA_SMI)}", "--format=csv,noheader", "--id=0")
    return dict(zip(_NVIDIA_SMI, answer.split(", "), strict=False)) if answer else None


def _output(*command: str) -> str | None:
    """Return what a program prints, or ``None`` where it is not there or fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
