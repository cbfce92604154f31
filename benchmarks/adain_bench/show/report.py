"""A run as Markdown: what it was measured on, then a table for each group, with the columns that fit it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from adain_bench.record.run import Result, Run
from adain_bench.record.statistics import ratio, summary
from adain_bench.record.table1 import STYLES
from adain_bench.record.text import format_cell, significant
from adain_bench.show.table import format_table

__all__ = ["markdown", "name_of", "pictures_per_second", "tables"]

_OWN_COLUMNS = {"size", "batch", "streams", "style_encoding", "cache", "method", "tile"}
_SAID_ALONE = {"model", "backend", "precision"}  # whose values say what they are
_SHOWN = {"psnr_db", "share_of_floor", "floor_s", "bound", "pictures", "pictures_per_s", "cpu_s"} | {
    "import_s", "load_s", "host_peak_bytes", "device_bytes",
}  # fmt: skip
_CALLS_FOR = {"p90": 10, "p99": 100}  # below so many calls the percentile is little but the longest
_MEBIBYTE = 1 << 20

Column = tuple[str, Callable[[Result], object]]


@dataclass(frozen=True)
class _Group:
    """How a group is shown: its heading, what a reader has to know, and its table."""

    title: str
    note: str
    rows: Callable[[Sequence[Result]], tuple[list[str], list[list[object]]]]


def markdown(run: Run) -> str:
    """Return the report of a run: the machine, and each group's table with what was skipped and why."""
    return "\n\n".join(["## Measured on", format_table(["", ""], _environment(run)), tables(run.results)]) + "\n"


def tables(results: Sequence[Result]) -> str:
    """Return each group's table, with what was skipped and why."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.group, []).append(result)
    return "\n\n".join(_block(name, group) for name, group in groups.items())


def name_of(result: Result) -> str:
    """Return what tells a case from others of the same size, batch and so on: model, backend, precision."""
    return " ".join(
        str(value) if key in _SAID_ALONE else f"{key} {value}".replace("_", " ")
        for key, value in result.params.items()
        if key not in _OWN_COLUMNS
    )


def pictures_per_second(result: Result) -> float | None:
    """Return how many pictures are done in a second."""
    return _number(result, "pictures_per_s")


def _environment(run: Run) -> list[list[object]]:
    dirty = ", with changes that are not committed" if run.commit_info["dirty"] else ""
    commit = f"{run.commit_info['id']}{dirty}" if run.commit_info["id"] else None
    facts = {
        "command": f"`{run.command}`",
        "started": f"{run.started:%Y-%m-%d %H:%M %Z}, for {run.seconds:.0f} s" + ", cut short" * run.cut_short,
        "commit": commit,
        **run.machine_info,
    }
    return [[key.replace("_", " "), value] for key, value in facts.items() if value is not None]


def _block(name: str, results: Sequence[Result]) -> str:
    group = _GROUPS.get(name) or _Group(name.capitalize(), "", _plain)
    measured = [result for result in results if result.skipped is None]
    parts = [f"## {format_cell(group.title)}", group.note if measured else ""]
    if measured:
        parts.append(format_table(*group.rows(measured)))
    reasons: dict[str, list[str]] = {}
    for result in results:
        if result.skipped is not None:
            reasons.setdefault(format_cell(result.skipped), []).append(format_cell(result.name))
    if reasons:
        parts.append("Not measured:\n\n" + "\n".join(f"- {', '.join(each)}: {why}" for why, each in reasons.items()))
    return "\n\n".join(part for part in parts if part)


def _columns(results: Sequence[Result], columns: Sequence[Column]) -> tuple[list[str], list[list[object]]]:
    return [name for name, _ in columns], [[value(result) for _, value in columns] for result in results]


def _latency(results: Sequence[Result]) -> tuple[list[str], list[list[object]]]:
    """Return rows in blocks of one size, batch and encoding, so that what is compared stands together."""
    blocks: dict[object, list[Result]] = {}
    for result in results:
        block = tuple(result.params.get(key) for key in ("size", "batch", "style_encoding"))
        blocks.setdefault(block, []).append(result)
    ordered = [result for block in blocks.values() for result in block]
    firsts = {each.name: block[0] for block in blocks.values() for each in block}

    def to_first(result: Result) -> str | None:
        first = firsts[result.name]
        if result.times is None or first.times is None:
            return None
        return "1" if first is result else str(ratio(result.times, first.times))

    columns: list[Column] = [
        ("case", name_of),
        ("size", _param("size")),
        ("batch", _param("batch")),
        ("style encoding", _param("style_encoding")),
        *_times("ms", "median", "p90", "p99", "min"),
        ("spread", _spread),
        ("calls", _calls),
        ("GPU part, ms", _gpu_median),
        ("to the first", to_first),
        ("PSNR, dB", _info("psnr_db")),
        ("of the floor", _percent("share_of_floor")),
        ("bound by", _info("bound")),
        ("notes", lambda result: _notes(result, _SHOWN)),
    ]
    return _columns(ordered, columns)


def _paper(results: Sequence[Result]) -> tuple[list[str], list[list[object]]]:
    """Return a row for each method and size, one size after the other, in brackets with the style's encoding."""
    rows: dict[object, dict[object, Result]] = {}
    for result in sorted(results, key=lambda each: each.params.get("size", 0)):
        key = tuple((name, value) for name, value in result.params.items() if name != "style_encoding")
        rows.setdefault(key, {})[result.params.get("style_encoding", "excluded")] = result
    header = [
        "method",
        "styles",
        "by",
        "size",
        "batch",
        "here, s",
        "the paper, s",
        "here / the paper",
        "calls",
        "notes",
    ]
    return header, [_paper_row(*(pair.get(each) for each in ("excluded", "included"))) for pair in rows.values()]


