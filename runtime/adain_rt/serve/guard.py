"""Who may ask: the token, the names that the server goes by, and no other web site."""

from __future__ import annotations

import hmac
from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from adain_rt.serve.refusals import Refusal, answer

__all__ = ["Guard"]

_GUARDED = ("/v1/", "/v2", "/metrics")
_OPEN = "/v2/health/"


class Guard:
    """Refuses requests of strangers before anything of them is read.

    A page of another web site could send requests to a server on the same machine: a browser says so in
    ``Sec-Fetch-Site``. By a name of its own that points to this machine it could read the answers as well: so a server
    that only this machine reaches answers to its own names alone.

    Args:
        app: what is guarded.
        token: that a request to the API must bear; ``None`` is none.
        hosts: the names that a request may give the server; ``None`` is any.

    """

    def __init__(self, app: ASGIApp, token: str | None, hosts: Collection[str] | None) -> None:
        self._app = app
        self._token = token
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        refusal = self._refuse(scope["path"], Headers(scope=scope)) if scope["type"] == "http" else None
        await (self._app if refusal is None else answer(refusal))(scope, receive, send)

    def _refuse(self, path: str, headers: Headers) -> Refusal | None:
        host = _name_of(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            return Refusal(
                403, f"the server does not go by the name {host}", hint="start it with the name as `allow_host`"
            )
        if not path.startswith(_GUARDED) or path.startswith(_OPEN):
            return None
        if headers.get("sec-fetch-site") == "cross-site":
            return Refusal(403, "another web site sent this request")
        if self._token is not None and not _bears(headers, self._token):
            return Refusal(
                401,
                "the token is missing or wrong",
                hint="send the header Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None


def _name_of(host: str) -> str:
    """Return the name in a Host header, without the port."""
    name, _, port = host.rpartition(":")
    return (name if port.isdecimal() and name else host).strip("[]").lower()


def _bears(headers: Headers, token: str) -> bool:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode("latin-1"), token.encode())
