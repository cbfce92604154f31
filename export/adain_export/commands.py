"""What the commands that need the ``export`` extra do alike. Imports nothing of that extra."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adain_models import spec, store
from adain_models.errors import AdainError

__all__ = ["dir_with_weights", "needing_export", "refuse_bundled"]


@contextmanager
def needing_export(command: str, extra: str = "export") -> Iterator[None]:
    """Say in one line what to install where the imports of the block lack a package.

    Raises:
        AdainError: one is missing.

    """
    try:
        yield
    except ModuleNotFoundError as error:
        raise AdainError(f"{command} needs {error.name}: pip install 'adain-rt[{extra}]'") from None


def dir_with_weights(model: str) -> Path:
    """Return the directory of a model, given as for ``model_dir``.

    Raises:
        AdainError: there is no such model, or it is a named one whose weights are not fetched.

    """
    directory = store.model_dir(model)
    if model in spec.MODELS and not (directory / store.WEIGHTS_NAME).is_file():
        raise AdainError(f"model {model} has no weights yet; run `adain-rt weights fetch {model}`")
    return directory


def refuse_bundled(model: str, output: Path | None) -> None:
    """Refuse to write into the package.

    Raises:
        AdainError: the model ships with its graphs, and no other directory is named.

    """
    if output is None and model in spec.MODELS and spec.MODELS[model].bundled:
        raise AdainError(f"model {model} ships with its graphs; name another directory with -o")
