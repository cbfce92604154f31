"""What is done of a result that takes long: a folder beside it, from which a later run goes on."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import numpy as np
from filelock import FileLock, Timeout

import adain_rt
from adain_models.errors import AdainError
from adain_rt.transfer import StyleMix, Transfer

__all__ = ["WorkFolder", "find_work", "identify_painting", "is_own"]

_LONGEST_NAME = 240
"""The bytes of a result's name that leave room for the rest of its folder's name, within 255 bytes."""

_LOCK = "lock"
"""The name of the file that the run locks which has the folder."""


class WorkFolder:
    """The folder beside a result that holds what is done of it, for one run at a time.

    It is a context manager. The folder is removed if the block succeeds, or if it is not worth keeping.

    Args:
        target: the result.

    Attributes:
        path: the folder.
        worth: whether a later run can go on with what is done.

    Raises:
        AdainError: another run paints the same result, or something else is in the folder's place.
        OSError: the folder cannot be written.

    """

    def __init__(self, target: Path) -> None:
        self.path = find_work(target)
        self.worth = os.path.lexists(self.path)
        if self.worth and not is_own(self.path):
            raise AdainError(f"{self.path}: is in the way", hint="remove it")
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self.path / _LOCK)
        try:
            self._lock.acquire(blocking=False)
        except Timeout:
            raise AdainError(
                f"{target}: another run is painting it", hint="wait for it, or choose another `output`"
            ) from None
        except OSError:
            with suppress(OSError):  # something is in it
                self.path.rmdir()
            raise

    def clear(self) -> None:
        """Remove what an earlier run has done."""
        for path in self.path.iterdir():
            if path.name != _LOCK:
                path.unlink()
        self.worth = False

    def __enter__(self) -> WorkFolder:  # noqa: PYI034 - Self needs Python 3.11
        """Return the folder itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let other runs have the folder, or remove it."""
        done = kind is None or not self.worth
        if done:
            shutil.rmtree(self.path, ignore_errors=True)
        self._lock.release()
        if done and sys.platform == "win32":  # it removes no file that is open
            shutil.rmtree(self.path, ignore_errors=True)


def find_work(target: Path) -> Path:
    """Return the folder, beside a result, that holds what is done of it. It is removed when the result is written."""
    name = target.name
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return target.parent / f".{name}.adain-work"


def is_own(folder: Path) -> bool:
    """Whether a folder is there, and is this user's and no link. What others put in its place is not gone on with."""
    try:
        facts = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and (not hasattr(os, "getuid") or facts.st_uid == os.getuid())


def identify_painting(transfer: Transfer, mix: StyleMix, files: Iterable[Path], *more: object) -> str:
    """Return a hash of all that decides what a result is, so that two runs can be told to make the same.

    Args:
        transfer: runs the network; has the strength and the colours.
        mix: the styles.
        files: what the result is made from.
        more: whatever else decides it.

    """
    digest = hashlib.sha256()
    stylizer = transfer.stylizer
    network = (stylizer.weights_sha256, stylizer.backend, stylizer.precision)
    options = (transfer.strength, transfer.color, transfer.strokes, transfer.fit, transfer.underpainting)
    chosen = (adain_rt.__version__, *network, *options, mix.weights, *more)
    digest.update(repr(chosen).encode())
    for path in files:
        facts = path.stat()
        digest.update(repr((str(path.resolve()), facts.st_size, facts.st_mtime_ns)).encode())
    for source in mix.sources:
        numbers = [source.pixels] if source.code is None else [source.code.mean, source.code.std]
        for each in numbers:
            digest.update(np.ascontiguousarray(each).data)
    return digest.hexdigest()
