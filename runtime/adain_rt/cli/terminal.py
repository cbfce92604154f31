"""What commands print: errors and notices on stderr, and a progress bar if stderr is a terminal."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO, TypeVar

import click

from adain_models.errors import AdainError

__all__ = ["Notices", "complain", "printable", "progress", "word_error"]

_T = TypeVar("_T")

_PARAMETER = re.compile(r"`([a-z][a-z0-9_]*)`")
"""A parameter in a hint; a command, such as `adain-rt export`, has a space or a hyphen and does not match."""


def word_error(error: Exception) -> str:
    """Return an error's text, with the parameters of a hint written as options: ``precision`` as --precision."""
    if not isinstance(error, AdainError) or error.hint is None:
        return str(error)
    hint = _PARAMETER.sub(lambda parameter: "--" + parameter[1].replace("_", "-"), error.hint)
    return f"{error.message}; {hint}"


_OBEYED = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Characters that a terminal obeys: control characters, ends of lines, and what turns the direction of writing."""


def printable(text: object) -> str:
    """Return a text from a file for a terminal, with U+FFFD for each character that the terminal would obey."""
    return _OBEYED.sub("\ufffd", str(text))


def complain(message: str) -> None:
    """Write one line to stderr, whatever characters a file's name or its metadata brought into it.

    Where stderr itself cannot be written to, there is nobody to tell.
    """
    line = "".join(character if character.isprintable() else " " for character in message)
    with suppress(OSError):
        click.echo(f"adain-rt: {' '.join(line.split())}", err=True)


class Notices(logging.Handler):
    """Writes the runtime's warnings to stderr, each on a line."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one warning."""
        message = record.getMessage()
        for each in record.args or ():
            if isinstance(each, AdainError):
                message = message.replace(str(each), word_error(each))
        complain(message)


def progress(label: str, length: int | None, iterable: Iterable[_T] | None = None, stream: TextIO | None = None) -> Any:
    """Return click's progress bar on stderr, hidden if stderr is not a terminal; without a length it only moves.

    Where stderr leads elsewhere for a while, ``stream`` is what it was.
    """
    stream = stream or sys.stderr
    return click.progressbar(iterable, length, label, file=stream, hidden=not stream.isatty())
