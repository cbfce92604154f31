"""A comparison of two runs as text."""

from __future__ import annotations

from collections.abc import Iterator

from adain_bench.record.compare import Change, Comparison
from adain_bench.record.text import format_cell, significant
from adain_bench.show.table import format_table

__all__ = ["lines", "markdown"]

_MANY = 5  # cases: so many move the same way by chance one time in sixteen


def lines(comparison: Comparison) -> Iterator[str]:
    """Yield a comparison as lines for a terminal."""
    yield from _preface(comparison)
    rows = [["", "after / before", "before", "after", ""], *_rows(comparison)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows if comparison.changes else []:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    yield from _epilogue(comparison)


def markdown(comparison: Comparison) -> str:
    """Return a comparison as Markdown."""
    listed = [[f"- {format_cell(line)}" for line in part(comparison)] for part in (_preface, _epilogue)]
    rows = format_table(["verdict", "after / before (95 %)", "before", "after", "case"], _rows(comparison))
    blocks = ["\n".join(listed[0]), rows if comparison.changes else "", "\n".join(listed[1])]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _preface(comparison: Comparison) -> Iterator[str]:
    for line in comparison.machine:
        yield f"the machines differ: {line}"
    yield f"before: {comparison.runs[0]}"
    yield f"after: {comparison.runs[1]}"


def _rows(comparison: Comparison) -> list[list[str]]:
    return [
        [change.verdict, str(change.ratio), _seconds(change.before), _seconds(change.after), _make_title(change)]
        for change in comparison.changes
    ]


def _epilogue(comparison: Comparison) -> Iterator[str]:
    if comparison.overall is None:
        yield "no case was timed in both runs"
    else:
        hint = "; every one moved that way, as when the machine is busy" if _together(comparison) else ""
        yield f"all cases together: {significant(comparison.overall, 4)} times as long{hint}"
    for name in comparison.gone:
        yield f"only before: {name}"
    for name in comparison.new:
        yield f"only after: {name}"


def _together(comparison: Comparison) -> bool:
    """Return whether there are many cases, and all became slower or all faster, be it within the noise."""
    up = [change.ratio.value > 1 for change in comparison.changes if change.part == "whole call"]
    return len(up) >= _MANY and len(set(up)) == 1


def _seconds(seconds: float) -> str:
    return f"{significant(seconds, 4)} s" if seconds >= 1 else f"{significant(seconds * 1e3, 4)} ms"


def _make_title(change: Change) -> str:
    return change.name if change.part == "whole call" else f"{change.name}, {change.part}"
