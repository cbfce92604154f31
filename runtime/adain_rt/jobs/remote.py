"""Files on other file systems, named by URIs such as ``s3://bucket/photos/a.jpg``.

Arrow opens S3, Google Cloud Storage, Azure, HDFS and Hugging Face itself; fsspec opens the others, such as ``sftp://``.
What a URI has after its host is a path as it stands: ``%20`` in it is no space.
"""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from adain_models.errors import AdainError
from adain_rt.media.pictures import READABLE

__all__ = ["exists", "is_remote", "list_files", "list_pictures", "path_of", "read_file", "write_file"]

_LOG = logging.getLogger(__name__)

_URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+://[^/]*)/?(.*)", re.DOTALL)

_OBJECT_STORES = {"s3", "s3a", "gcs", "gs", "abfs", "abfss", "az", "adl", "oss", "oci", "r2", "hf"}
"""File systems on which an object is there as a whole or not at all, and on which renaming is copying."""


def is_remote(name: str) -> bool:
    """Return whether a name is a URI. ``C:/photos`` is none."""
    return _URI.match(name) is not None


def path_of(uri: str) -> PurePosixPath:
    """Return what a URI has after its host, for its name and its suffix."""
    return PurePosixPath(_split(uri)[1])


def list_pictures(uri: str, recursive: bool) -> dict[str, str]:
    """Return the pictures that a URI names: a file, or the pictures of a folder, sorted.

    Hidden files and folders are left out. A remark in the log counts what else is passed over.

    Args:
        uri: a file or a folder; patterns are not expanded.
        recursive: whether the pictures in a folder's subfolders are taken as well.

    Returns:
        For each picture the subfolder that it was found in, relative to the folder that was named.

    Raises:
        AdainError: there is nothing of that name, the folder holds no pictures, or the file system refuses.

    """
    from pyarrow.fs import FileType

    with _explain(uri, "read"):
        system, path = _open(uri)
        kind = system.get_file_info(path).type
    if kind == FileType.File:
        return {uri: ""}
    if kind == FileType.NotFound:
        raise AdainError(f"{uri}: there is no such file or folder")
    found = [each for each in list_files(uri, recursive) if not any(part.startswith(".") for part in each.parts)]
    pictures = sorted(each for each in found if each.suffix.lower() in READABLE)
    if not pictures:
        raise AdainError(f"{uri}: holds no pictures")
    if others := len(found) - len(pictures):
        _LOG.warning("%s: passed over %d of its %d files", uri, others, len(found))
    return {f"{uri.rstrip('/')}/{each}": "" if each.parent.name == "" else str(each.parent) for each in pictures}


def list_files(uri: str, recursive: bool = True) -> list[PurePosixPath]:
    """Return the files in a folder by their paths in it; an empty list if there is no such folder.

    Raises:
        AdainError: the file system refuses.

    """
    from pyarrow.fs import FileSelector, FileType

    with _explain(uri, "read"):
        system, path = _open(uri)
        entries = system.get_file_info(FileSelector(path, allow_not_found=True, recursive=recursive))
        return [PurePosixPath(entry.path).relative_to(path) for entry in entries if entry.type == FileType.File]


def exists(uri: str) -> bool:
    """Return whether there is a file or a folder.

    Raises:
        AdainError: the file system refuses.

    """
    from pyarrow.fs import FileType

    with _explain(uri, "read"):
        system, path = _open(uri)
        return bool(system.get_file_info(path).type != FileType.NotFound)


def read_file(uri: str) -> bytes:
    """Return a file's bytes.

    Raises:
        AdainError: the file cannot be read.

    """
    with _explain(uri, "read"):
        system, path = _open(uri)
        with system.open_input_stream(path) as stream:
            return bytes(stream.read())


def write_file(uri: str, data: bytes) -> None:
    """Write a file as a whole: one object of an object store; elsewhere under another name first, then renamed.

    Raises:
        AdainError: the file cannot be written.

    """
    with _explain(uri, "written"):
        system, path = _open(uri)
        if _is_object_store(system.type_name):
            _write(system, path, data)
            return
        folder = str(PurePosixPath(path).parent)
        system.create_dir(folder, recursive=True)
        aside = f"{folder}/.adain-{secrets.token_hex(8)}.part"
        try:
            _write(system, aside, data)
            system.move(aside, path)
        except BaseException:
            with suppress(Exception):  # it could not even be made, or the connection is gone
                system.delete_file(aside)
            raise


def _write(system: Any, path: str, data: bytes) -> None:
    with system.open_output_stream(path) as stream:
        stream.write(data)


def _split(uri: str) -> tuple[str, str]:
    """Return the scheme with the host, and the path without its first slash."""
    match = _URI.fullmatch(uri)
    assert match is not None  # noqa: S101 - every caller has asked is_remote
    return match[1], match[2].rstrip("/")


def _open(uri: str) -> tuple[Any, str]:
    """Return a file system and a path on it."""
    root, path = _split(uri)
    system, start = _open_root(f"{root}/")
    return system, f"{start.rstrip('/')}/{path}" if path else start


@cache
def _open_root(root: str) -> tuple[Any, str]:
    """Return the file system of a scheme and a host, and the path of its root. Opening one may ask the network."""
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem

    try:
        system, start = FileSystem.from_uri(root)
    except ArrowInvalid:  # Arrow has none of that scheme
        system, start = FileSystem.from_uri(f"fsspec+{root}")
    return system, start


def _is_object_store(name: str) -> bool:
    """Return whether Arrow's name of a file system is an object store's: ``s3``, or ``py::fsspec+('s3', 's3a')``."""
    return not _OBJECT_STORES.isdisjoint(re.findall(r"\w+", name.removeprefix("py::fsspec")))


@contextmanager
def _explain(uri: str, what: str) -> Iterator[None]:
    """Turn what a file system raises into an error that names the file."""
    try:
        yield
    except AdainError:
        raise
    except FileNotFoundError as error:
        raise AdainError(f"{uri}: no such file; check the path") from error
    except Exception as error:  # each file system of fsspec raises errors of its own
        text = " ".join(str(error).split()) or type(error).__name__
        raise AdainError(f"{uri}: cannot be {what} ({text})") from error
