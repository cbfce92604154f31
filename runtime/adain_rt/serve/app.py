"""The application: its routes, and what stands around each of them."""

from __future__ import annotations

from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from adain_models.errors import AdainError
from adain_rt.serve.api import Api
from adain_rt.serve.headers import SafeHeaders
from adain_rt.serve.limits import Bodies, Limits
from adain_rt.serve.painting import Painter
from adain_rt.serve.refusals import Refusal, answer
from adain_rt.serve.work import Workers
from adain_rt.stylizer import Stylizer

__all__ = ["make_app"]

_PAGE = Path(__file__).parent / "page"


def make_app(stylizer: Stylizer, limits: Limits) -> Starlette:
    """Return the application.

    Args:
        stylizer: paints the pictures.
        limits: of requests.

    Raises:
        AdainError: a preset cannot be read.

    """
    painter, workers, bodies = Painter(stylizer, limits), Workers(limits), Bodies(limits)
    return Starlette(
        routes=[
            *Api(painter, workers, bodies, limits).routes,
            Mount("/", StaticFiles(directory=_PAGE, html=True)),
        ],
        middleware=[Middleware(SafeHeaders)],
        exception_handlers={AdainError: _refuse, HTTPException: _refuse_http, ClientDisconnect: _let_go},
    )


async def _refuse(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, AdainError)  # noqa: S101 - it is registered for these
    return answer(error)


async def _refuse_http(request: Request, error: Exception) -> Response:
    """Word what Starlette refuses: an address that is not there, or a method that it does not have."""
    assert isinstance(error, HTTPException)  # noqa: S101 - it is registered for these
    return answer(
        Refusal(
            error.status_code, f"{request.method} {request.url.path}: {error.detail.lower()}", headers=error.headers
        )
    )


async def _let_go(request: Request, error: Exception) -> Response:
    """Answer nobody: the client hung up. The status is for the log and the metrics."""
    del request, error
    return Response(status_code=499)
