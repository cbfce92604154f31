"""What one request, and all of them together, may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from threading import Condition, Lock

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adain_rt.serve.refusals import Refusal

__all__ = ["Bodies", "Delivery", "Limits", "Room"]

_PART = 1 << 16
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

    body_bytes: int
    pixels: int
    seconds: float
    queue: int
    workers: int

    @property
    def all_bytes(self) -> int:
        """The most bytes of all bodies that are being read or wait, together."""
        return self.body_bytes * 16


class Room:
    """Pixels that may be in work at once, so that requests that fit into memory one by one do so together.

    Who asks first gets room first: small pictures do not pass a large one for ever.
    """

    def __init__(self, pixels: int) -> None:
        self._all = self._free = pixels
        self._door = Lock()
        self._changed = Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Wait until so many pixels are free, and hold them in the block; more than there are count as all."""
        taken = min(pixels, self._all)
        with self._door, self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()


class Delivery:
    """Sends answers in small parts, and gives up on a client that does not read them in time.

    A whole answer would wait in memory for as long as the client liked.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_in_parts(message: Message) -> None:
            body = message.get("body", b"") if message["type"] == "http.response.body" else b""
            for start in range(0, len(body) - _PART, _PART):
                await self._send_in_time(send, {**message, "body": body[start : start + _PART], "more_body": True})
            if len(body) > _PART:
                message = {**message, "body": body[(len(body) - 1) // _PART * _PART :]}
            await self._send_in_time(send, message)

        await self._app(scope, receive, send_in_parts)

    async def _send_in_time(self, send: Send, message: Message) -> None:
        try:
            await asyncio.wait_for(send(message), self._limits.seconds)
        except asyncio.TimeoutError:
            raise ClientDisconnect from None


class Bodies:
    """Takes in bodies within the limits, and counts the bytes of those that are held.

    A body that comes slowly takes nothing but its own bytes, and no place in the queue.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @property
    def held(self) -> int:
        """The bytes of all bodies that are held."""
        return self._held

    @asynccontextmanager
    async def open(self, request: Request) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """Give the block a request's body as it comes. Its bytes count as held until the block ends.

        Raises:
            Refusal: the body is too large (413), comes too slowly (408), or too much is held already (503).
            ClientDisconnect: the client hung up.

        """
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limits.body_bytes:
            await self._discard(request)
            raise self._too_large()
        size = 0

        async def receive() -> AsyncGenerator[bytes, None]:
            nonlocal size
            async for chunk in self._receive(request):
                size += len(chunk)
                self._held += len(chunk)
                if size > self._limits.body_bytes:
                    await self._discard(request)
                    raise self._too_large()
                if self._held > self._limits.all_bytes:
                    raise Refusal(503, "the server holds too much at once", hint="try again", headers=_LATER | _CLOSE)
                yield chunk

        try:
            yield receive()
        finally:
            self._held -= size

    async def _receive(self, request: Request) -> AsyncGenerator[bytes, None]:
        """Yield the chunks of a body.

        Raises:
            Refusal: it comes too slowly.
            ClientDisconnect: the client hung up.

        """
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
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def _discard(self, request: Request) -> None:
        """Read what is left of a body, and forget it: most clients read an answer only when they have sent all.

        Not for a client that waits to be asked, nor for longer or for more than a few bodies may take.
        """
        if "expect" in request.headers:
            return
        left, loop = self._limits.all_bytes, asyncio.get_running_loop()
        deadline = loop.time() + self._limits.seconds
        with suppress(asyncio.TimeoutError):
            while left > 0:
                message = await asyncio.wait_for(request.receive(), deadline - loop.time())
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return

    def _too_large(self) -> Refusal:
        most = f"{self._limits.body_bytes:,} bytes"
        return Refusal(413, f"the request has more than {most}", hint="use a smaller picture", headers=_CLOSE)
