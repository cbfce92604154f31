"""Options that several commands share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from adain_models.weights import spec
from adain_rt import backends, contract, transfer
from adain_rt.backends import Settings
from adain_rt.budget import AUTO_TILE, NO_TILES, Tile
from adain_rt.strokes import STROKES
from adain_rt.stylizer import Stylizer
from adain_rt.underpainting import MOST_UNDERPAINTING, UNDERPAINTING

__all__ = [
    "StyleName",
    "alpha",
    "color",
    "crop",
    "engines",
    "fit",
    "masks",
    "max_size",
    "model",
    "output_file",
    "overwrite",
    "recursive",
    "resume",
    "share",
    "size",
    "strokes",
    "style_size",
    "styles",
    "stylizer",
    "threads",
    "trust_engines",
    "underpainting",
]

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

model: _Decorator = click.option(
    "--model",
    default=spec.DEFAULT_MODEL,
    show_default=True,
    metavar="NAME|DIR",
    help=f"Model name ({', '.join(spec.MODELS)}) or model directory.",
)
_backend: _Decorator = click.option(
    "--backend",
    type=click.Choice([backends.AUTO, *backends.BACKENDS]),
    default=backends.AUTO,
    show_default=True,
    metavar="NAME",
    help=f"Backend that runs the network: {', '.join(backends.BACKENDS)}, or auto for the best that can run here. "
    "`adain-rt info` shows which can.",
)
_precision: _Decorator = click.option(
    "--precision",
    type=click.Choice([backends.AUTO, *contract.PRECISIONS]),
    default=backends.AUTO,
    show_default=True,
    help="Precision of the network; auto is fp16 on a GPU. On a CPU it is int8 if the model has int8 graphs and the "
    "processor is fast at it, but for smooth pictures, else fp32.",
)
threads: _Decorator = click.option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="CPU threads.  [default: one for each core that a container allows]",
)
engines: _Decorator = click.option(
    "--engines",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="TensorRT engines directory, made by `adain-rt build -o`.  [default: the cache; missing engines are built]",
)
trust_engines: _Decorator = click.option(
    "--trust-engines",
    is_flag=True,
    help="Load a TensorRT engine even if it does not match its manifest. Engines can run code.",
)
_cuda_graph: _Decorator = click.option(
    "--cuda-graph/--no-cuda-graph",
    default=True,
    help="Record the GPU's work for each size as a CUDA graph and replay it.  [default: yes]",
)


class StyleName(click.types.StringParamType):
    """A picture, a saved style or a preset. Where none is given, the error says what to give."""

    def get_missing_message(self, param: click.Parameter, ctx: click.Context | None) -> str:
        """Return what to give."""
        del param, ctx
        return "Give a picture, or a preset such as @starry-night; `adain-rt style list` shows them."


def tile_side(ctx: click.Context, param: click.Parameter, value: str) -> int | str:
    """Return the side of tiles, or one of the words."""
    if value in (AUTO_TILE, NO_TILES):
        return value
    if not value.isascii() or not value.isdecimal():
        raise click.BadParameter(f"{value!r} is not {AUTO_TILE}, {NO_TILES} or a number of pixels.", ctx, param)
    return int(value)


_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)(?:I?B)?")


def byte_count(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Return the bytes that a text such as ``1.5G`` stands for."""
    if value is None:
        return None
    amount = _AMOUNT.fullmatch(value.upper())
    if amount is None or not float(amount[1]):
        raise click.BadParameter(f"{value!r} is not an amount of memory, such as 512M or 2G.", ctx, param)
    return int(float(amount[1]) * _UNITS[amount[2]])


_tile: _Decorator = click.option(
    "--tile",
    callback=tile_side,
    default=AUTO_TILE,
    show_default=True,
    metavar="auto|off|N",
    help="Compute a photo in tiles: auto if it does not fit into --memory, off never, or all that are larger than N "
    "pixels, in tiles of N. It comes out as the whole does.",
)
_memory: _Decorator = click.option(
    "--memory",
    callback=byte_count,
    metavar="SIZE",
    help="Memory that a photo may take, such as 512M; of a GPU its own.  [default: what is free, at most 2G on a CPU]",
)


