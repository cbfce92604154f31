"""Where results go. Everything here is settled before a picture is computed."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.jobs.inputs import STDIN
from adain_rt.jobs.styles import Mixture
from adain_rt.media.pictures import WRITABLE, Picture, check_writable, encode_picture, write_picture

__all__ = ["STDOUT", "check_free", "plan_outputs", "write_result"]

STDOUT = STDIN

_LONGEST_PART = 120
"""The bytes that a result's name keeps of each of its two parts: file systems allow 255 for the whole."""


def plan_outputs(
    contents: Sequence[Path], mixtures: Sequence[Mixture], output: str | None
) -> dict[tuple[Path, Mixture], Path]:
    """Return the file for every content in every mixture.

    Args:
        contents: the pictures.
        mixtures: the styles of each result of a content.
        output: a file for a single result, or a directory, which need not exist: a name that ends with a slash or has
            no suffix is a directory. ``-`` is stdout. ``None`` is stdout for a single content from stdin, and else the
            current directory.

    Raises:
        AdainError: several results would be one file, or a file's suffix names no format.

    """
    pairs = [(content, mixture) for content in contents for mixture in mixtures]
    if output is None:
        output = str(STDOUT) if list(contents) == [STDIN] else "."
    if _is_directory(output):
        paths = {(content, mixture): Path(output) / _make_name(content, mixture.label) for content, mixture in pairs}
    elif len(pairs) > 1:
        raise AdainError(f"{output}: several pictures cannot be one file; end a directory's name with /")
    else:
        paths = {pair: Path(output) for pair in pairs}
    _check_distinct(paths)
    for path in paths.values():
        if path != STDOUT:
            check_writable(path)
    return paths


def check_free(paths: Iterable[Path], inputs: Iterable[Path], overwrite: bool) -> None:
    """Check that results overwrite no input, and no other file unless ``overwrite``.

    Raises:
        AdainError: a result would overwrite a file.

    """
    taken = {path.resolve() for path in inputs}
    for path in paths:
        if path == STDOUT:
            continue
        if path.resolve() in taken:
            raise AdainError(f"{path}: is an input, and would be overwritten", hint="choose another `output`")
        if os.path.lexists(path) and not overwrite:
            raise AdainError(
                f"{path}: exists already", hint="add `overwrite` to replace it, or choose another `output`"
            )


def write_result(path: Path, picture: Picture) -> None:
    """Write a picture to its file, or as PNG to standard output for ``STDOUT``.

    Raises:
        AdainError: the picture cannot be encoded or written.
        BrokenPipeError: nobody reads standard output any more.

    """
    if path != STDOUT:
        write_picture(path, picture)
        return
    data = encode_picture(picture, "PNG", "stdout")
    try:
        _write_all(sys.stdout.buffer, data)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise AdainError(f"stdout: cannot be written ({explain(error)})") from error


def _write_all(stream: BinaryIO, data: bytes) -> None:
    """Write all of the data. A stream without a buffer takes as much of it as the system takes at once."""
    left = memoryview(data)
    while left:
        written = stream.write(left)
        if written is None:  # the stream does not wait for its reader
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        left = left[written:]


def _is_directory(output: str) -> bool:
    if output == str(STDOUT):
        return False
    return Path(output).is_dir() or output.endswith(("/", os.sep)) or not Path(output).suffix


def _make_name(content: Path, label: str) -> str:
    stem = "stdin" if content == STDIN else content.stem
    suffix = content.suffix if content.suffix.lower() in WRITABLE else ".png"
    return f"{_cut(stem)}_stylized_{_cut(label)}{suffix}"


def _cut(name: str) -> str:
    """Return as much of a name as fits."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= _LONGEST_PART else encoded[:_LONGEST_PART].decode("utf-8", "ignore")


def _check_distinct(paths: dict[tuple[Path, Mixture], Path]) -> None:
    """Check that no two results have one file: two contents, or two styles, can have one name."""
    owners: dict[Path, tuple[Path, Mixture]] = {}
    for (content, mixture), path in paths.items():
        if path in owners:
            other, style = owners[path]
            raise AdainError(
                f"{other} in the style {style} and {content} in the style {mixture} would both become {path}; "
                "rename one, or stylise them in turn, each into its own directory"
            )
        owners[path] = (content, mixture)
