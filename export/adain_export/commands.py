"""What the commands that need the ``export`` extra do alike. Imports nothing of that extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adain_models import spec
from adain_models.errors import AdainError

__all__ = ["needing_export", "refuse_bundled"]


@contextmanager
def needing_export(command: str) -> Iterator[None]:
    """Say in one line what to install where the imports of the block lack a package.

    Raises:
        AdainError: one is missing.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise AdainError(f"{command} needs {error.name}: pip install 'adain-rt[export]'") from None


def refuse_bundled(model: str, output: Path | None) -> None:
    """Refuse to write into the package.

    Raises:
        AdainError: the model ships with its graphs, and no other directory is named.

    """
    if output is None and model in spec.MODELS and spec.MODELS[model].bundled:
        raise AdainError(f"model {model} ships with its graphs; name another directory with -o")
