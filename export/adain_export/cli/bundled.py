"""What the commands that write into model directories do alike. Imports nothing of the ``export`` extra."""

from __future__ import annotations

from pathlib import Path

from adain_models.errors import AdainError
from adain_models.weights import spec

__all__ = ["refuse_bundled"]


def refuse_bundled(model: str, output: Path | None) -> None:
    """Refuse to write into the package.

    Raises:
        AdainError: the model ships with its graphs, and no other directory is named.

    """
    if output is None and model in spec.MODELS and spec.MODELS[model].bundled:
        raise AdainError(f"model {model} ships with its graphs; name another directory with -o")
