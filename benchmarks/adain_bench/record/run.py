"""A run and its results: what one command measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adain_bench.record.statistics import Times

__all__ = ["CUT_SHORT", "Result", "Run"]

CUT_SHORT = "the run was cut short"
"""Why a case was not measured whose turn had not come when a signal, or an error, ended the run."""


@dataclass(frozen=True)
class Result:
    """One case of a run.

    Attributes:
        group: what it belongs to: ``latency``, ``paper``, ``throughput``, ``start``, and so on.
        name: with the group unique in the run, and the same in every run that measures the same.
        params: what makes the case: model, backend, precision, size and so on.
        times: of whole calls, from the host's memory to the host's memory; ``None`` where nothing was timed.
        gpu_times: of the GPU's part, between two CUDA events, where there is one.
        extra_info: anything else that JSON can hold.
        skipped: why it was not measured, in one line.

    """

    group: str
    name: str
    params: Mapping[str, str | int | float]
    times: Times | None
    gpu_times: Times | None = None
    extra_info: Mapping[str, Any] = field(default_factory=dict)
    skipped: str | None = None

    def __post_init__(self) -> None:
        if not all(text and text.isprintable() for text in (self.group, self.name)):
            raise ValueError("a result has a group and a name, of printable characters")
        if self.skipped is not None and (self.times or self.gpu_times):
            raise ValueError(f"{self.name}: was skipped, and has times")


@dataclass(frozen=True)
class Run:
    """What one command measured.

    Attributes:
        command: as it was typed.
        started: when, with the time zone.
        seconds: how long all of it took.
        machine_info: of the machine and its software, nested.
        commit_info: ``id``, the commit of the code, and ``dirty``, whether files differ from it; ``None`` if unknown.
        results: the cases.
        cut_short: whether a signal, or an error, ended the run before all was measured.

    """

    command: str
    started: datetime
    seconds: float
    machine_info: Mapping[str, Any]
    commit_info: Mapping[str, str | bool | None]
    results: tuple[Result, ...]
    cut_short: bool = False

    def __post_init__(self) -> None:
        if self.started.tzinfo is None:
            raise ValueError("the time of a run has a time zone")
        seen = set()
        for result in self.results:
            if (result.group, result.name) in seen:
                raise ValueError(f"{result.group} has two results of the name {result.name}")
            seen.add((result.group, result.name))
