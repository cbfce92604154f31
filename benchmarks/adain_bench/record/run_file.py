"""The record of a run: one JSON file that holds every time, what was measured and on what machine.

Field names follow pytest-benchmark's, so that ``py.test-benchmark compare run.json`` reads it too: ``benchmarks`` holds
what has times, and nothing else, and carries its ``fullname``, ``outliers`` and ``iterations``, for that command alone.
What has none (skipped, or counted and not timed) is beside it, in ``untimed``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from adain_bench.record.run import Result, Run
from adain_bench.record.statistics import Times, summary
from adain_models.errors import AdainError
from adain_models.files import explain, replacing

__all__ = ["NAME", "VERSION", "read", "text", "write"]

NAME = "run.json"
"""The file's name in the folder of a run."""

VERSION = "1"

_MOST_BYTES = 64 << 20  # over a million times
_LARGEST_INTEGER = 1 << 63


def text(run: Run) -> str:
    """Return a run's record as JSON. Figures that are not finite are null.

    Raises:
        TypeError: the run holds something that JSON has no form for.

    """
    timed = [_result(result) for result in run.results if result.times]
    untimed = [_result(result) for result in run.results if not result.times]
    document = {
        "version": VERSION,
        "command": run.command,
        "datetime": run.started.isoformat(),
        "seconds": run.seconds,
        "cut_short": run.cut_short,
        "machine_info": run.machine_info,
        "commit_info": run.commit_info,
        "benchmarks": timed,
        "untimed": untimed,
    }
    return json.dumps(_plain(document), indent=1, allow_nan=False) + "\n"


def write(run: Run, path: Path) -> None:
    """Write a run's record, aside and then renamed.

    Raises:
        AdainError: the file cannot be written.
        TypeError: the run holds something that JSON has no form for.

    """
    content = text(run)
    with replacing(path) as aside:
        aside.write_text(content, encoding="utf-8")


def read(path: Path) -> Run:
    """Read a run's record. Results without times come after those that have them.

    Raises:
        AdainError: the file is missing, larger than 64 MiB, of another version, or not a record: a field is missing or
            of another type, a number is not finite, or figures are not those of the times.

    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise AdainError(f"{path}: cannot be read ({explain(error)})") from None
    if len(content) > _MOST_BYTES:
        raise AdainError(f"{path}: is larger than 64 MiB, and no record of a run")
    try:
        document = json.loads(content.decode(), parse_float=_finite, parse_int=_integer, parse_constant=_not_finite)
        return _run(document)
    except (ValueError, RecursionError) as error:
        raise AdainError(f"{path}: is not the record of a run, or is damaged ({error})") from None


def _result(result: Result) -> dict[str, Any]:
    return {
        "group": result.group,
        "name": result.name,
        "fullname": f"{result.group}: {result.name}",
        "params": result.params,
        "extra_info": result.extra_info,
        "stats": _stats(result.times),
        "gpu_stats": _stats(result.gpu_times),
        "skipped": result.skipped,
    }


def _stats(times: Times | None) -> dict[str, Any] | None:
    if times is None:
        return None
    figures, data = summary(times), times.flat
    beyond_deviation = np.abs(data - figures["mean"]) > figures["stddev"]
    beyond_quartiles = (data < figures["q1"] - 1.5 * figures["iqr"]) | (data > figures["q3"] + 1.5 * figures["iqr"])
    outliers = f"{np.count_nonzero(beyond_deviation)};{np.count_nonzero(beyond_quartiles)}"
    return figures | {"outliers": outliers, "iterations": 1}


def _plain(value: Any) -> Any:
    """Return the same in JSON's own types."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value


def _run(document: Any) -> Run:
    top = _of(dict, document, "the file")
    if (version := _field(top, "version", str)) != VERSION:
        raise ValueError(f"it is of version {version!r}, and version {VERSION!r} is known here")
    commit_info = _field(top, "commit_info", dict)
    _field(commit_info, "id", str, type(None))
    _field(commit_info, "dirty", bool, type(None))
    results = (*_field(top, "benchmarks", list), *_field(top, "untimed", list))
    return Run(
        command=_field(top, "command", str),
        started=datetime.fromisoformat(_field(top, "datetime", str)),
        seconds=float(_field(top, "seconds", int, float)),
        machine_info=_field(top, "machine_info", dict),
        commit_info=commit_info,
        results=tuple(_read_result(_of(dict, result, "a result")) for result in results),
        cut_short=_of(bool, top.get("cut_short", False), "cut_short"),  # older records do not say
    )


def _read_result(result: dict[str, Any]) -> Result:
    params = _field(result, "params", dict)
    for key in params:
        _field(params, key, str, int, float, bool)
    return Result(
        group=_field(result, "group", str),
        name=_field(result, "name", str),
        params=params,
        times=_times(_field(result, "stats", dict, type(None))),
        gpu_times=_times(_field(result, "gpu_stats", dict, type(None))),
        extra_info=_field(result, "extra_info", dict),
        skipped=_field(result, "skipped", str, type(None)),
    )


def _times(stats: dict[str, Any] | None) -> Times | None:
    if stats is None:
        return None
    data, repeats = _field(stats, "data", list), _field(stats, "repeats", int)
    seconds = [float(_of((int, float), second, "a time")) for second in data]
    if repeats < 1 or not data or len(data) % repeats:
        raise ValueError(f"{len(data)} times are not {repeats} repeats of one length")
    rounds = len(data) // repeats
    times = Times(tuple(tuple(seconds[start : start + rounds]) for start in range(0, len(data), rounds)))
    for key, figure in summary(times).items():
        if key != "data" and not math.isclose(_field(stats, key, int, float), figure, rel_tol=1e-6, abs_tol=1e-12):
            raise ValueError(f"{key} is {stats[key]}, and {figure} of the times")
    return times


def _field(mapping: dict[str, Any], key: str, *kinds: type) -> Any:
    if key not in mapping:
        raise ValueError(f"{key} is missing")
    return _of(kinds, mapping[key], key)


def _of(kinds: type | tuple[type, ...], value: Any, name: str) -> Any:
    """Return the value if it is of one of these types, and no truth value where numbers are meant."""
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise ValueError(f"{name} is of another type than it should be")
    return value


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        _not_finite(text)
    return number


def _integer(text: str) -> int:
    number = int(text)
    if abs(number) >= _LARGEST_INTEGER:
        _not_finite(text[:20])
    return number


def _not_finite(text: str) -> None:
    raise ValueError(f"{text} is not a usable number")
