"""Values of a record as text for people."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["flatten", "format_cell", "significant"]


def format_cell(value: object) -> str:
    """Return a value as the text of a cell: one line, nothing in it that is Markdown's or a terminal's."""
    if value is None:
        return ""
    if isinstance(value, float):
        return significant(value, 3)
    if isinstance(value, Mapping):
        return ", ".join(f"{format_cell(key)} {format_cell(each)}" for key, each in value.items() if each is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(format_cell(each) for each in value)
    text = "".join(each if each.isprintable() else " " for each in str(value))
    return text.replace("|", "\\|").replace("<", "&lt;")


def flatten(info: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested mappings, each with the names on the way to it."""
    for key, value in info.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{key} ")
        else:
            yield f"{prefix}{key}", value


def significant(value: float, digits: int) -> str:
    """Return a number with so many significant digits, and no exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"
