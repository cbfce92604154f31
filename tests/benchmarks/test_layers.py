"""Imports inside the benchmarks go one way, and only the command line prints."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import adain_bench

ROOT = Path(adain_bench.__file__).parent

BELOW = {
    "cli": {"runs", "measure", "cost", "quality", "contenders", "show", "record"},
    "runs": {"measure", "show", "record"},
    "measure": {"cost", "contenders", "record"},
    "cost": {"contenders", "record"},
    "quality": {"contenders"},
    "contenders": set(),
    "show": {"record"},
    "record": set(),
}
"""What each room may import."""


def imports_of(path: Path) -> Iterator[str]:
    """Yield the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{each.name}" for each in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").parts[0]


def files() -> list[Path]:
    return [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


def test_a_room_imports_only_those_below_it():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files()
        for name in imports_of(path)
        if name.startswith("adain_bench.") and name.split(".")[1] not in {room_of(path), *BELOW[room_of(path)]}
    ]
    assert not wrong


def test_only_the_command_line_prints_or_knows_options():
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files()
        for name in imports_of(path)
        if room_of(path) != "cli" and (name.split(".")[0] == "click" or name.startswith("adain_rt.cli."))
    ]
    assert wrong == ["record/machine.py imports adain_rt.cli.info.versions"]
