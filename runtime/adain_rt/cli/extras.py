"""The error of a command whose packages are not installed. This module imports none of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from adain_models.errors import AdainError

__all__ = ["needing"]


@contextmanager
def needing(command: str, extra: str) -> Iterator[None]:
    """Turn a failing import in the block into an error that names the extra to install.

    Args:
        command: the command's name.
        extra: the extra of this distribution that installs every package the command needs.

    Raises:
        AdainError: a package is missing.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise AdainError(f"{command} needs {error.name}: pip install 'adain-rt[{extra}]'") from None
