"""Markdown tables that a terminal shows as well."""

from __future__ import annotations

from collections.abc import Sequence

from adain_bench.record.text import format_cell

__all__ = ["format_table"]


def format_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table without the columns that are empty, padded for a terminal. Numbers stand to the right.

    Args:
        header: the columns' names.
        rows: of as many cells; ``None`` is an empty one.

    """
    texts = [[format_cell(value) for value in row] for row in rows]
    kept = [number for number in range(len(header)) if any(row[number] for row in texts)]
    right = [all(not row[number] or row[number].lstrip("-")[:1].isdigit() for row in texts) for number in kept]
    columns = [[format_cell(header[number]), *(row[number] for row in texts)] for number in kept]
    widths = [max(3, *map(len, column)) for column in columns]
    padded = [
        [text.rjust(width) if numeric else text.ljust(width) for text in column]
        for column, width, numeric in zip(columns, widths, right, strict=True)
    ]
    rule = [f"{'-' * (width - 1)}{':' if numeric else '-'}" for width, numeric in zip(widths, right, strict=True)]
    heads, *lines = zip(*padded, strict=True)
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *lines))
