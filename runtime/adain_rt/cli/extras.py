"""What commands say that need more than the light runtime. Imports nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from adain_models.errors import AdainError

__all__ = ["needing"]


@contextmanager
def needing(command: str, extra: str) -> Iterator[None]:
    """Say in one line what to install where the imports of the block lack a package.

    Args:
        command: what the user asked for.
        extra: of this distribution, which brings all that it needs.

    Raises:
        AdainError: one is missing.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise AdainError(f"{command} needs {error.name}: pip install 'adain-rt[{extra}]'") from None