def _paper_row(excluded: Result | None, included: Result | None) -> list[object]:
    result = excluded or included
    assert result is not None  # noqa: S101 - for the type checker
    pair = (excluded, included)
    here = [_median(each) if each else None for each in pair]
    paper = [_number(each, "paper_s") if each else None for each in pair]
    ratios = [mine / theirs if mine and theirs else None for mine, theirs in zip(here, paper, strict=True)]
    return [
        result.params.get("method"),
        STYLES.get(str(result.params.get("method"))),
        name_of(result),
        result.params.get("size"),
        result.params.get("batch"),
        *(_format_pair(values) for values in (here, paper, ratios)),
        _calls(result),
        _notes(result, {"paper_s", "pictures_per_s", "cpu_s"}),
    ]


def _format_pair(values: Sequence[float | None]) -> str | None:
    """Return ``excluded (included)``."""
    if not any(values):
        return None
    without, within = (significant(value, 3) if value else "-" for value in values)
    return f"{without} ({within})"


def _throughput(results: Sequence[Result]) -> tuple[list[str], list[list[object]]]:
    columns: list[Column] = [
        ("case", name_of),
        ("size", _param("size")),
        ("batch", _param("batch")),
        ("streams", _param("streams")),
        ("pictures/s", pictures_per_second),
        *_times("ms", "median", "p90", "p99"),
        ("spread", _spread),
        ("calls", _calls),
        ("notes", lambda result: _notes(result, _SHOWN)),
    ]
    return _columns(results, columns)


def _tiles(results: Sequence[Result]) -> tuple[list[str], list[list[object]]]:
    """Return rows in blocks of one network on one backend, the picture at once before its tiles."""
    ordered = sorted(results, key=name_of)
    wholes = {name_of(each): each for each in results if each.params.get("tile") == "off"}

    def to_whole(result: Result) -> str | None:
        whole = wholes.get(name_of(result))
        if whole is None or result.times is None or whole.times is None:
            return None
        return "1" if result is whole else str(ratio(result.times, whole.times))

    def cpu_to_whole(result: Result) -> float | None:
        whole, own = wholes.get(name_of(result)), _number(result, "cpu_s")
        of_whole = None if whole is None else _number(whole, "cpu_s")
        return own / of_whole if own and of_whole else None

    columns: list[Column] = [
        ("case", name_of),
        ("size", _param("size")),
        ("tiles", _param("tile")),
        *_times("s", "median", "min"),
        ("spread", _spread),
        ("calls", _calls),
        ("to the whole", to_whole),
        ("CPU, s", _info("cpu_s")),
        ("CPU to the whole", cpu_to_whole),
    ]
    return _columns(ordered, columns)


def _serve(results: Sequence[Result]) -> tuple[list[str], list[list[object]]]:
    columns: list[Column] = [
        ("case", _param("by")),
        ("size", _param("size")),
        ("streams", _param("streams")),
        ("clients", _param("clients")),
        ("pictures/s", pictures_per_second),
        ("of the plain calls'", _percent("share_of_throughput")),
        *_times("ms", "median", "p99"),
        ("CPU, ms", lambda result: _thousandfold(_number(result, "cpu_s"))),
        ("spread", _spread),
        ("calls", _calls),
        ("server at first, MiB", _mebibytes("server_bytes_before")),
        ("at last, MiB", _mebibytes("server_bytes_after")),
    ]
    return _columns(results, columns)


def _start(results: Sequence[Result]) -> tuple[list[str], list[list[object]]]:
    columns: list[Column] = [
        ("case", name_of),
        ("size", _param("size")),
        ("cache", _param("cache")),
        *_times("s", "median", "max"),
        ("starts", _calls),
        ("imports, s", _info("import_s")),
        ("load, s", _info("load_s")),
        ("host peak, MiB", _mebibytes("host_peak_bytes")),
        ("device, MiB", _mebibytes("device_bytes")),
        ("notes", lambda result: _notes(result, _SHOWN)),
    ]
    return _columns(results, columns)


def _peaks(results: Sequence[Result]) -> tuple[list[str], list[list[object]]]:
    columns: list[Column] = [
        ("device", _param("device")),
        ("of", _param("of")),
        ("10^9/s", lambda result: (_number(result, "per_s") or 0) / 1e9 or None),
        ("reached by", _info("runner")),
    ]
    return _columns(results, columns)


