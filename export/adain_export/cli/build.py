"""``adain-rt build``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends.tensorrt import flavors
from adain_rt.backends.tensorrt.engine_file import engines_dir
from adain_rt.backends.tensorrt.manifest import Recipe
from adain_rt.backends.tensorrt.profiles import DEFAULTS, Profile, parse_profile, static_profile
from adain_rt.cli import options
from adain_rt.cli.extras import needing

__all__ = ["command"]


@click.command("build")
@options.model
@click.option(
    "--graph",
    "graphs",
    multiple=True,
    type=click.Choice(list(contract.GRAPHS)),
    help="Which graph; may be given again.  [default: all]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp16", "fp32"]),
    default="fp16",
    show_default=True,
    help="Of the convolutions; statistics, scale and shift are float32 in both.",
)
@click.option(
    "--flavor",
    type=click.Choice(list(flavors.FLAVORS)),
    help="The full library, or its sibling that builds without a GPU.  [default: the first installed]",
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="MIN:OPT:MAX",
    help="The sizes to build for, each a side, HxW or NxHxW; may be given again.  "
    f"[default: {' and '.join(map(str, DEFAULTS))}]",
)
@click.option(
    "--static",
    "statics",
    multiple=True,
    metavar="SIZE",
    help="One size alone: a side, HxW or NxHxW; may be given again.",
)
@click.option(
    "--compute-capability",
    "compute_capabilities",
    multiple=True,
    metavar="X.Y",
    help="tensorrt-rtx: a GPU to build for, such as 8.9; may be given again.  [default: all it knows from 8.0 on]",
)
@click.option(
    "--hardware-compatibility",
    type=click.Choice(["none", "ampere_plus", "same_compute_capability"]),
    default="none",
    show_default=True,
    help="tensorrt: which other GPUs may run the engine.",
)
@click.option("--version-compatible", is_flag=True, help="tensorrt: let later versions run the engine.")
@click.option(
    "--weights",
    type=click.Choice(["included", "refittable", "stripped"]),
    default="included",
    show_default=True,
    help="In the engine; there, and replaceable; or left out, and put in from the model when it is loaded.",
)
@click.option(
    "--upsampling",
    type=click.Choice(["nearest", "phases"]),
    default="phases",
    show_default=True,
    help="Convolve before enlarging, or after it: the same pictures.",
)
@click.option(
    "--optimization-level",
    type=click.IntRange(0, 5),
    default=3,
    show_default=True,
    help="tensorrt: how long to search for fast kernels.",
)
@click.option("--workspace", type=click.IntRange(1, 1 << 30), metavar="MIB", help="The most scratch memory of a layer.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the engines go; give it to --engines later.  [default: the cache, where they are found]",
)
def command(
    model: str,
    graphs: Sequence[str],
    flavor: str | None,
    profiles: Sequence[str],
    statics: Sequence[str],
    compute_capabilities: Sequence[str],
    output: Path | None,
    **settings: object,
) -> None:
    """Build a model's TensorRT engines.

    Each gets a manifest beside it. What is built already, of the same graph and for the same sizes, is left as it is.

    \b
    Examples:
      adain-rt build
      adain-rt build --model vgg19 --static 512 -o engines
      adain-rt build --flavor tensorrt-rtx --compute-capability 8.9 --profile 256:1080x1920:2160x3840
    """
    with needing("build", "tensorrt-rtx"):
        from adain_export.tensorrt.build import build_engine
    directory = store.dir_with_weights(model)
    recipe = Recipe(
        flavor=flavor or flavors.first_installed(),
        profiles=_profiles(profiles, statics),
        compute_capabilities=tuple(dict.fromkeys(compute_capabilities)),
        **settings,  # type: ignore[arg-type]  # the options' names are the fields'
    )
    for graph in graphs or contract.GRAPHS:
        started = time.perf_counter()
        file = build_engine(directory, graph, recipe, output or engines_dir())
        seconds = time.perf_counter() - started
        click.echo(f"{file.path}  {file.manifest.engine_bytes / 1e6:.1f} MB  {seconds:.1f} s")


def _profiles(profiles: Iterable[str], statics: Iterable[str]) -> tuple[Profile, ...]:
    asked = (*map(parse_profile, profiles), *map(static_profile, statics))
    return tuple(dict.fromkeys(asked)) or DEFAULTS
