"""Measured times of kernels, kept for the next build: it is faster, and chooses the same kernels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adain_models.errors import AdainError
from adain_models.files import replacing
from adain_models.weights.store import cache_dir

if TYPE_CHECKING:
    import tensorrt

__all__ = ["timing_cache"]


@contextmanager
def timing_cache(trt: Any, config: tensorrt.IBuilderConfig, gpu: str) -> Iterator[None]:
    """Give a builder the times that were measured on a GPU before, and keep those of the block.

    A cache that cannot be read or written costs time only.

    Args:
        trt: the library.
        config: the builder's configuration.
        gpu: the label of the GPU that it builds on; empty if no kernel is timed, and then there is no cache.

    """
    folder = _find_folder() if gpu else None
    if folder is None:
        yield
        return
    path = folder / f"{re.sub('[^A-Za-z0-9.]+', '-', f'{trt.__version__}-{gpu}')}.cache"
    config.set_timing_cache(config.create_timing_cache(_read(path)), ignore_mismatch=False)
    yield
    with suppress(Exception), replacing(path) as aside:
        aside.write_bytes(bytes(config.get_timing_cache().serialize()))


def _find_folder() -> Path | None:
    """Return the folder of the caches, or ``None`` if there is no place for any."""
    with suppress(AdainError):
        return cache_dir() / "timing"
    return None


def _read(path: Path) -> bytes:
    with suppress(OSError):
        return path.read_bytes()
    return b""
