"""The server: one process that listens, answers, and stops when it has answered everything."""

from __future__ import annotations

import uvicorn

from adain_rt.serve.app import make_app
from adain_rt.serve.limits import Limits
from adain_rt.stylizer import Stylizer

__all__ = ["serve"]


def serve(stylizer: Stylizer, limits: Limits, host: str, port: int) -> None:
    """Answer requests until a signal comes (SIGINT or SIGTERM), and then those that have been accepted.

    Raises:
        AdainError: the model cannot be loaded.

    """
    config = uvicorn.Config(make_app(stylizer, limits), host=host, port=port)
    uvicorn.Server(config).run()
