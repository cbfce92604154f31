"""What one request, and all of them together, may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request

from adain_rt.serve.refusals import Refusal

__all__ = ["Bodies", "Limits"]

_LATER = {"Retry-After": "1"}
_CLOSE = {"Connection": "close"}
"""What is left of a body that is refused is not read: the connection ends with the answer."""


@dataclass(frozen=True)
class Limits:
    """The bounds of a server.

    Attributes:
        body_bytes: the most bytes of one request's body.
        pixels: the most pixels of a picture that comes in, or goes out.
        seconds: the time to send a body, and the time to answer it, each.
        queue: how many requests may wait for a worker.
        workers: how many requests are worked on at once.

    """

    body_bytes: int = 32 << 20
    pixels: int = 24_000_000
    seconds: float = 60
    queue: int = 64
    workers: int = 2

    @property
    def all_bytes(self) -> int:
        """The most bytes of all bodies that are being read or wait, together."""
        return self.body_bytes * 16


class Bodies:
    """Takes in bodies within the limits, and counts the bytes of those that are held.

    A body that comes slowly takes nothing but its own bytes, and no place in the queue.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """Give the block a request's body as it comes. Its bytes count as held until the block ends.

        Raises:
            Refusal: the body is too large (413), comes too slowly (408), or too much is held already (503).
            ClientDisconnect: the client hung up.

        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limits.body_bytes:
            raise self._too_large()
        sizes: list[int] = []
        try:
            yield self._receive(request, sizes)
        finally:
            self._held -= sum(sizes)

    async def _receive(self, request: Request, sizes: list[int]) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of a body, and note their sizes."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._limits.seconds
        more = True
        while more:
            try:
                message = await asyncio.wait_for(request.receive(), deadline - loop.time())
            except asyncio.TimeoutError:
                seconds = f"{self._limits.seconds:g} seconds"
                raise Refusal(408, f"the request took longer than {seconds} to arrive", headers=_CLOSE) from None
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunk: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            sizes.append(len(chunk))
            self._held += len(chunk)
            if sum(sizes) > self._limits.body_bytes:
                raise self._too_large()
            if self._held > self._limits.all_bytes:
                raise Refusal(503, "the server holds too much at once", hint="try again", headers=_LATER | _CLOSE)
            yield chunk

    def _too_large(self) -> Refusal:
        most = f"{self._limits.body_bytes:,} bytes"
        return Refusal(413, f"the request has more than {most}", hint="use a smaller picture", headers=_CLOSE)
