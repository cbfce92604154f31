"""The pictures that CONTENT arguments name: files, the pictures of directories, globs, or ``-`` for standard input."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path

from adain_models.errors import AdainError

__all__ = ["STDIN", "expand", "pictures_in"]

STDIN = Path("-")

_SUFFIXES = frozenset({
    ".avif", ".bmp", ".gif", ".jp2", ".jpeg", ".jpg", ".png", ".ppm", ".tga", ".tif", ".tiff", ".webp",
})  # fmt: skip


def expand(arguments: Iterable[str]) -> list[Path]:
    """Return the pictures that arguments name, in their order, each once.

    Raises:
        AdainError: an argument names nothing.

    """
    paths: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            paths += pictures_in(path)
        elif path == STDIN or path.exists():
            paths.append(path)
        elif glob.has_magic(argument):
            found = sorted(Path(match) for match in glob.glob(argument, recursive=True))  # noqa: PTH207 - any pattern
            if not found:
                raise AdainError(f"{argument}: matches no file")
            paths += [match for match in found if match.is_file()]
        else:
            raise AdainError(f"{argument}: there is no such file or directory")
    return list(dict.fromkeys(paths))


def pictures_in(directory: Path, others: frozenset[str] = frozenset()) -> list[Path]:
    """Return the files of a directory that are pictures by their suffix, or have one of the ``others``, sorted.

    Raises:
        AdainError: there is none, or the directory cannot be read.

    """
    try:
        found = sorted(path for path in directory.iterdir() if path.suffix.lower() in _SUFFIXES | others)
    except OSError as error:
        raise AdainError(f"{directory}: cannot be read ({error.strerror})") from None
    if not found:
        raise AdainError(f"{directory}: holds no pictures")
    return found
