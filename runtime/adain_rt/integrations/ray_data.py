"""Batches on Ray Data: on the cores of this machine, or on a cluster."""

from __future__ import annotations

import gc
import logging
import math
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any, TextIO

import pyarrow as pa
import ray
import ray.data

from adain_models.errors import AdainError
from adain_rt.jobs.batch import Batch
from adain_rt.jobs.manifest import SCHEMA
from adain_rt.jobs.painter import Painter, Result, Task
from adain_rt.machine.cpu import available_cores

__all__ = ["StylizeBatch", "Workers", "hush", "run"]

_COLUMNS = SCHEMA.append(pa.field("hint", pa.string()))
"""The fields of ``Result``."""

_LARGEST_BLOCK = 32
"""How many tasks a worker gets at once at most: so many are done again, or found done, where a worker is lost."""

_BLOCKS_EACH = 16
"""How many blocks each worker gets at least, so that all end at about the same time."""

_TRIES = 11
"""How often a block is tried whose worker is lost, before its tasks are tried one by one.

It takes Ray half a minute to know that a machine is gone. Until then each try of a block that was sent there fails.
"""

_TRIES_ALONE = 3
"""How often a task is tried then."""

_KNOCK = 10
"""Seconds in which the head of a cluster has to answer."""

_OBJECT_STORE = 128 << 20
"""Bytes of shared memory for Ray on this machine, which holds paths and no pixels."""


class StylizeBatch:
    """The actor that does the tasks of a Ray Data pipeline, with one Stylizer.

    It takes tables with the columns of ``Task`` and returns tables with those of ``Result``, a row for each task.
    A picture that fails is a row, too. No pixels pass through Ray: the actor reads and writes the files::

        tasks.map_batches(
            StylizeBatch, fn_constructor_args=(painter,), batch_format="pyarrow", compute=ActorPoolStrategy(size=4)
        )

    Args:
        painter: does the tasks.

    """

    def __init__(self, painter: Painter) -> None:
        self._painter = painter

    def __call__(self, tasks: pa.Table) -> pa.Table:
        """Do the tasks of a table, and return what became of each."""
        results = self._painter.paint(Task(**row) for row in tasks.to_pylist())
        return pa.Table.from_pylist([asdict(result) for result in results], schema=_COLUMNS)


