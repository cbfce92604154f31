"""The pictures that CONTENT arguments name: files, the pictures of directories, globs, or ``-`` for standard input."""

from __future__ import annotations

import glob
import logging
import os
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.media.pictures import READABLE, Picture, read_picture

__all__ = ["STDIN", "expand", "fit_content", "name_fitted", "pictures_in", "read_content"]

STDIN = Path("-")

_LOG = logging.getLogger(__name__)
_KINDS_NAMED = 6
"""How many kinds of files a remark names."""


def expand(arguments: Iterable[str], recursive: bool = False, output: Path | None = None) -> dict[Path, Path]:
    """Return the pictures that arguments name, in their order, each once, with their folders.

    A remark in the log counts what a directory holds beside pictures.

    Args:
        arguments: files, directories, globs, or ``-``. What is there by the argument's own name is no glob.
        recursive: whether the pictures in a directory's subfolders are taken as well.
        output: a directory that is not searched where it is below another: it holds the results of an earlier run.

    Returns:
        For each picture the subfolder that it was found in, relative to the directory that was named.

    Raises:
        AdainError: an argument matches no file, or a directory holds no pictures or cannot be read.

    """
    found: list[tuple[Path, Path]] = []
    for argument in arguments:
        path = Path(argument)
        if path.is_dir():
            pictures = _take_pictures(path, list(_list_tree(path, output))) if recursive else pictures_in(path)
            found += [(picture, picture.parent.relative_to(path)) for picture in pictures]
        elif path == STDIN or path.exists():
            found.append((path, Path()))
        elif glob.has_magic(argument):
            matches = sorted({match for match in _match(path, output) if match.is_file()})
            if not matches:
                raise AdainError(f"{argument}: matches no file")
            found += [(match, Path()) for match in matches]
        else:
            raise AdainError(f"{argument}: there is no such file or directory")
    once: dict[tuple[str, str], tuple[Path, Path]] = {}
    for path, folder in found:
        once.setdefault((os.path.realpath(path.parent), path.name), (path, folder))
    return dict(once.values())


def pictures_in(directory: Path, others: frozenset[str] = frozenset()) -> list[Path]:
    """Return the files of a directory that have the suffix of a picture, or one of ``others``, sorted.

    Hidden files are left out: some systems keep hidden files that are not pictures beside pictures. A remark in the
    log counts what else is passed over.

    Raises:
        AdainError: the directory holds no pictures, or cannot be read.

    """
    folder = _list_folder(directory, READABLE.keys() | others)
    if folder.folders:
        folder.others["subfolders"] = len(folder.folders)
    return _take_pictures(directory, [folder])


def read_content(path: Path) -> Picture:
    """Return the picture of a path, or the one on standard input for ``STDIN``.

    Raises:
        AdainError: the picture cannot be read; see ``read_picture``.

    """
    return read_picture(sys.stdin.buffer, "stdin") if path == STDIN else read_picture(path)


def fit_content(picture: Picture, size: int, crop: bool, max_size: int) -> Picture:
    """Return a content cropped and resized; see ``Picture.fit``.

    Raises:
        AdainError: the result would have more than MAX_PIXELS.

    """
    try:
        return picture.fit(size, crop, max_size)
    except AdainError as error:
        raise AdainError(
            error.message, hint="use a smaller `size`, bound the longer side with `max_size`, or `crop` it"
        ) from None


def name_fitted(path: Path, picture: Picture, fitted: Picture) -> str:
    """Return the name of a content in errors, with its own size if that was changed."""
    if fitted.pixels.shape == picture.pixels.shape:
        return str(path)
    return f"{path} ({picture.width}x{picture.height} pixels before it was resized)"


@dataclass
class _Folder:
    """What a folder holds that is not hidden."""

    path: Path
    pictures: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    """The numbers of what else there is, by kind."""


def _list_folder(path: Path, suffixes: Collection[str]) -> _Folder:
    """Return what a folder holds; files with one of ``suffixes`` are its pictures."""
    folder = _Folder(path)
    try:
        for entry in path.iterdir():
            suffix = entry.suffix.lower()
            if entry.name.startswith("."):
                continue
            if suffix in suffixes and entry.is_file():
                folder.pictures.append(entry)
            elif entry.is_dir():
                folder.folders.append(entry)
            elif entry.is_file():
                folder.others[suffix or "no suffix"] += 1
            else:
                folder.others["pipes, sockets and broken links"] += 1
    except OSError as error:
        raise AdainError(f"{path}: cannot be read ({explain(error)})") from None
    return folder


def _list_tree(top: Path, leave_out: Path | None) -> Iterator[_Folder]:
    """Yield what a folder and the folders below it hold, each folder once, however many links lead to it.

    A folder is found in its own place rather than by a link. A link to a folder above is not followed.

    Raises:
        AdainError: the top folder cannot be read; others that cannot be read are remarked on and passed over.

    """
    seen = {*Path(os.path.realpath(top)).parents}
    if leave_out is not None:
        seen.add(Path(os.path.realpath(leave_out)))
    folders, links = [top], list[Path]()
    while folders or links:
        path = folders.pop() if folders else links.pop()
        real = Path(os.path.realpath(path))
        if real in seen and path != top:
            continue
        seen.add(real)
        try:
            folder = _list_folder(path, READABLE)
        except AdainError as error:
            if path == top:
                raise
            _LOG.warning("%s; it is passed over", error)
            continue
        yield folder
        for below in folder.folders:
            (links if below.is_symlink() else folders).append(below)


def _match(pattern: Path, leave_out: Path | None) -> Iterator[Path]:
    """Yield what matches a pattern, in which ``**`` is a folder and those below it, each once.

    The leading folders that are there by the pattern's own name are taken as they are: ``photos [2024]/*.jpg``.
    """
    there = next((parent for parent in pattern.parents if parent.is_dir()), Path(pattern.anchor))
    start, parts = glob.escape(str(there)), pattern.relative_to(there).parts
    if "**" not in parts:
        yield from map(Path, glob.glob(os.path.join(start, *parts)))  # noqa: PTH118, PTH207 - any pattern
        return
    at = parts.index("**")
    for head in glob.glob(os.path.join(start, *parts[:at])):  # noqa: PTH118, PTH207 - any pattern
        if Path(head).is_dir():
            for folder in _list_tree(Path(head), leave_out):
                yield from _match(folder.path.joinpath(*parts[at + 1 :] or "*"), leave_out)


def _take_pictures(directory: Path, folders: Collection[_Folder]) -> list[Path]:
    """Return the pictures of a directory, found in these folders, sorted; count in the log what else is there."""
    pictures = sorted(picture for folder in folders for picture in folder.pictures)
    others = sum((folder.others for folder in folders), Counter[str]())
    kinds = sorted(others, key=lambda kind: (-others[kind], kind))
    named = [f"{kind}: {others[kind]}" for kind in kinds[:_KINDS_NAMED]]
    said = ", ".join([*named, "others"] if len(kinds) > _KINDS_NAMED else named)
    if not pictures:
        raise AdainError(f"{directory}: holds no pictures" + (f", only others ({said})" if said else ""))
    if said:
        count = others.total()
        _LOG.warning("%s: passed over %d of its %d entries (%s)", directory, count, count + len(pictures), said)
    return pictures
