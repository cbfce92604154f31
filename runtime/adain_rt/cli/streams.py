"""The standard streams of the command line: there at the start, and without a complaint of Python's at the end."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

__all__ = ["prepare_streams", "settle_streams"]

_STAND_INS = {"stdin": (os.O_RDONLY, "r"), "stdout": (os.O_RDONLY, "w"), "stderr": (os.O_WRONLY, "w")}
"""How the null device is opened, and used, in place of a closed stream. Writing to stdout fails, as it should."""


def prepare_streams() -> None:
    """Make every standard stream exist, take any character, and take it whole.

    A program may be started without its streams, and a terminal's encoding may not have all characters of a title.
    Without a buffer (``PYTHONUNBUFFERED``), what the system does not take at once would be lost unnoticed.
    """
    for name, (flags, mode) in _STAND_INS.items():
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))
    if isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
        sys.stdout = os.fdopen(sys.stdout.fileno(), "w", 1, sys.stdout.encoding, closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def settle_streams() -> None:
    """Give up what cannot be written any more, so that Python, which tries again at its end, does not fail on it."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _point_to_nowhere(stream)


def _point_to_nowhere(stream: TextIO) -> None:
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
