"""Where results go. Everything here is settled before a picture is computed."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import sys
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.jobs.inputs import STDIN
from adain_rt.jobs.styles import Mixture
from adain_rt.media.pictures import READABLE, WRITABLE, Picture, check_writable, encode_picture, write_picture

__all__ = ["STDOUT", "check_free", "check_writable_to", "identify", "name_output", "plan_outputs", "write_result"]

STDOUT = STDIN

_STDOUT_NAMES = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"}
_DESCRIPTOR = re.compile(r"/(?:dev|proc/self)/fd/(\d+)")
_LONGEST_NAME = 255
"""The bytes of a file's name that nearly every file system allows."""


def name_output(output: str) -> Path:
    """Return the path of an output: ``STDOUT`` for every name that standard output has."""
    return STDOUT if output in _STDOUT_NAMES else Path(output)


def plan_outputs(
    contents: Collection[Path], mixtures: Sequence[Mixture], output: str | None, folders: Mapping[Path, Path]
) -> dict[tuple[Path, Mixture], Path]:
    """Return the file for every content in every mixture.

    Args:
        contents: the pictures.
        mixtures: the styles of each result of a content.
        output: a file for a single result, or a directory, which need not exist: a name that ends with a slash or has
            no suffix is a directory, unless it is a device or a pipe. ``-`` is stdout. ``None`` is stdout for a single
            content from stdin, and else the current directory.
        folders: for a content, the folder in the output directory that its results go to; without, they go to the
            directory itself.

    Raises:
        AdainError: several results would be one file, or a file's suffix names no format.

    """
    pairs = [(content, mixture) for content in contents for mixture in mixtures]
    if output is None:
        output = str(STDOUT) if list(contents) == [STDIN] else "."
    if _is_directory(output):
        longest = _find_longest_name(Path(output))
        paths = {
            (content, mixture): Path(output, folders.get(content, ""), _make_name(content, mixture.label, longest))
            for content, mixture in pairs
        }
    elif len(pairs) > 1:
        raise AdainError(f"{output}: several pictures cannot be one file; end a directory's name with /")
    else:
        paths = {pair: name_output(output) for pair in pairs}
    _check_distinct(paths)
    for path in paths.values():
        check_writable_to(path)
    return paths


def check_writable_to(path: Path) -> None:
    """Check that a picture can be written to an output.

    Raises:
        AdainError: it is a file whose suffix names no format.

    """
    if not is_stream(path):
        check_writable(path)


def check_free(paths: Iterable[Path], inputs: Iterable[Path], overwrite: bool) -> None:
    """Check that results overwrite no input, and no other file unless ``overwrite``.

    Raises:
        AdainError: a result would overwrite a file.

    """
    taken = {identify(path) for path in inputs}
    for path in paths:
        if is_stream(path):
            continue
        if identify(path) in taken:
            raise AdainError(f"{path}: is an input, and would be overwritten", hint="choose another `output`")
        if path.is_dir():
            raise AdainError(f"{path}: is a folder, where a file would be written", hint="choose another `output`")
        if os.path.lexists(path) and not overwrite:
            raise AdainError(
                f"{path}: exists already", hint="add `overwrite` to replace it, or choose another `output`"
            )


def identify(path: Path) -> Hashable:
    """Return what all names of one file have in common: links, ``..``, and names that a file system takes for one.

    Some take ``A.jpg`` and ``a.jpg`` for one. ``STDIN`` is the file that it is read from.
    """
    try:
        facts = os.fstat(sys.stdin.fileno()) if path == STDIN else path.stat()
    except (OSError, ValueError):  # there is no such file yet; stdin is closed
        return os.path.realpath(path)
    # Replacing one hard link of a file leaves the others.
    return os.path.realpath(path) if facts.st_nlink > 1 and path != STDIN else (facts.st_dev, facts.st_ino)