def _plain(results: Sequence[Result]) -> tuple[list[str], list[list[object]]]:
    """Return a row of everything for each result of a group that has no columns of its own."""
    params = dict.fromkeys(key for result in results for key in result.params)
    info = dict.fromkeys(key for result in results for key in result.extra_info)
    columns: list[Column] = [
        *((key.replace("_", " "), _param(key)) for key in params),
        *_times("ms", "median", "p90", "p99", "min"),
        ("spread", _spread),
        ("calls", _calls),
        ("GPU part, ms", _gpu_median),
        *((key.replace("_", " "), _info(key)) for key in info),
    ]
    return _columns(results, columns)


def _param(key: str) -> Callable[[Result], object]:
    return lambda result: result.params.get(key)


def _info(key: str) -> Callable[[Result], object]:
    return lambda result: result.extra_info.get(key)


def _number(result: Result, key: str) -> float | None:
    value = result.extra_info.get(key)
    return value if isinstance(value, (int, float)) else None


def _notes(result: Result, shown: set[str]) -> str:
    """Return what else is known of a result and not shown elsewhere."""
    notes = {key.replace("_", " "): value for key, value in result.extra_info.items() if key not in shown}
    return "; ".join(f"{key} {format_cell(value)}" for key, value in notes.items() if value is not None)


def _times(unit: str, *figures: str) -> Iterator[Column]:
    """Yield columns of figures of the whole call; percentiles only of calls enough."""

    def column(figure: str) -> Callable[[Result], object]:
        def value(result: Result) -> object:
            if result.times is None or result.times.flat.size < _CALLS_FOR.get(figure, 1):
                return None
            seconds: float = summary(result.times)[figure]
            return _thousandfold(seconds) if unit == "ms" else seconds

        return value

    for figure in figures:
        yield f"{figure}, {unit}", column(figure)


def _median(result: Result) -> float | None:
    return None if result.times is None else float(summary(result.times)["median"])


def _gpu_median(result: Result) -> float | None:
    return None if result.gpu_times is None else _thousandfold(summary(result.gpu_times)["median"])


def _spread(result: Result) -> str | None:
    if result.times is None or len(result.times.seconds) == 1:
        return None
    return f"{summary(result.times)['spread'] * 100:.1f} %"


def _calls(result: Result) -> str | None:
    return None if result.times is None else f"{len(result.times.seconds)} x {len(result.times.seconds[0])}"


def _percent(key: str) -> Callable[[Result], object]:
    def value(result: Result) -> object:
        share = _number(result, key)
        return None if share is None else f"{share * 100:.0f} %"

    return value


def _thousandfold(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _mebibytes(key: str) -> Callable[[Result], object]:
    def value(result: Result) -> object:
        number = _number(result, key)
        return None if number is None else round(number / _MEBIBYTE)

    return value


_GROUPS = {
    "latency": _Group(
        "Latency",
        "Whole calls, from pixels to pixels in the host's memory. *Calls* are repeats times calls of each; *spread* "
        "is how far the medians of the repeats lie apart, relative to their median. *To the first* is the ratio of the "
        "time to that of the first case of this size, batch and style encoding, with its 95 % interval. Percentiles "
        "are of 10 calls at least (p90), or of 100 (p99).",
        _latency,
    ),
    "paper": _Group(
        "The paper's Table 1",
        "Seconds without encoding the style, and with it in brackets. Here: medians of *calls* (repeats times calls of "
        "each), after warm-up, from pixels to pixels in the host's memory, copies counted. The paper's are quoted: on "
        "other hardware, a Pascal Titan X, the mean of 100 images; it says neither the batch size nor what warmed up "
        "nor whether copies count.",
        _paper,
    ),
    "throughput": _Group(
        "Throughput",
        "Times are of a call, which stylises a whole batch, or of streams four pictures each.",
        _throughput,
    ),
    "tiles": _Group(
        "Tiles",
        "Whole calls, from pixels to pixels. *To the whole* is the ratio of the time to that of the same picture at "
        "once, turn by turn, with its 95 % interval. *CPU* is the time of all cores, which changes little with what "
        "else runs.",
        _tiles,
    ),
    "serve": _Group(
        "Serving",
        "A plain call is from pixels to pixels; a request is from file to file (JPEG), over a connection that is kept. "
        "*Of the plain calls'* is the share of the best plain case's pictures per second, turn by turn. Every answer "
        "was compared with the plain call's and is the same, byte for byte. *CPU* is the time of all cores for a "
        "picture, in the process that paints; it changes little with what else runs. The server's memory is that after "
        "the warm-up, and at the end.",
        _serve,
    ),
    "start": _Group("Start and memory", "Each in a process of its own, until the first picture is there.", _start),
    "peaks": _Group("What the hardware does", "The highest rates reached: operations, and bytes copied.", _peaks),
}
