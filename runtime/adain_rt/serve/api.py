"""The API: pictures in, pictures out; styles; the model."""

from __future__ import annotations

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adain_rt.media.pictures import READABLE
from adain_rt.serve.forms import FORMATS, Fields, Upload, read_fields, read_order
from adain_rt.serve.limits import Bodies, Limits
from adain_rt.serve.painting import Painter
from adain_rt.serve.refusals import Refusal
from adain_rt.serve.styles import Entry
from adain_rt.serve.work import Workers
from adain_rt.style import SUFFIX
from adain_rt.transfer import COLORS

__all__ = ["Api"]

_KEPT = {"Cache-Control": "private, max-age=3600"}
"""For what changes only with the model."""


class Api:
    """The endpoints under ``/v1``.

    Attributes:
        routes: for the application.

    """

    def __init__(self, painter: Painter, workers: Workers, bodies: Bodies, limits: Limits) -> None:
        self._painter = painter
        self._workers = workers
        self._bodies = bodies
        self._limits = limits
        self.routes = [
            Route("/v1/models", self.list_models),
            Route("/v1/styles", self.list_styles),
            Route("/v1/styles", self.add_style, methods=["POST"]),
            Route("/v1/styles/{id}", self.fetch_style),
            Route("/v1/styles/{id}/sample", self.fetch_sample),
            Route("/v1/stylize", self.stylize, methods=["POST"]),
        ]

    async def stylize(self, request: Request) -> Response:
        """Paint a picture."""
        async with self._bodies.open(request) as body:
            order = read_order(await read_fields(request, body))
            picture, media_type = await self._workers.run(request, partial(self._painter.paint, order))
        return Response(picture, media_type=media_type)

    async def add_style(self, request: Request) -> Response:
        """Measure a picture's style, or take in a saved one."""
        async with self._bodies.open(request) as body:
            upload = _find_upload(await read_fields(request, body))
            entry = await self._workers.run(request, partial(self._painter.styles.add, upload))
        return JSONResponse(entry.describe(), 201, {"Location": f"/v1/styles/{entry.id}"})

    async def list_styles(self, request: Request) -> Response:
        """List the presets and the styles that were put in."""
        del request
        return JSONResponse({"styles": [entry.describe() for entry in self._painter.styles.list()]})

    async def fetch_style(self, request: Request) -> Response:
        """Return a style's code as a safetensors file, which the command line takes as a style."""
        entry = self._find(request)
        name = f'attachment; filename="{entry.id}{SUFFIX}"'
        return Response(
            entry.code.to_bytes(), media_type="application/octet-stream", headers={"Content-Disposition": name}
        )

    async def fetch_sample(self, request: Request) -> Response:
        """Return a small picture in a style."""
        entry = self._find(request)
        sample = await self._workers.run(request, partial(self._painter.paint_sample, entry))
        return Response(sample, media_type="image/jpeg", headers=_KEPT)

    async def list_models(self, request: Request) -> Response:
        """Describe the model, and what a request may ask for."""
        del request
        stylizer = self._painter.stylizer
        return JSONResponse(
            {
                "models": [
                    {
                        "name": stylizer.model,
                        "backend": stylizer.backend,
                        "precision": stylizer.precision,
                        "weights_sha256": stylizer.weights_sha256,
                    }
                ],
                "colors": COLORS,
                "formats": FORMATS,
                "reads": sorted({suffix[1:] for suffix in READABLE}),
                "limits": {
                    "body_bytes": self._limits.body_bytes,
                    "pixels": self._limits.pixels,
                    "seconds": self._limits.seconds,
                },
            }
        )

    def _find(self, request: Request) -> Entry:
        return self._painter.styles.find(request.path_params["id"])


def _find_upload(fields: Fields) -> Upload:
    """Return the one file of a request for a style."""
    given = [value for values in fields.values() for value in values]
    if fields.keys() != {"style"} or len(given) != 1 or not isinstance(given[0], Upload):
        raise Refusal(400, "a style is measured from one file", hint="send a picture as the field style")
    return given[0]
