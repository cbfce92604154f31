"""``adain-rt live``."""

from __future__ import annotations

import signal
import statistics
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import click

from adain_models.errors import AdainError
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import complain
from adain_rt.jobs.styles import load, parse
from adain_rt.steady import STEADY
from adain_rt.stylizer import Stylizer

if TYPE_CHECKING:
    from adain_rt.jobs.live import Live, Shown

__all__ = ["command"]

_RECENT = 25
"""Pictures over which what is shown is a mean."""


@click.command("live")
@click.argument("source", metavar="SOURCE")
@click.option(
    "--style",
    "styles",
    multiple=True,
    required=True,
    type=options.StyleName(),
    metavar="S",
    help="Style: a picture, a directory of pictures, a saved style, or a preset (@name). Repeat it for styles to "
    "change between.",
)
@options.alpha
@options.strokes
@options.fit
@options.underpainting
@click.option(
    "--color",
    type=click.Choice(("none", "luma")),
    default="none",
    show_default=True,
    help="Keep the photo's colours: luma transfers only brightness.",
)
@options.size(default=360)
@options.style_size
@click.option(
    "--steady",
    type=click.Choice(STEADY),
    default="flow",
    show_default=True,
    help="How frames are kept from flickering, as for `adain-rt video`.",
)
@click.option("--window", is_flag=True, help="Show the pictures in a window.")
@click.option("--virtual-camera", is_flag=True, help="Show them as a camera that other programs can choose.")
@options.stylizer
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write them to a file too."
)
@options.overwrite
def command(
    source: str,
    styles: Sequence[str],
    alpha: float,
    strokes: int,
    fit: bool,
    underpainting: float,
    color: str,
    size: int,
    style_size: int,
    steady: str,
    window: bool,
    virtual_camera: bool,
    stylizer: Stylizer,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Paint what a camera, a stream or a file shows, while it runs.

    \b
    Examples:
      adain-rt live /dev/video0 --style @starry-night --style @udnie --window
      adain-rt live rtsp://camera/stream --style @great-wave -o wave.mkv
      adain-rt live clip.mp4 --style painting.jpg --window

    SOURCE is a camera of Linux, the address of a stream, or a file, which plays at its own speed. The newest frame is
    painted, and those that came in between are left out. Keys, on the terminal and in the window: n and p change to the
    next and the previous style, 1 to 9 to a certain one, q ends.

    The exit status is 0, or 1 if the source was damaged or fell silent.
    """
    with needing("live", "video"):
        from adain_rt.jobs.live import Live, Screen
        from adain_rt.media.screens import VirtualCamera, Window
    screens: list[Screen] = [Window(lambda key: _obey(job, key))] if window else []
    if virtual_camera:
        screens.append(VirtualCamera())
    names = [name for style in styles for name in parse(style).names]
    codes = [load(name, stylizer, style_size, crop=False).encode(stylizer) for name in names]
    job = Live(
        source,
        codes,
        output,
        screens,
        strength=alpha,
        strokes=strokes,
        fit=fit,
        underpainting=underpainting,
        steady=steady,
        keep_chroma=color == "luma",
        size=size,
        overwrite=overwrite,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: job.stop())  # what is written so far is finished
    recent: deque[float] = deque(maxlen=_RECENT)
    shown = None
    with ExitStack() as stack:
        if sys.stdin.isatty():
            stack.enter_context(_keeping_terminal())
            Thread(target=_watch_keys, args=(job,), daemon=True).start()
        for shown in job.run(stylizer):
            recent.append(shown.latency)
            if sys.stderr.isatty():
                click.echo(f"\r{_describe(shown, recent)}\x1b[K", nl=False, err=True)
    if shown is None:
        raise AdainError(f"{source}: ended before a picture was shown")
    if sys.stderr.isatty():
        click.echo(err=True)
    else:
        complain(_describe(shown, recent))
    if job.damage:
        complain(f"{source}: {job.damage}")
        sys.exit(1)


@contextmanager
def _keeping_terminal() -> Iterator[None]:
    """Leave the terminal as it was. While a key is waited for, it shows nothing that is typed, and ends no program."""
    if sys.platform == "win32":  # where to wait for a key does not change it
        yield
        return
    import termios

    before = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _watch_keys(job: Live) -> None:
    """Obey keys until one ends the job. Ctrl-C is one, and no signal, while a key is waited for."""
    key = ""
    while key != "q":
        try:
            key = click.getchar()
        except (KeyboardInterrupt, EOFError):  # Ctrl-C, Ctrl-D
            key = "q"
        _obey(job, key)


def _obey(job: Live, key: str) -> None:
    """Do what a key stands for."""
    if key == "q":
        job.stop()
    elif key in {"n", "p"}:
        job.turn(1 if key == "n" else -1)
    elif key in set("123456789"):
        job.choose(int(key) - 1)


def _describe(shown: Shown, latencies: Sequence[float]) -> str:
    latency = 1000 * statistics.median(latencies)
    return f"{shown.frames} pictures, {shown.dropped} frames left out, {latency:.0f} ms from a frame to its picture"
