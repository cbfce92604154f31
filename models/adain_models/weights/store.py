"""Where models are stored on this machine. This module imports no torch.

A *model directory* holds ``weights.safetensors`` and, once exported, the graphs that read their weights from it.
The bundled model's directory is inside the package; every other named model's is in the cache.
"""

from __future__ import annotations

import os
from pathlib import Path

from adain_models.errors import AdainError
from adain_models.weights import spec

__all__ = ["CACHE_VARIABLE", "WEIGHTS_NAME", "cache_dir", "dir_with_weights", "model_dir", "model_name"]

CACHE_VARIABLE = "ADAIN_RT_CACHE"
WEIGHTS_NAME = "weights.safetensors"


def cache_dir() -> Path:
    """Return the cache directory: ``$ADAIN_RT_CACHE``, else the platform's own place for caches.

    Raises:
        AdainError: there is no such place, since the user has no home directory.

    """
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    import platformdirs

    try:
        place = platformdirs.user_cache_path("adain-rt", appauthor=False)
    except RuntimeError:
        place = Path("~")
    if place.parts[0] == "~":  # what older versions return
        raise AdainError("this user has no home directory for a cache", hint=f"set {CACHE_VARIABLE} to a directory")
    return place


def model_dir(model: str) -> Path:
    """Return the directory of a model, given by name or as the path of a model directory.

    The directory of a named model may not exist yet.

    Raises:
        AdainError: ``model`` is neither a known name nor a directory, or there is no place for a cache.

    """
    if model in spec.MODELS:
        if spec.MODELS[model].bundled:
            return Path(__file__).parents[1] / "bundled" / model
        return cache_dir() / "models" / model
    path = Path(model)
    if path.is_dir():
        return path
    raise AdainError(f"model {model!r} is neither a model ({', '.join(spec.MODELS)}) nor a model directory")


def dir_with_weights(model: str) -> Path:
    """Return the directory of a model, given as for ``model_dir``.

    Raises:
        AdainError: there is no such model, or it is a named one whose weights are not fetched.

    """
    directory = model_dir(model)
    if model in spec.MODELS and not (directory / WEIGHTS_NAME).is_file():
        raise AdainError(f"model {model} has no weights yet; run `adain-rt weights fetch {model}`")
    return directory


def model_name(model: str) -> str:
    """Return what to call a model, given as for ``model_dir``: its name, or its directory's."""
    return model if model in spec.MODELS else Path(model).resolve().name
