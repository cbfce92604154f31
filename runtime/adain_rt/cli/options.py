"""Options that several commands have."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from pathlib import Path
from typing import Any

import click

from adain_models.weights import spec
from adain_rt import backends, contract, transfer
from adain_rt.backends import Settings
from adain_rt.stylizer import Stylizer

__all__ = [
    "alpha",
    "color",
    "crop",
    "engines",
    "model",
    "output_file",
    "overwrite",
    "share",
    "size",
    "style_size",
    "stylizer",
    "threads",
    "trust_engines",
]

_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

model: _Decorator = click.option(
    "--model",
    default=spec.DEFAULT_MODEL,
    show_default=True,
    metavar="NAME|DIR",
    help=f"A named model ({', '.join(spec.MODELS)}) or a model directory.",
)
_backend: _Decorator = click.option(
    "--backend",
    type=click.Choice([backends.AUTO, *backends.BACKENDS]),
    default=backends.AUTO,
    show_default=True,
    help="What runs the network.",
)
_precision: _Decorator = click.option(
    "--precision",
    type=click.Choice([backends.AUTO, *contract.PRECISIONS]),
    default=backends.AUTO,
    show_default=True,
    help="What it computes in; auto is fp16 on a GPU, else int8 where the model has it and the processor multiplies it "
    "fast.",
)
threads: _Decorator = click.option(
    "--threads", type=click.IntRange(min=1), metavar="N", help="Threads to use.  [default: one for each core]"
)
engines: _Decorator = click.option(
    "--engines",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="TensorRT: where `adain-rt build -o` put the engines.  [default: the cache, and built when they lack]",
)
trust_engines: _Decorator = click.option(
    "--trust-engines", is_flag=True, help="TensorRT: load an engine, which is code, though its manifest is not of it."
)
_cuda_graph: _Decorator = click.option(
    "--cuda-graph/--no-cuda-graph", default=True, help="On a GPU, replay the work for a size as one.  [default: yes]"
)


def stylizer(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a Stylizer, and the Stylizer that they ask for as ``stylizer``."""

    @model
    @_backend
    @_precision
    @threads
    @engines
    @trust_engines
    @_cuda_graph
    @wraps(function)
    def wrapped(*args: Any, model: str, backend: str, precision: str, **kwargs: Any) -> Any:
        settings = Settings(**{each.name: kwargs.pop(each.name) for each in fields(Settings)})
        return function(*args, stylizer=Stylizer(model, backend, precision, settings), **kwargs)

    return wrapped


def finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse nan, which click's FloatRange lets through, and infinity."""
    if value is not None and not math.isfinite(value):
        raise click.BadParameter(f"{value:g} is no number.", ctx, param)
    return value


def share(ctx: click.Context, param: click.Parameter, value: float) -> float:
    """Hold a number to 0..1; click's FloatRange lets nan through."""
    if not 0 <= value <= 1:
        raise click.BadParameter(f"{value:g} is not from 0 to 1.", ctx, param)
    return value


alpha: _Decorator = click.option(
    "--alpha",
    type=float,
    callback=share,
    default=1.0,
    show_default=True,
    help="Strength of the style: 0 only encodes and decodes the content, 1 is full.",
)
color: _Decorator = click.option(
    "--color",
    type=click.Choice(transfer.COLORS),
    default="none",
    show_default=True,
    help="Whose colours: the style's (none); the content's, by recolouring the style's picture first (coral) or by "
    "taking the luminance alone (luma).",
)


def size(default: int) -> _Decorator:
    """Return the option of the content's size."""
    return click.option(
        "--size",
        type=click.IntRange(min=0),
        default=default,
        show_default=True,
        metavar="N",
        help="Resize the content's shorter side to N pixels; 0 keeps its size.",
    )


style_size: _Decorator = click.option(
    "--style-size",
    type=click.IntRange(min=0),
    default=512,
    show_default=True,
    metavar="N",
    help="Resize the style picture's shorter side to N pixels; 0 keeps its size.",
)
crop: _Decorator = click.option("--crop", is_flag=True, help="Crop to the central square before resizing.")
output_file: _Decorator = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="The file to write.",
)
overwrite: _Decorator = click.option("--overwrite", is_flag=True, help="Replace files that exist.")
