"""The errors that a user can cause and mend."""

from __future__ import annotations

__all__ = ["AdainError"]


class AdainError(Exception):
    """Something that was asked for cannot be done, for a reason that the user can mend.

    A program may catch this one type. The command line prints it as one line on stderr and exits with status 2.

    Args:
        message: one line that says what is wrong and names the file or the value.
        hint: the way out, if the message does not give it. A parameter stands in backquotes by its name in Python, such
            as ```precision```; the command line writes it as its option, ``--precision``.

    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}; {hint}")
        self.message = message
        self.hint = hint
