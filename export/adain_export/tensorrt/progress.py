"""How far a library's build is, and how it is cancelled."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from adain_rt.backends.tensorrt.builder import Progress

__all__ = ["Phases", "make_monitor", "run_cancellable"]

_INTERVAL = 0.1
"""Seconds between two looks at the build. A wait without an end would miss a signal that another thread received."""

T = TypeVar("T")


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Phases:
    """How far a builder is, from its nested phases: each phase within another fills one step of it."""

    def __init__(self) -> None:
        self._phases: dict[str, _Phase] = {}

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Begin a phase of so many steps, within a step of another phase or of none."""
        self._phases[name] = _Phase(parent, max(steps, 1))

    def step(self, name: str, number: int) -> None:
        """Note that a phase's step, counted from 0, is done."""
        self._phases[name].done = number + 1

    def finish(self, name: str) -> None:
        """End a phase."""
        self._phases.pop(name, None)

    @property
    def share(self) -> float:
        """The share of the outermost phase that is done, 0 to 1."""
        return next((self._share(name) for name, phase in self._phases.items() if phase.parent is None), 1.0)

    def _share(self, name: str) -> float:
        phase = self._phases[name]
        within = max((self._share(child) for child, each in self._phases.items() if each.parent == name), default=0.0)
        return min(1.0, (phase.done + within) / phase.steps)


def make_monitor(trt: Any) -> Any:
    """Return a library's progress monitor.

    Its attribute ``share``, 0 to 1, is how far the build is. If ``cancelled`` is set, the build ends at its next step.
    """

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base is known at run time
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)  # as its binding asks
            self.share = 0.0
            self.cancelled = False
            self._phases = Phases()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._phases.start(phase_name, parent_phase, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            self._phases.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._phases.step(phase_name, step)
            self.share = max(self.share, self._phases.share)
            return not self.cancelled

    return Monitor()


def run_cancellable(work: Callable[[], T], monitor: Any, progress: Progress | None) -> T:
    """Return what ``work`` returns; an exception in this thread, such as that of a signal, cancels the build.

    A library drops what is raised in its callbacks, and Python raises for signals wherever the main thread is. So the
    library works in a thread of its own, and this one waits where it can be interrupted.

    Args:
        work: builds with the monitor.
        monitor: of ``make_monitor``.
        progress: called in this thread with the share that is done.

    """
    with ThreadPoolExecutor(1, "adain-rt-build") as pool:
        built = pool.submit(work)
        try:
            while not built.done():
                wait([built], _INTERVAL)
                if progress is not None:
                    progress(monitor.share)
            return built.result()
        except BaseException:
            monitor.cancelled = True
            raise
