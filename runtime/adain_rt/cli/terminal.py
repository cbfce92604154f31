"""What a command says to a person: lines on stderr, and a progress bar where there is a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

import click

__all__ = ["Notices", "complain", "progress"]

_T = TypeVar("_T")


def complain(message: str) -> None:
    """Write one line to stderr, whatever characters a file's name or its metadata brought into it."""
    printable = "".join(character if character.isprintable() else " " for character in message)
    click.echo(f"adain-rt: {' '.join(printable.split())}", err=True)


class Notices(logging.Handler):
    """Writes what the runtime has to tell, each on a line to stderr."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one."""
        complain(record.getMessage())


def progress(label: str, length: int | None, iterable: Iterable[_T] | None = None) -> Any:
    """Return click's progress bar, on stderr, and only if that is a terminal; without a length it only moves."""
    return click.progressbar(iterable, length, label, file=sys.stderr, hidden=not sys.stderr.isatty())