def stylizer(function: Callable[..., Any], threads: _Decorator = threads) -> Callable[..., Any]:
    """Add the options of a Stylizer to a command, which gets the Stylizer as ``stylizer``.

    The option ``--threads`` is ``threads``, where a command means something else by it.
    """

    @model
    @_backend
    @_precision
    @threads
    @engines
    @trust_engines
    @_cuda_graph
    @_tile
    @_memory
    @wraps(function)
    def wrapped(
        *args: Any,
        model: str,
        backend: str,
        precision: str,
        threads: int | None,
        engines: Path | None,
        trust_engines: bool,
        cuda_graph: bool,
        tile: Tile,
        memory: int | None,
        **kwargs: Any,
    ) -> Any:
        settings = Settings(threads=threads, engines=engines, trust_engines=trust_engines, cuda_graph=cuda_graph)
        with Stylizer(model, backend, precision, settings, tile, memory) as stylizer:
            return function(*args, stylizer=stylizer, **kwargs)

    return wrapped


def finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse infinity and nan; click's FloatRange accepts nan."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value:g} is not a finite number.", ctx, param)
    return value


def _up_to(most: float) -> Callable[[click.Context, click.Parameter, float], float]:
    """Return what refuses a number outside 0..most, and nan, which click's FloatRange accepts."""

    def check(ctx: click.Context, param: click.Parameter, value: float) -> float:
        if not 0 <= value <= most:
            raise click.BadParameter(f"{value:g} is not from 0 to {most:g}.", ctx, param)
        return value

    return check


share = _up_to(1)


styles: _Decorator = click.option(
    "--style",
    "styles",
    multiple=True,
    required=True,
    type=StyleName(),
    metavar="S[:W]",
    help="Style: a picture, a directory of pictures, a saved style, or a preset (@name). Repeat it to mix styles, with "
    "weights W.",
)
masks: _Decorator = click.option(
    "--mask",
    "masks",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="M",
    help="Picture that is white where a style applies, as large as the content. Give one for each --style, in the same "
    "order.",
)
alpha: _Decorator = click.option(
    "--alpha",
    type=float,
    callback=share,
    default=1.0,
    show_default=True,
    help="Strength of the style, from 0 (almost the photo) to 1.",
)
color: _Decorator = click.option(
    "--color",
    type=click.Choice(transfer.COLORS),
    default="none",
    show_default=True,
    help="Keep the photo's colours: coral recolours the style picture first, luma transfers only brightness.",
)

strokes: _Decorator = click.option(
    "--strokes",
    type=click.IntRange(min=0),
    default=STROKES,
    show_default=True,
    metavar="N",
    help="Make the strokes as large as on a picture whose shorter side has N pixels. Fewer make larger strokes; 0 "
    "paints it once, at its own size.",
)

fit: _Decorator = click.option(
    "--fit/--no-fit",
    default=True,
    help="Fit the style to each photo, or to what a clip shows: a first painting at 512 pixels says what it lacks. "
    "Without, it is painted once.  [default: yes]",
)

underpainting: _Decorator = click.option(
    "--underpainting",
    type=float,
    callback=_up_to(MOST_UNDERPAINTING),
    default=UNDERPAINTING,
    show_default=True,
    metavar="L",
    help="Lay faint uneven tones under the photo, of which strokes are made where it is plain; L levels of 256 strong. "
    "0 paints what is there.",
)


def size(default: int) -> _Decorator:
    """Return the option for the content's size."""
    return click.option(
        "--size",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        metavar="N",
        help="Resize the photo's shorter side to N pixels; 0 keeps its size.",
    )


max_size: _Decorator = click.option(
    "--max-size",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    metavar="N",
    help="Shrink the photo if its longer side would have more than N pixels, after --size if that is given. It never "
    "enlarges; 0 sets no limit.",
)
style_size: _Decorator = click.option(
    "--style-size",
    type=click.IntRange(min=0),
    default=512,
    show_default=True,
    metavar="N",
    help="Resize the style picture's shorter side to N pixels; 0 keeps its size.",
)
crop: _Decorator = click.option(
    "--crop", is_flag=True, help="Crop photos and style pictures to their central square first."
)
recursive: _Decorator = click.option(
    "--recursive", is_flag=True, help="Take the pictures in the subfolders of a CONTENT directory as well."
)
output_file: _Decorator = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Output file.",
)
overwrite: _Decorator = click.option("--overwrite", is_flag=True, help="Replace existing files.")
resume: _Decorator = click.option(
    "--resume",
    is_flag=True,
    help="Skip what is done: results whose file exists, whatever it holds. Go on with a huge photo where it stopped. "
    "Use it after an interruption.",
)
