"""A builder's progress as a bar on the terminal, and the signals that end it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from adain_rt.cli.terminal import progress

__all__ = ["Progress", "build_progress"]

_STEPS = 1000  # of the bar
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class Progress:
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
        """Return what is done of the outermost phase, 0 to 1."""
        return next((self._share(name) for name, phase in self._phases.items() if phase.parent is None), 1.0)

    def _share(self, name: str) -> float:
        phase = self._phases[name]
        within = max((self._share(child) for child, each in self._phases.items() if each.parent == name), default=0.0)
        return min(1.0, (phase.done + within) / phase.steps)


@contextmanager
def build_progress(trt: Any, label: str) -> Iterator[Any]:
    """Yield a library's progress monitor that draws a bar. A signal to end lets the builder stop, then ends the block.

    Args:
        trt: the library.
        label: of the bar.

    """
    with progress(label, _STEPS) as bar, _signals_noted() as noted:
        yield _monitor(trt, bar, noted)


@contextmanager
def _signals_noted() -> Iterator[list[signal.Signals]]:
    """Keep signals to end for the end of the block, in the list: what they raise is lost in the library's callbacks."""
    noted: list[signal.Signals] = []
    if threading.current_thread() is not threading.main_thread():  # which alone may say what signals do
        yield noted
        return
    before = {
        number: signal.signal(number, lambda number, _: noted.append(signal.Signals(number))) for number in _SIGNALS
    }
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if noted and callable(handler := before[noted[0]]):
            handler(noted[0], None)  # at once: a raised signal may be answered some instructions later
        elif noted:
            signal.raise_signal(noted[0])


def _monitor(trt: Any, bar: Any, noted: list[signal.Signals]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]  # the base is known at run time
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)  # as its binding asks
            self._progress = Progress()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._progress.start(phase_name, parent_phase, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            self._progress.finish(phase_name)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._progress.step(phase_name, step)
            bar.update(max(0, int(self._progress.share * _STEPS) - bar.pos))
            return not noted

    return Monitor()
