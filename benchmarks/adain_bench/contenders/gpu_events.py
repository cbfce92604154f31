"""The GPU's part of the time, between two CUDA events."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

__all__ = ["available", "between_events"]

_BUSY_CYCLES = 10_000_000  # some milliseconds, more than the host takes to put the longest work on a stream


def available() -> bool:
    """Whether PyTorch, whose events these are, is here and has a GPU."""
    if find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available()


def between_events(work: Callable[[], object]) -> float:
    """Return the seconds between two events around what is put on PyTorch's current stream.

    The GPU is kept busy before the first, so that it never waits for the host to put the work there.
    """
    import torch

    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    torch.cuda._sleep(_BUSY_CYCLES)  # type: ignore[no-untyped-call]
    start.record()
    work()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1e3
