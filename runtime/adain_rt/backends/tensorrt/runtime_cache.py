"""What TensorRT-RTX compiled on this GPU, kept on disk, so that the next start is fast."""

from __future__ import annotations

import logging
import weakref
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from adain_models.files import replacing
from adain_models.weights import store
from adain_rt.cuda import Gpu

__all__ = ["RuntimeCache"]

_LOG = logging.getLogger("adain_rt")


class RuntimeCache:
    """One runtime cache for all engines of a process. A file that does not fit is replaced.

    Args:
        version: the version of the library.
        gpu: the GPU that it compiles for.

    """

    def __init__(self, version: str, gpu: Gpu) -> None:
        name = sha256(repr((version, gpu)).encode()).hexdigest()[:16]
        self._path = store.cache_dir() / "tensorrt-rtx" / f"{name}.cache"
        self._lock = Lock()
        self._cache: Any = None
        self._stored = b""

    def use_in(self, config: Any) -> None:
        """Make the contexts of a runtime configuration share the cache."""
        with self._lock:
            if self._cache is None:
                self._cache = config.create_runtime_cache()
                self._load()
                weakref.finalize(self, _store, self._cache, self._path, self._stored)  # also at exit
            if not config.set_runtime_cache(self._cache):
                _LOG.info(
                    "TensorRT-RTX takes no runtime cache; it will compile the same kernels again at the next start"
                )

    def save(self) -> None:
        """Write the cache if it has more than the last time."""
        with self._lock:
            self._stored = _store(self._cache, self._path, self._stored)

    def _load(self) -> None:
        with suppress(OSError):  # there is no file yet
            content = self._path.read_bytes()
            if self._cache.deserialize(content):
                self._stored = content
            else:
                _LOG.info("%s: is for another machine, and will be replaced", self._path)


def _store(cache: Any, path: Path, stored: bytes) -> bytes:
    """Write a cache that has more than was stored, and return what is stored now; a failure costs time only."""
    with suppress(Exception):  # as at exit, when the GPU may be gone
        content = bytes(cache.serialize())
        if content != stored:
            with replacing(path) as aside:
                aside.write_bytes(content)
            return content
    return stored