def write_result(path: Path, picture: Picture) -> None:
    """Write a picture to its file, to a device or a pipe, or as PNG to standard output for ``STDOUT``.

    A device or a pipe without the suffix of a format gets the picture's own format if it can be written, or PNG.

    Raises:
        AdainError: the picture cannot be encoded or written.
        BrokenPipeError: nobody reads standard output any more.

    """
    if not is_stream(path):
        write_picture(path, picture)
        return
    name = "stdout" if path == STDOUT else str(path)
    data = encode_picture(picture, _choose_stream_format(path, picture), name)
    try:
        if path == STDOUT:
            _write_all(sys.stdout.buffer, data)
            sys.stdout.flush()
        else:
            _write_to_stream(path, data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise AdainError(f"{name}: cannot be written ({explain(error)})") from error


def is_stream(path: Path) -> bool:
    """Whether a path is standard output, another open descriptor, a pipe, or a device that holds nothing."""
    if path == STDOUT or str(path) == "/dev/stderr" or _DESCRIPTOR.fullmatch(str(path)):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def _choose_stream_format(path: Path, picture: Picture) -> str:
    if path == STDOUT:
        return "PNG"
    own = picture.format if picture.format in WRITABLE.values() else "PNG"
    return WRITABLE.get(path.suffix.lower(), own)


def _write_to_stream(path: Path, data: bytes) -> None:
    number = _DESCRIPTOR.fullmatch(str(path))
    # A descriptor is not opened by its name, which would begin its file anew.
    with os.fdopen(os.dup(int(number[1])), "wb") if number else path.open("wb") as stream:
        stream.write(data)


def _write_all(stream: BinaryIO, data: bytes) -> None:
    """Write all of the data. A stream without a buffer takes as much of it as the system takes at once."""
    left = memoryview(data)
    while left:
        written = stream.write(left)
        if written is None:  # the stream does not wait for its reader
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        left = left[written:]


def _is_directory(output: str) -> bool:
    if is_stream(name_output(output)):
        return False
    return Path(output).is_dir() or output.endswith(("/", os.sep)) or not Path(output).suffix


def _find_longest_name(directory: Path) -> int:
    """Return the bytes that a file's name may have in a directory, which need not exist yet."""
    for place in (directory, *directory.parents):
        try:
            longest = os.pathconf(place, "PC_NAME_MAX")
        except (OSError, ValueError, AttributeError):  # it is not there; a system that cannot tell; Windows
            continue
        return min(longest, _LONGEST_NAME) if longest > 0 else _LONGEST_NAME
    return _LONGEST_NAME


def _make_name(content: Path, label: str, longest: int) -> str:
    """Return the name of a result, of at most ``longest`` bytes.

    A name that must be cut ends with a hash of the whole, so that no two become one.
    """
    stem = "stdin" if content == STDIN else content.stem
    suffix = _choose_suffix(content)
    whole = f"{stem}_stylized_{label}"
    if _count_bytes(whole + suffix) <= longest:
        return whole + suffix
    end = f"-{hashlib.sha256(os.fsencode(whole)).hexdigest()[:8]}{suffix}"
    room = longest - _count_bytes("_stylized_" + end)
    stem = _cut(stem, max(room // 2, room - _count_bytes(label)))
    return f"{stem}_stylized_{_cut(label, room - _count_bytes(stem))}{end}"


def _choose_suffix(content: Path) -> str:
    """Return a content's own suffix if it can be written, or one of its format, or PNG's."""
    suffix = content.suffix.lower()
    if suffix in WRITABLE:
        return content.suffix
    return next((each for each, name in WRITABLE.items() if name == READABLE.get(suffix)), ".png")


def _cut(name: str, longest: int) -> str:
    """Return as many of a name's characters as fit into so many bytes."""
    while _count_bytes(name) > longest:
        name = name[:-1]
    return name


def _count_bytes(name: str) -> int:
    return len(os.fsencode(name))


def _check_distinct(paths: dict[tuple[Path, Mixture], Path]) -> None:
    """Check that no two results have one file: two contents, or two styles, can have one name."""
    owners: dict[Hashable, tuple[Path, Mixture]] = {}
    for (content, mixture), path in paths.items():
        key = identify(path)
        if key in owners:
            other, style = owners[key]
            raise AdainError(
                f"{other} in the style {style} and {content} in the style {mixture} would both become {path}; "
                "rename one, or stylise them in turn, each into its own directory"
            )
        owners[key] = (content, mixture)
