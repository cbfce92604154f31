"""The application: its routes, and what stands around each of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from adain_models.errors import AdainError
from adain_rt.serve.api import Api
from adain_rt.serve.guard import Guard
from adain_rt.serve.headers import SafeHeaders
from adain_rt.serve.inference import InferenceProtocol
from adain_rt.serve.limits import Bodies, Delivery, Limits, Room
from adain_rt.serve.metrics import Metrics
from adain_rt.serve.openapi import Description
from adain_rt.serve.painting import Painter
from adain_rt.serve.refusals import Refusal, answer
from adain_rt.serve.watch import Watch
from adain_rt.serve.work import Workers
from adain_rt.stylizer import Stylizer

__all__ = ["make_app"]

_PAGE = Path(__file__).parent / "page"


def make_app(
    stylizer: Stylizer,
    limits: Limits,
    *,
    token: str | None = None,
    hosts: Collection[str] | None = None,
    is_ready: Callable[[], bool] = lambda: True,
) -> Starlette:
    """Return the application.

    Args:
        stylizer: paints the pictures.
        limits: of requests.
        token: that a request to the API must bear; ``None`` is none.
        hosts: the names that a request may give the server; ``None`` is any.
        is_ready: whether new requests are welcome.

    Raises:
        AdainError: a preset cannot be read, or the model cannot be run.

    """
    workers, bodies, room = Workers(limits), Bodies(limits), Room(limits.pixels)
    painter = Painter(stylizer, limits, room)
    painter.warm_up()
    metrics = Metrics(stylizer, workers, bodies)
    routes = [
        *Api(painter, workers, bodies, limits).routes,
        *InferenceProtocol(stylizer, workers, bodies, room, limits, is_ready).routes,
        *Description(limits).routes,
        Route("/metrics", metrics.show),
    ]
    addresses = {route.endpoint: route.path for route in reversed(routes)}
    return Starlette(
        routes=[*routes, Mount("/", StaticFiles(directory=_PAGE, html=True))],
        middleware=[
            Middleware(SafeHeaders),
            Middleware(Watch, metrics=metrics, addresses=addresses, is_ready=is_ready),
            Middleware(Delivery, limits=limits),
            Middleware(Guard, token=token, hosts=hosts),
        ],
        lifespan=partial(_close_at_end, workers),
        exception_handlers={AdainError: _refuse, HTTPException: _refuse_http},
    )


@asynccontextmanager
async def _close_at_end(workers: Workers, app: Starlette) -> AsyncIterator[None]:
    del app
    yield
    workers.close()


async def _refuse(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, AdainError)  # noqa: S101 - it is registered for these
    return answer(error)


async def _refuse_http(request: Request, error: Exception) -> Response:
    """Word what Starlette refuses: an address that is not there, or a method that it does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
    what = f"{request.method} {request.url.path}: {error.detail.lower()}"
    return answer(Refusal(error.status_code, what, headers=error.headers))
