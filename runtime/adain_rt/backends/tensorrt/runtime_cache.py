"""What TensorRT-RTX compiled on this GPU, kept on disk, so that the next start need not."""

from __future__ import annotations

import logging
import weakref
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from adain_models.errors import AdainError
from adain_models.files import replacing
from adain_models.weights import store
from adain_rt.cuda import Gpu

__all__ = ["RuntimeCache"]

_LOG = logging.getLogger("adain_rt")


class RuntimeCache:
    """One runtime cache for all engines of a process. A file that does not fit is ignored and replaced.

    Args:
        version: the library's version.
        gpu: the GPU that it compiles for.

    """

    def __init__(self, version: str, gpu: Gpu) -> None:
        name = sha256(repr((version, gpu)).encode()).hexdigest()[:16]
        try:
            self._path: Path | None = store.cache_dir() / "tensorrt-rtx" / f"{name}.cache"
        except AdainError:  # there is no place for a cache
            self._path = None
        self._lock = Lock()
        self._stored: _StoredCache | None = None

    def use_in(self, config: Any) -> None:
        """Let the contexts of a runtime configuration share the cache."""
        with self._lock:
            if self._path is None:
                return
            if self._stored is None:
                self._stored = _StoredCache(config.create_runtime_cache(), self._path)
                weakref.finalize(self, self._stored.save)  # also at exit
            if not config.set_runtime_cache(self._stored.cache):
                _LOG.info("TensorRT-RTX takes no runtime cache: what it compiles is compiled again at the next start")

    def save(self) -> None:
        """Write the cache if it has changed since it was last read or written."""
        with self._lock:
            if self._stored is not None:
                self._stored.save()


class _StoredCache:
    """A runtime cache with the content of its file as it was last read or written here.

    Only a change is written: another process, or a later cache of this one, may have written more meanwhile.
    """

    def __init__(self, cache: Any, path: Path) -> None:
        self.cache = cache
        self._path = path
        self._content = b""
        with suppress(OSError):  # there is no file yet
            content = path.read_bytes()
            if cache.deserialize(content):
                self._content = content
            else:
                _LOG.info("%s: is not for this machine, and will be replaced", path)

    def save(self) -> None:
        """Write the cache if it has changed. A failure costs only time."""
        with suppress(Exception):  # at exit the GPU may be gone
            content = bytes(self.cache.serialize())
            if content != self._content:
                with replacing(self._path) as aside:
                    aside.write_bytes(content)
                self._content = content
