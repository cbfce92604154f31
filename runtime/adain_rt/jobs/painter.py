"""Does the tasks of a batch, on any machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from pathlib import Path
from typing import Literal

from adain_models.errors import AdainError
from adain_rt.jobs import remote
from adain_rt.jobs.stills import Done, Failed, Remark, Stills, name_source
from adain_rt.jobs.styles import Mixture
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleMix, Transfer

__all__ = ["Painter", "Result", "Task"]

_FOUND = "the file was there when a worker came to it, written by one that was lost"


@dataclass(frozen=True)
class Task:
    """One result to make, in words that every machine understands: absolute paths or URIs, and the style's label."""

    content: str
    style: str
    output: str


@dataclass(frozen=True)
class Result:
    """What became of a task.

    Attributes:
        content: as in the task.
        style: as in the task.
        output: as in the task.
        status: ``skipped`` is what an earlier run had finished.
        width: of the result, in pixels; ``None``, as the four that follow, unless a worker painted it and said so.
        height: of the result, in pixels.
        seconds: how long the transfer took, without reading and writing.
        backend: which ran the network.
        precision: of the network.
        remarks: what a user should know of the picture; empty if there is nothing.
        error: why the task failed.
        hint: the way out, as an ``AdainError`` has it.

    """

    content: str
    style: str
    output: str
    status: Literal["painted", "skipped", "failed"]
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    backend: str | None = None
    precision: str | None = None
    remarks: str = ""
    error: str | None = None
    hint: str | None = None

    @classmethod
    def failure(cls, task: Task, error: AdainError) -> Result:
        """Return what became of a task that failed."""
        return cls(task.content, task.style, task.output, "failed", error=error.message, hint=error.hint)


@dataclass(frozen=True)
class Painter:
    """Does tasks. It can be pickled, and so be sent to where they are done.

    Attributes:
        stylizer: runs the network.
        job: how contents are painted.
        mixes: the styles.
        failed: why styles of a directory cannot be used, by their labels.

    """

    stylizer: Stylizer
    job: Stills
    mixes: dict[Mixture, StyleMix] = field(default_factory=dict)
    failed: dict[str, AdainError] = field(default_factory=dict)

    @property
    def transfer(self) -> Transfer:
        """The stylizer with the strength and the colours."""
        job = self.job
        return Transfer(self.stylizer, job.strength, job.color, job.strokes, job.fit, job.underpainting)

    def paint(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Do tasks, and yield what became of each. No failure is an exception.

        A content is read once for the tasks that follow each other. A result that is there is not made again, unless
        files may be replaced: when the batch was planned, it was not there.
        """
        for content, group in groupby(tasks, key=lambda task: task.content):
            todo = []
            for task in group:
                if task.style in self.failed:
                    yield Result.failure(task, self.failed[task.style])
                elif not self.job.overwrite and _exists(task.output):
                    yield Result(content, task.style, task.output, "painted", remarks=_FOUND)
                else:
                    todo.append(task)
            if todo:
                yield from self._paint_content(content, todo)

    def _paint_content(self, content: str, tasks: Sequence[Task]) -> Iterator[Result]:
        """Do the tasks of one content."""
        left = list(tasks)
        try:
            for result in self._try(content, tasks):
                del left[0]
                yield result
        except AdainError as error:
            yield from (Result.failure(task, name_source(error, content)) for task in left)
        except Exception as error:  # a fault of a library or of ours must not cost other contents
            unexpected = AdainError(f"{content}: failed unexpectedly ({type(error).__name__}: {error})")
            yield from (Result.failure(task, unexpected) for task in left)

    def _try(self, content: str, tasks: Sequence[Task]) -> Iterator[Result]:
        """Do the tasks of one content, in their order. What is on another file system has a stand-in here meanwhile."""
        mixtures = {mixture.label: mixture for mixture in self.mixes}
        with tempfile.TemporaryDirectory(prefix="adain-") as folder:
            source = _fetch(content, Path(folder))
            targets = {
                mixtures[task.style]: _stand_in(task.output, Path(folder, str(i))) for i, task in enumerate(tasks)
            }
            waiting = iter(zip(tasks, targets.values(), strict=True))
            remarks: list[str] = []
            for outcome in self.job.paint(source, targets, self.mixes, self.transfer, {}):
                if isinstance(outcome, Remark):
                    remarks.append(outcome.text.replace(str(source), content))
                elif isinstance(outcome, Failed):
                    for task, target in islice(waiting, outcome.results):
                        yield Result.failure(task, _rename(outcome.error, {source: content, target: task.output}))
                elif isinstance(outcome, Done):
                    task, target = next(waiting)
                    yield self._deliver(task, target, outcome, "; ".join(remarks))

    def _deliver(self, task: Task, target: Path, done: Done, remarks: str) -> Result:
        """Put a result where it belongs, if that is on another file system, and return what became of the task."""
        if remote.is_remote(task.output):
            try:
                remote.write_file(task.output, target.read_bytes())
            except AdainError as error:
                return Result.failure(task, error)
            target.unlink()
        return Result(
            task.content,
            task.style,
            task.output,
            "painted",
            done.width,
            done.height,
            done.seconds,
            self.stylizer.backend,
            self.stylizer.precision,
            remarks,
        )


def _exists(output: str) -> bool:
    """Return whether an output is there; where that cannot be known, writing it says why."""
    if not remote.is_remote(output):
        return Path(output).is_file()
    try:
        return remote.exists(output)
    except AdainError:
        return False


def _fetch(content: str, folder: Path) -> Path:
    """Return the file of a content, which is brought here if it is on another file system."""
    if not remote.is_remote(content):
        return Path(content)
    copy = folder / remote.path_of(content).name
    copy.write_bytes(remote.read_file(content))
    return copy


def _stand_in(output: str, folder: Path) -> Path:
    """Return the file to write for an output."""
    return folder / remote.path_of(output).name if remote.is_remote(output) else Path(output)


def _rename(error: AdainError, names: Mapping[Path, str]) -> AdainError:
    """Return an error that calls files by the names that the user knows."""
    message = error.message
    for path, name in names.items():
        message = message.replace(str(path), name)
    return AdainError(message, hint=error.hint)
