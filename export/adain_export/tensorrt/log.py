"""A library's messages while it builds: warnings are passed on to the user, the last error and the layers are kept."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from adain_rt.backends.tensorrt.flavors import LOG

__all__ = ["BuildLog"]

_NOTICES = logging.getLogger("adain_rt")


class BuildLog(logging.Handler):
    """Listens to the libraries' logger during one build; there may be one at a time.

    Attributes:
        error: the first line of the last error, or ``None``.
        layers: what TensorRT-RTX logs about the engine's layers.

    """

    def __init__(self) -> None:
        super().__init__()
        self.error: str | None = None
        self.layers = ""

    @contextmanager
    def listen(self) -> Iterator[None]:
        """Take all messages of the block."""
        level, propagates = LOG.level, LOG.propagate
        LOG.setLevel(logging.DEBUG)
        LOG.propagate = False
        LOG.addHandler(self)
        try:
            yield
        finally:
            LOG.removeHandler(self)
            LOG.setLevel(level)
            LOG.propagate = propagates

    def emit(self, record: logging.LogRecord) -> None:
        """Keep or pass on one message."""
        message = record.getMessage()
        if record.levelno >= logging.ERROR:
            self.error = message.splitlines()[0]
        elif record.levelno == logging.WARNING:
            _NOTICES.warning("%s", message)
        elif message.startswith("Layers:"):
            self.layers = message
