"""``adain-rt serve``."""

from __future__ import annotations

import click

from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.stylizer import Stylizer

__all__ = ["command"]


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port to listen on.")
@options.stylizer
def command(host: str, port: int, stylizer: Stylizer) -> None:
    """Serve the page and the API over HTTP."""
    with needing("serve", "serve"):
        from adain_rt.serve.limits import Limits
        from adain_rt.serve.server import serve
    serve(stylizer, Limits(), host, port)
