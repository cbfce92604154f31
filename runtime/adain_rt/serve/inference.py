"""The Open Inference Protocol, version 2: the graphs of the contract as they are, for clients of KServe and Triton."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import adain_rt
from adain_rt.contract import GRAPHS, TensorSpec
from adain_rt.serve.limits import Bodies, Limits, Room
from adain_rt.serve.refusals import Refusal
from adain_rt.serve.tensors import DATATYPES, pack, unpack
from adain_rt.serve.work import Workers
from adain_rt.stylizer import Stylizer

__all__ = ["InferenceProtocol"]

_VERSION = "1"
_ANY = -1


class InferenceProtocol:
    """The endpoints under ``/v2``. Each graph of the contract is a model there, with the contract's names and types.

    https://github.com/kserve/open-inference-protocol, with Triton's extension for binary tensors.

    Attributes:
        routes: for the application.

    """

    def __init__(
        self,
        stylizer: Stylizer,
        workers: Workers,
        bodies: Bodies,
        room: Room,
        limits: Limits,
        is_ready: Callable[[], bool],
    ) -> None:
        self._stylizer = stylizer
        self._workers = workers
        self._bodies = bodies
        self._room = room
        self._limits = limits
        self._is_ready = is_ready
        self.routes = [
            Route("/v2", self.describe_server),
            Route("/v2/health/live", self.tell_life),
            Route("/v2/health/ready", self.tell_readiness),
        ]
        for model in ("/v2/models/{graph}", "/v2/models/{graph}/versions/{version}"):
            self.routes += [
                Route(model, self.describe_model),
                Route(f"{model}/ready", self.tell_model_readiness),
                Route(f"{model}/infer", self.infer, methods=["POST"]),
            ]

    async def describe_server(self, request: Request) -> Response:
        """Name the server and what it has beyond the protocol."""
        del request
        facts = {"name": "adain-rt", "version": adain_rt.__version__, "extensions": ["binary_tensor_data"]}
        return JSONResponse(facts)

    async def tell_life(self, request: Request) -> Response:
        """Say that the server runs."""
        del request
        return JSONResponse({"live": True})

    async def tell_readiness(self, request: Request) -> Response:
        """Say whether the server takes requests: not any more once it is stopping."""
        del request
        return self._answer_readiness()

    async def tell_model_readiness(self, request: Request) -> Response:
        """Say whether a graph can be run."""
        _find_graph(request)
        return self._answer_readiness()

    async def describe_model(self, request: Request) -> Response:
        """Say what goes into a graph and what comes out."""
        graph = _find_graph(request)
        return JSONResponse(
            {
                "name": graph,
                "versions": [_VERSION],
                "platform": f"adain-rt_{self._stylizer.backend}",
                "inputs": [_describe(tensor) for tensor in GRAPHS[graph].inputs],
                "outputs": [_describe(tensor) for tensor in GRAPHS[graph].outputs],
            }
        )

    async def infer(self, request: Request) -> Response:
        """Run a graph."""
        graph = _find_graph(request)
        async with self._bodies.open(request) as stream:
            body = b"".join([chunk async for chunk in stream])
            json_bytes = request.headers.get("inference-header-content-length")
            data, headers = await self._workers.run(request, lambda: self._run(graph, body, json_bytes))
        return Response(data, headers=headers)

    def _answer_readiness(self) -> Response:
        ready = self._is_ready()
        return JSONResponse({"ready": ready}, 200 if ready else 503)

    def _run(self, graph: str, body: bytes, json_bytes: str | None) -> tuple[bytes, dict[str, str]]:
        inference = unpack(body, json_bytes)
        image = inference.inputs.get("image")
        pixels = 0 if image is None else math.prod(image.shape[:-1])
        if pixels > self._limits.pixels:
            most = f"{self._limits.pixels:,} pixels"
            raise Refusal(422, f"the input image has more than {most}", hint="send fewer at once")
        with self._room.take(pixels):
            outputs = self._stylizer.run_graph(graph, inference.inputs)
        return pack(graph, inference, outputs)


def _find_graph(request: Request) -> str:
    """Return the graph of an address, in the one version that there is."""
    graph: str = request.path_params["graph"]
    version = request.path_params.get("version", _VERSION)
    if graph not in GRAPHS or version != _VERSION:
        raise Refusal(
            404,
            f"there is no model {graph} of version {version}",
            hint=f"use version {_VERSION} of {', '.join(GRAPHS)}",
        )
    return graph


def _describe(tensor: TensorSpec) -> dict[str, Any]:
    """Return a tensor's facts; a size that may be any is -1."""
    shape = [_ANY if isinstance(side, str) else side for side in tensor.shape]
    return {"name": tensor.name, "datatype": DATATYPES[tensor.dtype], "shape": shape}
