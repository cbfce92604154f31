"""The server: one process that listens, answers, and stops when it has answered everything."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

import uvicorn

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_rt.serve.app import make_app
from adain_rt.serve.limits import Limits
from adain_rt.serve.logs import LOG, begin_logging
from adain_rt.stylizer import Stylizer

__all__ = ["serve"]

_MOST_CONNECTIONS = 1024
_LAST_REQUESTS = 0.5
"""Seconds in which a client that is connected may still send a request once the server stops."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def serve(
    stylizer: Stylizer,
    limits: Limits,
    *,
    host: str,
    port: int,
    token: str | None,
    allow_hosts: Collection[str],
    announce: Callable[[str], None],
) -> None:
    """Answer requests until SIGINT or SIGTERM comes, and then those that have been accepted.

    Args:
        stylizer: paints the pictures.
        limits: of requests.
        host: the address to listen on.
        port: the port; 0 is any that is free.
        token: that a request to the API must bear; ``None`` is none.
        allow_hosts: names, beside its own, that a request may give a server on loopback.
        announce: is called with the server's address once it listens.

    Raises:
        AdainError: the model cannot be run, or the address cannot be listened on.

    """
    with _listen(host, port) as listener:
        address, bound = listener.getsockname()[:2]
        is_local = address in _LOOPBACK
        stopping = Event()
        app = make_app(
            stylizer,
            limits,
            token=token,
            hosts={*_LOOPBACK, *map(str.lower, allow_hosts)} if is_local else None,
            is_ready=lambda: not stopping.is_set(),
        )
        begin_logging()
        if token is None and not is_local:
            LOG.warning("there is no token: whoever reaches this address may paint")
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            http="h11",  # and not whatever else is installed
            loop="asyncio",
            ws="none",
            limit_concurrency=_MOST_CONNECTIONS,
            timeout_graceful_shutdown=round(2 * limits.seconds),
        )
        url = f"http://[{address}]:{bound}/" if ":" in address else f"http://{address}:{bound}/"
        _Server(config, listener, stopping, lambda: announce(url)).run([listener.dup()])


class _Server(uvicorn.Server):
    """Stops without losing a request.

    uvicorn closes each connection on which no request is under way, although one may be arriving. Here such connections
    have a moment more, in which each answer says that it is the connection's last. uvicorn also accepts no connection
    that waits, and each of these is reset with the socket that listens. Here they are accepted.

    Args:
        config: of uvicorn.
        listener: listens; uvicorn has a duplicate, so that closing that resets nothing yet.
        stopping: is set once the server stops.
        announce: is called once the server listens.

    """

    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, stopping: Event, announce: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._stopping = stopping
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; a second signal stops at once."""
        del sig, frame
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, and answer what has been asked on those that there are."""
        self._stopping.set()
        for server in self.servers:
            server.close()
        loop = asyncio.get_running_loop()
        taken = (loop.connect_accepted_socket(self._make_protocol, waiting) for waiting in _close(self._listener))
        await asyncio.gather(*taken, return_exceptions=True)  # whoever has gone must not keep the others from an answer
        await asyncio.sleep(0 if self.force_exit else _LAST_REQUESTS)
        await super().shutdown(sockets)

    def _make_protocol(self) -> asyncio.Protocol:
        """Return what uvicorn gives each connection."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _close(listener: socket.socket) -> list[socket.socket]:
    """Close a socket that listens, and return the connections that waited to be accepted: they would be reset.

    The system takes connections until the listener is closed: who connects after the last look is reset all the same.
    Sockets have no portable way to prevent it, so nothing else may come between the two.
    """
    connections = []
    with listener:
        while True:
            try:
                connections.append(listener.accept()[0])
            except ConnectionAbortedError:  # this client has gone
                continue
            except OSError:  # none waits, or the process may open no more
                return connections


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """Yield a socket that is bound, so that a port that is taken is refused before the model is loaded."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AdainError(
            f"{host}: is no address of this machine ({explain(error)})", hint="choose another `host`"
        ) from None
    with listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            raise AdainError(
                f"{host}:{port}: cannot be listened on ({explain(error)})", hint="choose another `port` or `host`"
            ) from None
        listener.setblocking(False)
        yield listener
