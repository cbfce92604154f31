"""The errors that a user can cause and mend."""

from __future__ import annotations

__all__ = ["AdainError"]


class AdainError(Exception):
    """What was asked for cannot be done, for a reason that the user can mend.

    The message is one line that names the file or option and the way out. The command line prints it to
    stderr and exits with status 2; a program may catch it as one type.
    """
