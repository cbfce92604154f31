"""What is done of a result that takes long: a folder beside it, from which a later run goes on."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import adain_rt
from adain_rt.transfer import StyleMix, Transfer

__all__ = ["find_work", "identify_painting", "is_own"]

_LONGEST_NAME = 240
"""The bytes of a result's name that leave room for the rest of its folder's name, within 255 bytes."""


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
    chosen = (adain_rt.__version__, *network, transfer.strength, transfer.color, transfer.strokes, mix.weights, *more)
    digest.update(repr(chosen).encode())
    for path in files:
        facts = path.stat()
        digest.update(repr((str(path.resolve()), facts.st_size, facts.st_mtime_ns)).encode())
    for source in mix.sources:
        numbers = [source.pixels] if source.code is None else [source.code.mean, source.code.std]
        for each in numbers:
            digest.update(np.ascontiguousarray(each).data)
    return digest.hexdigest()
