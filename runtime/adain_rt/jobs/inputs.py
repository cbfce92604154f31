"""The pictures that CONTENT arguments name: files, the pictures of directories, globs, or ``-`` for standard input."""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable
from pathlib import Path

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.media.pictures import READABLE, Picture, read_picture

__all__ = ["STDIN", "expand", "pictures_in", "read_content"]

STDIN = Path("-")


def expand(arguments: Iterable[str]) -> list[Path]:
    """Return the pictures that arguments name, in their order, each once.

    Raises:
        AdainError: an argument matches no file.

    """
    paths: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            paths += pictures_in(path)
        elif path == STDIN or path.exists():
            paths.append(path)
        elif glob.has_magic(argument):
            matches = map(Path, glob.glob(argument, recursive=True))  # noqa: PTH207 - any pattern
            found = sorted(match for match in matches if match.is_file())
            if not found:
                raise AdainError(f"{argument}: matches no file")
            paths += found
        else:
            raise AdainError(f"{argument}: there is no such file or directory")
    return list(dict.fromkeys(paths))


def pictures_in(directory: Path, others: frozenset[str] = frozenset()) -> list[Path]:
    """Return the files of a directory that have the suffix of a picture, or one of ``others``, sorted.

    Hidden files are left out: some systems keep hidden files that are not pictures beside pictures.

    Raises:
        AdainError: the directory holds no pictures, or cannot be read.

    """
    suffixes = READABLE.keys() | others
    try:
        found = sorted(
            path
            for path in directory.iterdir()
            if path.suffix.lower() in suffixes and not path.name.startswith(".") and path.is_file()
        )
    except OSError as error:
        raise AdainError(f"{directory}: cannot be read ({explain(error)})") from None
    if not found:
        raise AdainError(f"{directory}: holds no pictures")
    return found


def read_content(path: Path) -> Picture:
    """Return the picture of a path, or the one on standard input for ``STDIN``.

    Raises:
        AdainError: the picture cannot be read; see ``read_picture``.

    """
    return read_picture(sys.stdin.buffer, "stdin") if path == STDIN else read_picture(path)
