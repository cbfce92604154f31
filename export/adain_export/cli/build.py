"""``adain-rt build``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends.tensorrt.engine_file import EngineFile, engines_dir
from adain_rt.backends.tensorrt.flavors import FLAVORS, find_installed
from adain_rt.backends.tensorrt.manifest import Recipe
from adain_rt.backends.tensorrt.profiles import DEFAULTS, Profile, parse_profile, static_profile
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import progress

if TYPE_CHECKING:
    from adain_rt.backends.tensorrt.builder import EngineBuilder

__all__ = ["command"]

_STEPS = 1000  # of the progress bar


@click.command("build")
@options.model
@click.option(
    "--graph",
    "graphs",
    multiple=True,
    type=click.Choice(list(contract.GRAPHS)),
    help="Graph to build; may be repeated.  [default: all]",
)
@click.option(
    "--precision",
    type=click.Choice(["fp16", "fp32"]),
    default="fp16",
    show_default=True,
    help="Precision of the convolutions. Statistics, scale and shift are float32 in both.",
)
@click.option(
    "--flavor",
    type=click.Choice(list(FLAVORS)),
    help="TensorRT library: the full one, or TensorRT-RTX, which builds without a GPU.  [default: the first installed]",
)
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="MIN:OPT:MAX",
    help="Range of picture sizes to build for, each a side, HxW or NxHxW; may be repeated.  "
    f"[default: {' and '.join(map(str, DEFAULTS))}]",
)
@click.option(
    "--static",
    "statics",
    multiple=True,
    metavar="SIZE",
    help="Single picture size to build for: a side, HxW or NxHxW; may be repeated.",
)
@click.option(
    "--compute-capability",
    "compute_capabilities",
    multiple=True,
    metavar="X.Y",
    help="tensorrt-rtx: GPU architecture to build for, such as 8.9; may be repeated.  [default: all from 8.0 on]",
)
@click.option(
    "--hardware-compatibility",
    type=click.Choice(["none", "ampere_plus", "same_compute_capability"]),
    default="none",
    show_default=True,
    help="tensorrt: other GPUs that may run the engine.",
)
@click.option("--version-compatible", is_flag=True, help="tensorrt: let later versions of the library run the engine.")
@click.option(
    "--weights",
    type=click.Choice(["included", "refittable", "stripped"]),
    default="included",
    show_default=True,
    help="Put the weights into the engine; make them replaceable; or leave them out until the engine is loaded.",
)
@click.option(
    "--upsampling",
    type=click.Choice(["nearest", "phases"]),
    default="phases",
    show_default=True,
    help="How the decoder enlarges: convolve after it (nearest) or before it (phases). The pictures are the same.",
)
@click.option(
    "--optimization-level",
    type=click.IntRange(0, 5),
    default=3,
    show_default=True,
    help="tensorrt: how long to search for fast kernels.",
)
@click.option(
    "--workspace", type=click.IntRange(1, 1 << 30), metavar="MIB", help="Limit of a layer's scratch memory, in MiB."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Directory for the engines; pass it to `adain-rt stylize --engines` later.  "
    "[default: the cache, where they are found]",
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
    """Build TensorRT engines of a model.

    A manifest is written beside each engine. An engine that is already there, for the same graph, sizes and settings,
    is not built again.

    \b
    Examples:
      adain-rt build
      adain-rt build --model vgg19 --static 512 -o engines
      adain-rt build --flavor tensorrt-rtx --compute-capability 8.9 --profile 256:1080x1920:2160x3840
    """
    with needing("build", "tensorrt-rtx"):
        from adain_export.tensorrt.builder import Builder
    directory = store.dir_with_weights(model)
    recipe = Recipe(
        flavor=flavor or find_installed().name,
        profiles=_parse_sizes(profiles, statics),
        compute_capabilities=tuple(dict.fromkeys(compute_capabilities)),
        **settings,  # type: ignore[arg-type]  # the options' names are the fields'
    )
    builder = Builder()
    for graph in graphs or contract.GRAPHS:
        started = time.perf_counter()
        file = _build(builder, directory, graph, recipe, output or engines_dir())
        seconds = time.perf_counter() - started
        click.echo(f"{file.path}  {file.manifest.engine_bytes / 1e6:.1f} MB  {seconds:.1f} s")


def _build(builder: EngineBuilder, directory: Path, graph: str, recipe: Recipe, folder: Path) -> EngineFile:
    """Build an engine and draw how far the build is."""
    with progress(f"Building {graph}", _STEPS) as bar:
        file = builder.build(
            directory, graph, recipe, folder, progress=lambda share: bar.update(int(share * _STEPS) - bar.pos)
        )
        bar.update(_STEPS - bar.pos)
    return file


def _parse_sizes(profiles: Iterable[str], statics: Iterable[str]) -> tuple[Profile, ...]:
    asked = (*map(parse_profile, profiles), *map(static_profile, statics))
    return tuple(dict.fromkeys(asked)) or DEFAULTS
