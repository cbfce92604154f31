"""Check where a command may write. This module needs no package of the ``export`` extra."""

from __future__ import annotations

from pathlib import Path

from adain_models.errors import AdainError
from adain_models.weights import spec

__all__ = ["refuse_bundled"]


def refuse_bundled(model: str, output: Path | None) -> None:
    """Refuse to write into the installed package.

    Raises:
        AdainError: the model ships with its graphs, and no other directory is given.

    """
    if output is None and model in spec.MODELS and spec.MODELS[model].bundled:
        raise AdainError(f"model {model} ships with its graphs", hint="give another directory with -o")
