"""What stands around every request: its id, its line in the log, its place in the metrics, and the last resort."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from adain_rt.serve.logs import LOG
from adain_rt.serve.metrics import Metrics
from adain_rt.serve.refusals import Refusal, answer

__all__ = ["Watch"]

_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_METHODS = {"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"}
"""Those that are counted by their names: a client may invent any number of others."""

_GONE = 499
"""The status in the log of a request whose client hung up, as nginx has it."""


class Watch:
    """Counts and logs requests, and answers those on which the code fails; nothing of it reaches another request.

    Args:
        app: what answers.
        metrics: counts.
        addresses: of each endpoint, with names in place of what a client may choose.
        is_ready: whether the server goes on; once it does not, each answer is the last on its connection.

    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, addresses: Mapping[Any, str], is_ready: Callable[[], bool]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._addresses = addresses
        self._is_ready = is_ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                if not self._is_ready():
                    headers["Connection"] = "close"
            await send(message)

        facts: dict[str, object] = {"id": request_id, "method": scope["method"]}
        with self._metrics.in_progress.track_inprogress():
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                status = _GONE
            except Exception:  # a fault of ours, which must not end the connection without a word
                LOG.exception("fault", extra={"facts": facts})
                if not status:
                    await answer(_fault(request_id))(scope, receive, send_with_id)
        seconds = time.perf_counter() - began
        route = self._addresses.get(scope.get("endpoint"), "page")
        self._metrics.count(scope["method"] if scope["method"] in _METHODS else "other", route, status, seconds)
        client = scope["client"][0] if scope.get("client") else None
        facts |= {"route": route, "status": status, "seconds": round(seconds, 4), "client": client}
        LOG.info("request", extra={"facts": facts})


def _fault(request_id: str) -> Refusal:
    return Refusal(500, "the server failed on this request", hint=f"its log says more of {request_id}")
