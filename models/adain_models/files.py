"""Writing files so that none is ever left half-written, and reading and hashing them. This module imports no torch."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from adain_models.errors import AdainError

__all__ = ["explain", "read_safetensors", "replacing", "sha256_of"]

_ASIDE = ".adain-"
"""How the names of files aside begin."""

_CLEANED: set[Path] = set()
"""The folders whose leftovers this process has removed. To list a large folder for every file would take long."""

_NO_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF}
"""What ``fsync`` answers where it cannot be done; Windows wants a file that is open for writing."""

_DAY = 24 * 60 * 60  # seconds; nothing takes as long to write


def explain(error: Exception) -> str:
    """Return the system's text of an error, without its number and path, such as ``No space left on device``."""
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield the path of a file to write beside ``path``; rename it onto ``path`` if the block succeeds.

    If the block fails, the file aside is removed and ``path`` is as it was. Missing folders are made. A file that
    exists keeps its permissions, and a symbolic link keeps pointing to the file, which is what is replaced. A device
    or a pipe, such as ``/dev/null``, is written to. When the block has succeeded, the file survives a power failure.

    Raises:
        AdainError: the system refuses a step (no such folder, no permission, no space), with an ``OSError`` or with
            what safetensors makes of one.

    """
    target = Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114 - it raises nothing
    aside = None
    try:
        special = _is_special(path)
        folder = Path(tempfile.gettempdir()) if special else target.parent
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        replaced = target.stat() if target.is_file() else None
        aside = folder / f"{_ASIDE}{secrets.token_hex(8)}.part"
        # Of a new file, what the user's umask gives: some libraries write files that only the owner reads.
        aside.touch(0o666 if replaced is None else 0o600, exist_ok=False)
        made = aside.stat()
        yield aside
        if special:
            with path.open("wb") as device, aside.open("rb") as file:
                shutil.copyfileobj(file, device)
            return
        _give_rights(aside, replaced or made)
        _sync(aside)
        aside.replace(target)
        with suppress(OSError):  # the file is there; only a power failure now could still lose its name
            _sync(folder)
    except (FileExistsError, NotADirectoryError):
        raise AdainError(f"{path}: cannot be written (a file stands where a folder is needed)") from None
    except (OSError, SafetensorError) as error:
        raise AdainError(f"{path}: cannot be written ({explain(error)})") from error
    finally:
        if aside is not None:
            with suppress(OSError):  # it is renamed, or could not even be made
                aside.unlink()


def _is_special(path: Path) -> bool:
    """Whether a path is a device, a pipe or a socket, or leads to one as ``/dev/stdout`` does."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _give_rights(path: Path, like: os.stat_result) -> None:
    """Give a file the owner and the permissions of another, as far as the file system and the user's rights allow."""
    found = path.stat()
    if hasattr(os, "chown") and (found.st_uid, found.st_gid) != (like.st_uid, like.st_gid):
        with suppress(OSError):  # only root may give a file to another user
            os.chown(path, like.st_uid, like.st_gid)
    if found.st_mode != like.st_mode:
        with suppress(OSError):  # network file systems have modes that nobody can change
            path.chmod(stat.S_IMODE(like.st_mode))


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed processes of this user left aside in a folder more than a day ago; once in each process."""
    if folder in _CLEANED:
        return
    _CLEANED.add(folder)
    with suppress(OSError):
        for leftover in folder.glob(f"{_ASIDE}*.part"):
            facts = leftover.lstat()
            ours = not hasattr(os, "getuid") or facts.st_uid == os.getuid()
            if ours and time.time() - facts.st_mtime > _DAY:
                leftover.unlink()


def _sync(path: Path) -> None:
    """Let a file's content, or a folder's names, reach the disk; some file systems cannot say.

    Raises:
        OSError: the content did not reach it: network file systems notice only now that a disk is full.

    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise
    finally:
        os.close(handle)


def read_safetensors(path: Path, framework: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the tensors of a safetensors file by name, and its metadata.

    Args:
        path: the file.
        framework: whose arrays the tensors are: ``numpy``, or ``pt`` for PyTorch.

    Raises:
        AdainError: the file is missing, or damaged.

    """
    try:
        with safe_open(path, framework=framework) as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
            return tensors, file.metadata() or {}
    except FileNotFoundError:
        raise AdainError(f"{path}: there is no such file") from None
    except Exception as error:  # safetensors' own, and whatever a library raises of a shape that cannot be
        raise AdainError(f"{path}: is not a safetensors file, or is damaged ({error})") from None


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
