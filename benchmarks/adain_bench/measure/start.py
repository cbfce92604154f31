"""From the start of a process to its first picture, and the memory that it takes.

Each start is a process of its own: Python starts, imports, loads, encodes a style picture and stylises a content.
Files are in the system's page cache. *Cold* starts find the cache directory empty, as the first start on a machine
does; *warm* ones find there what another start has left. Run as a module, this is that process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from typing import Any

from adain_bench.contenders.contender import Contender
from adain_bench.contenders.ours import ours
from adain_bench.contenders.packages import packages
from adain_bench.measure.cases import case_name
from adain_bench.measure.inputs import picture
from adain_bench.record.run import CUT_SHORT, Result
from adain_bench.record.statistics import Times
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import cuda
from adain_rt.backends import BACKENDS, Settings

__all__ = ["CACHES", "time_starts"]

CACHES = ("cold", "warm")

_LONG = 10  # seconds; a start that takes longer is made but once
_LONGEST = 600
_CACHE_VARIABLES = (store.CACHE_VARIABLE, "TORCHINDUCTOR_CACHE_DIR")
_STATUS = Path("/proc/self/status")
_PARTS = ("import_s", "load_s", "host_peak_bytes", "device_bytes")


def time_starts(
    contenders: Sequence[Contender],
    models: Sequence[str],
    size: int,
    repeats: int,
    settings: Settings,
    done: Callable[[], object],
) -> Iterator[Result]:
    """Start each contender so often with a cold cache and as often with a warm one, turn by turn; yield their times.

    What ends the turns early ends it after the times that are known.

    Args:
        contenders: of ``ours`` or of ``peers``.
        models: what these were made with.
        size: of a square picture, in pixels.
        repeats: turns.
        settings: how our backends run.
        done: called after each contender's turn.

    """
    directories = {store.model_name(model): str(store.model_dir(model).resolve()) for model in models}
    common = {"size": size, "settings": asdict(settings), "device_free": _device_free()}
    starts = []
    for contender in contenders:
        directory = directories.get(str(contender.params["model"]), "")
        starts.append(_Starts(contender, {**common, "directory": directory}))
    try:
        for _ in range(repeats):
            for start in starts:
                start.take_turn()
                done()
    finally:
        for start in starts:
            yield from start.results(size)


class _Starts:
    """The starts of one contender, and what was measured of them."""

    def __init__(self, contender: Contender, asked: dict[str, Any]) -> None:
        self._contender = contender
        self._asked = json.dumps({**asked, "params": dict(contender.params)}, default=str)  # paths are text
        self._failed = contender.hindrance
        self._measured: dict[str, list[dict[str, Any]]] = {cache: [] for cache in CACHES}

    def take_turn(self) -> None:
        """Start with an empty cache directory, and again with what is there then."""
        if self._failed or any(each["total_s"] > _LONG for each in self._measured["cold"]):
            return
        with tempfile.TemporaryDirectory(prefix="adain-bench-") as cache:
            try:
                for name in CACHES:
                    self._measured[name].append(_start_process(self._asked, cache))
            except AdainError as error:
                self._failed = str(error)

    def results(self, size: int) -> Iterator[Result]:
        """Yield those of each cache; or one, of why there are none."""
        params = dict(self._contender.params)
        if self._failed or not self._measured["cold"]:
            yield Result("start", case_name(params), params, None, skipped=self._failed or CUT_SHORT)
            return
        for cache, found in self._measured.items():
            if not found:  # the run was cut short between the two
                continue
            of_cache = {**params, "size": size, "cache": cache}
            times = Times(tuple((each["total_s"],) for each in found))
            parts = {name: median(each[name] for each in found) for name in _PARTS if found[0][name] is not None}
            facts = {**self._contender.facts, **parts}
            yield Result("start", case_name(of_cache), of_cache, times, extra_info=facts)


def _start_process(asked: str, cache: str) -> dict[str, Any]:
    """Return what one process measured.

    Raises:
        AdainError: it failed.

    """
    environment = os.environ | dict.fromkeys(_CACHE_VARIABLES, cache) | {"PYTHONSAFEPATH": "1"}
    begun = time.time()
    command = [sys.executable, "-m", "adain_bench.measure.start", json.dumps(begun), asked]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=_LONGEST, check=False)  # noqa: S603
    except subprocess.TimeoutExpired:
        raise AdainError(f"no picture within {_LONGEST} seconds") from None
    if ended.returncode:
        raise AdainError((ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"])[-1])
    try:
        measured: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise AdainError("the process ended without a word") from None
    return measured


def main(begun: float, asked: dict[str, Any]) -> None:
    """Be the process: make two pictures, and print what was measured as JSON.

    Args:
        begun: when the process was started, in seconds since the epoch.
        asked: which contender, at which size.

    """
    contender = _find_contender(asked)
    imported = time.time()
    content, painting = picture(asked["size"], 0), picture(asked["size"], 1)
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        contender.stylist.stylize(content[None], contender.stylist.encode(painting))
        seconds.append(time.perf_counter() - started)
    free, free_before = _device_free(), asked["device_free"]
    measured = {
        "total_s": imported - begun + seconds[0],  # without making the pictures, which a user has
        "import_s": imported - begun,
        "load_s": seconds[0] - seconds[1],
        "host_peak_bytes": _peak_bytes(),
        "device_bytes": None if free is None or free_before is None else free_before - free,
    }
    sys.stdout.write(json.dumps(measured) + "\n")


def _find_contender(asked: dict[str, Any]) -> Contender:
    """Return the contender of these parameters, and import no other's library.

    Raises:
        AdainError: there is no such contender.

    """
    params, directory = asked["params"], asked["directory"]
    settings = Settings(**asked["settings"])
    if settings.engines is not None:
        settings = replace(settings, engines=Path(settings.engines))
    contenders: Iterator[Contender]
    if params["backend"] in BACKENDS:
        contenders = ours([directory], [params["backend"]], [params["precision"]], settings)
    elif directory:
        from adain_bench.contenders.peers import peers

        contenders = peers([directory], [params["precision"]], settings.threads)
    else:
        contenders = packages(settings.threads)
    for contender in contenders:
        if contender.params == params:
            return contender
    raise AdainError(f"nothing here stylises as {case_name(params)}")


def _device_free() -> int | None:
    """Return the bytes that the GPU has left, where there is one."""
    if cuda.hindrance() is not None:
        return None
    opened = cuda.open_cuda()
    with opened.current():
        return opened.free_bytes()


def _peak_bytes() -> int | None:
    """Return the most memory that this process has had, on systems that tell.

    Not ``getrusage``: there a process begins with what its parent had.
    """
    try:
        lines = dict(line.split(":", 1) for line in _STATUS.read_text("ascii").splitlines() if ":" in line)
        return int(lines["VmHWM"].split()[0]) * 1024  # given in kB
    except (OSError, KeyError, ValueError):
        return None


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), json.loads(sys.argv[2]))
