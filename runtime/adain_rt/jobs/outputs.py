"""Where results go, settled before anything is computed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from adain_models.errors import AdainError
from adain_rt.jobs.inputs import STDIN
from adain_rt.media.pictures import WRITABLE, check_writable

__all__ = ["STDOUT", "check_free", "output_paths"]

STDOUT = STDIN

_LONGEST_PART = 120
"""Bytes of a content's and of a style's name in a result's name, which file systems end at 255."""


def output_paths(
    contents: list[Path], labels: list[str], output: str | None, several: bool
) -> dict[tuple[Path, str], Path]:
    """Return the file of every content in every style, by the two.

    Args:
        contents: the pictures.
        labels: the styles' names.
        output: a file for a single result, or a directory, which need not exist: a name that ends with a slash or has
            no suffix is one. ``None`` is the current directory. ``-`` is stdout, and what ``None`` means for a single
            content from stdin.
        several: whether several results were asked for, of which some styles may have been left out since.

    Raises:
        AdainError: several results would be one file, or a file's suffix names no format.

    """
    pairs = [(content, label) for content in contents for label in labels]
    if output is None:
        output = str(STDOUT) if contents == [STDIN] else "."
    if _is_directory(output):
        paths = {pair: Path(output) / _name(*pair) for pair in pairs}
    elif several:
        raise AdainError(f"{output}: several pictures cannot be one file; end a directory's name with /")
    else:
        paths = {pair: Path(output) for pair in pairs}
    _check_distinct(paths)
    for path in paths.values():
        if path != STDOUT:
            check_writable(path)
    return paths


def check_free(paths: Iterable[Path], inputs: Iterable[Path], overwrite: bool) -> None:
    """Refuse to write onto an input, ever, or onto any other file unless ``overwrite``.

    Raises:
        AdainError: it would happen.

    """
    taken = {path.resolve() for path in inputs}
    for path in paths:
        if path == STDOUT:
            continue
        if path.resolve() in taken:
            raise AdainError(f"{path}: is an input, and would be overwritten; choose another output with -o")
        if os.path.lexists(path) and not overwrite:
            raise AdainError(f"{path}: exists already; give --overwrite to replace it, or another output with -o")


def _is_directory(output: str) -> bool:
    if output == str(STDOUT):
        return False
    return Path(output).is_dir() or output.endswith(("/", os.sep)) or not Path(output).suffix


def _name(content: Path, label: str) -> str:
    stem = "stdin" if content == STDIN else content.stem
    suffix = content.suffix if content.suffix.lower() in WRITABLE else ".png"
    return f"{_cut(stem)}_stylized_{_cut(label)}{suffix}"


def _cut(name: str) -> str:
    """Return as much of a name as fits."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= _LONGEST_PART else encoded[:_LONGEST_PART].decode("utf-8", "ignore")


def _check_distinct(paths: dict[tuple[Path, str], Path]) -> None:
    owners: dict[Path, tuple[Path, str]] = {}
    for pair, path in paths.items():
        if path in owners:
            other, label = owners[path]
            raise AdainError(
                f"{other} in {label} and {pair[0]} in {pair[1]} would both become {path}; stylise them in turn, "
                "each into a directory of its own"
            )
        owners[path] = pair