@dataclass(frozen=True)
class Workers:
    """How many workers there are, and what each has.

    Attributes:
        count: how many at most; ``None`` for as many as the cluster has room for, now and later.
        cpus: the cores of each; as many threads compute in it.
        gpus: the GPUs of each, or the share of one.

    """

    count: int | None
    cpus: int
    gpus: float

    def fit(self) -> int:
        """Return how many workers there is room for now.

        Raises:
            AdainError: there is room for none, and their number was not set.

        """
        resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        room = sum(self._fit_on(each) for each in resources)
        if self.count is not None:
            return max(1, min(room, self.count))
        if not room:
            raise AdainError(
                f"no machine has room for a worker with {self.cpus} cores and {self.gpus:g} GPUs",
                hint="use fewer `threads` or `gpus`, or set `workers` where machines join later",
            )
        return room

    def _fit_on(self, resources: dict[str, float]) -> int:
        room = int(resources.get("CPU", 0) // self.cpus)
        return min(room, int(resources.get("GPU", 0) / self.gpus + 1e-6)) if self.gpus else room


def run(batch: Batch, painter: Painter, workers: Workers, address: str | None) -> Generator[Result, None, None]:
    """Do a batch, and yield what becomes of each result, first of those that were there.

    Args:
        batch: the plan.
        painter: what ``batch.make_painter`` returned.
        workers: how many there are, and what each has.
        address: of a cluster, as ``ray.init`` takes it; ``None`` for this machine alone.

    Raises:
        AdainError: the cluster cannot be reached, has no room for a worker, or fails as a whole.

    """
    yield from batch.finished
    if batch.tasks:
        with _connect(address):
            yield from batch.settle(_stylize(batch.tasks, painter, workers))


@contextmanager
def _connect(address: str | None) -> Iterator[None]:
    """Use a cluster in the block, or one of this machine alone, which is started and ended.

    Where the process uses Ray already, its connection is taken, and kept.

    Args:
        address: of a cluster, as ``ray.init`` takes it; ``None`` for this machine.

    Raises:
        AdainError: the cluster cannot be reached, or Ray cannot start.

    """
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    on_sigterm = signal.getsignal(signal.SIGTERM)
    alone: dict[str, Any] = {"num_cpus": available_cores(), "object_store_memory": _OBJECT_STORE}
    try:
        _check_reachable(address)
        ray.init(
            address=address or "local",
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            **({} if address else alone),
        )
    except Exception as error:  # Ray has no type for this
        where = f"the Ray cluster at {address} cannot be reached" if address else "Ray cannot start"
        raise AdainError(f"{where} ({_first_line(error)})", hint="check the `address`" if address else None) from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray puts its own there
    try:
        yield
    finally:
        ray.shutdown()


def _check_reachable(address: str | None) -> None:
    """Knock at an address: Ray itself tries for minutes before it says that nobody is there.

    Raises:
        OSError: nobody is there.

    """
    if match := re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", address or ""):
        socket.create_connection((match[1], int(match[2])), timeout=_KNOCK).close()


def _stylize(tasks: Sequence[Task], painter: Painter, workers: Workers) -> Iterator[Result]:
    """Do tasks on the cluster that this process is connected to, and yield what became of each, as it becomes known.

    Each task gets one result, however many workers are lost. A block of tasks whose worker is lost goes to another. A
    task on which every worker dies fails; to find it, the tasks of its block are tried again one by one.

    Raises:
        AdainError: the workers cannot start, or the cluster fails as a whole.

    """
    left = {(task.content, task.style): task for task in tasks}
    room = workers.fit()
    block = max(1, min(_LARGEST_BLOCK, len(tasks) // (room * _BLOCKS_EACH)))
    for size, tries in ((block, _TRIES), (1, _TRIES_ALONE)):
        if not left:
            break
        for row in _run(list(left.values()), size, tries, painter, workers, room):
            result = Result(**row)
            if left.pop((result.content, result.style), None) is not None:
                yield result
    for task in left.values():
        error = AdainError(
            f"{task.content}: the worker ended each time it came to this picture, as it does where memory is short",
            hint="bound its size with `max_size`, or use fewer `workers`",
        )
        yield Result.failure(task, error)


def _run(
    tasks: Sequence[Task], size: int, tries: int, painter: Painter, workers: Workers, room: int
) -> Iterator[dict[str, Any]]:
    """Yield the rows of results that workers return for blocks of so many tasks, each tried so often."""
    rows = [asdict(task) for task in tasks]
    blocks = math.ceil(len(rows) / size)
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # the tasks of a block that is lost are missed, and found, by whoever gave them
    pool = ray.data.ActorPoolStrategy(
        min_size=1,
        max_size=workers.count,
        initial_size=min(room, blocks),
        max_tasks_in_flight_per_actor=1 if size == 1 else None,  # none waits behind one on which its worker dies
    )
    dataset = ray.data.from_items(rows, override_num_blocks=blocks).map_batches(
        StylizeBatch,
        fn_constructor_args=(painter,),
        batch_format="pyarrow",
        compute=pool,
        num_cpus=workers.cpus,
        num_gpus=workers.gpus or None,
        ray_remote_args_fn=lambda: {"max_task_retries": tries - 1},
    )
    try:
        yield from dataset.iter_rows()
    except Exception as error:  # Ray's errors have no type in common
        raise AdainError(f"the workers failed ({_first_line(error)})") from error
    finally:
        del dataset
        gc.collect()  # an actor whose machine was lost waits for room to start again as long as it has an owner


@contextmanager
def hush() -> Iterator[TextIO]:
    """Keep what Ray prints away from stdout and stderr in the block, and yield a stream that still is stderr.

    Ray's libraries and processes write to the descriptors themselves; its logs have the same.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = [os.dup(descriptor) for descriptor in (1, 2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for descriptor in (1, 2):
            os.dup2(nowhere, descriptor)
        with os.fdopen(os.dup(kept[1]), "w", 1, sys.stderr.encoding, "replace") as terminal:
            yield terminal
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError):
                stream.flush()
        for descriptor, original in zip((1, 2), kept, strict=True):
            os.dup2(original, descriptor)
            os.close(original)
        os.close(nowhere)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
