"""``adain-rt serve``."""

from __future__ import annotations

from collections.abc import Sequence

import click

from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.machine.cpu import available_cores
from adain_rt.stylizer import Stylizer

__all__ = ["command"]


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    metavar="N",
    help="Port; 0 is any free one.",
)
@click.option(
    "--token",
    envvar="ADAIN_RT_TOKEN",
    metavar="TEXT",
    help="Answer only requests with the header `Authorization: Bearer TEXT`. Better set the variable ADAIN_RT_TOKEN: "
    "other users of this machine can see the options of a command.",
)
@click.option(
    "--allow-host",
    "allow_hosts",
    multiple=True,
    metavar="NAME",
    help="Name by which a proxy reaches the server on loopback, as in its Host header. Repeat it for more.",
)
@click.option(
    "--max-bytes", type=click.IntRange(min=1), default=32 << 20, show_default=True, metavar="N",
    help="Most bytes of a request.",
)  # fmt: skip
@click.option(
    "--max-pixels", type=click.IntRange(min=1), default=24_000_000, show_default=True, metavar="N",
    help="Most pixels of a picture, as it comes in and as it goes out.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0.1, 3600), callback=options.finite, default=60, show_default=True, metavar="S",
    help="Seconds for a request to arrive, and as many for its answer.",
)  # fmt: skip
@click.option(
    "--queue", type=click.IntRange(min=0), default=64, show_default=True, metavar="N",
    help="Requests that may wait; further ones are asked to try again.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(1, 256), metavar="N",
    help="Pictures that are worked on at once.  [default: one for each core that a container allows, and two at least]",
)  # fmt: skip
@options.stylizer
def command(
    host: str,
    port: int,
    token: str | None,
    allow_hosts: Sequence[str],
    max_bytes: int,
    max_pixels: int,
    timeout: float,
    queue: int,
    workers: int | None,
    stylizer: Stylizer,
) -> None:
    """Serve the page and the API over HTTP.

    \b
    Examples:
      adain-rt serve
      adain-rt serve --port 8080 --backend openvino
      curl -F content=@photo.jpg -F style=starry-night -o out.jpg http://127.0.0.1:8000/v1/stylize

    The page is at the address that is printed, and the API is described at /docs there. Ctrl-C or SIGTERM ends the
    server once it has answered what was asked.
    """
    with needing("serve", "serve"):
        from adain_rt.serve.limits import Limits
        from adain_rt.serve.server import serve
    serve(
        stylizer,
        Limits(max_bytes, max_pixels, timeout, queue, workers or max(2, available_cores())),
        host=host,
        port=port,
        token=token,
        allow_hosts=allow_hosts,
        announce=lambda address: click.echo(f"adain-rt serves {address} (Ctrl-C stops it)"),
    )
