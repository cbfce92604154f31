"""``adain-rt train``."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import progress
from adain_rt.contract import Pixels
from adain_rt.jobs.inputs import pictures_in
from adain_rt.media.pictures import Picture, frame, read_picture, write_picture
from adain_rt.media.sheet import Cell, draw

if TYPE_CHECKING:
    from adain_models.networks.base import Network
    from adain_models.training.loop import Progress
    from adain_models.training.losses import Recipe

__all__ = ["command"]

_ROWS, _COLUMNS, _CELL = 4, 6, 256  # of a sheet of samples
_LOG_NAME = "log.jsonl"
_STEPS = 20000  # where neither steps nor minutes are given
_LOGGED = 50  # steps between two lines of the log


@click.command("train")
@options.model
@click.option(
    "--content",
    "contents",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Photographs.",
)
@click.option(
    "--style",
    "styles",
    multiple=True,
    required=True,
    metavar="DIR[:W]",
    help="Paintings; may be given again. A directory of weight 2 is drawn twice as often as one of weight 1.",
)
@click.option(
    "--teacher",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="VGG-19's weights up to conv3_4 as safetensors, as Keras publishes them: encoder and decoder are trained as "
    "one, and it judges. Without one the encoder stays, judges, and the decoder is trained.",
)
@click.option("--fresh", is_flag=True, help="Begin with random weights for what is trained, not with the model's.")
@click.option(
    "--steps",
    type=click.IntRange(min=1),
    help="When the run is over.  [default: 20000, or when --minutes are over]",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    callback=options.finite,
    help="When the run is over, by the clock; the rate falls over them.",
)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Pairs of pictures in a step.")
@click.option(
    "--size",
    type=click.IntRange(min=64, max=512),
    default=256,
    show_default=True,
    metavar="N",
    help="Side of a photograph's crop in pixels, a multiple of 16; a style is whole, its shorter side that, 512, or "
    "half way between.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    callback=options.finite,
    default=1e-4,
    show_default=True,
    help="Adam's.",
)
@click.option(
    "--style-weight",
    type=click.FloatRange(min=0),
    callback=options.finite,
    help="Of means and deviations in the loss; content has 1.  [default: 18 with a teacher, 10 without]",
)
@click.option(
    "--texture-weight",
    type=click.FloatRange(min=0),
    callback=options.finite,
    help="Of the correlations between channels in the loss; with a teacher only.  [default: 9]",
)
@click.option(
    "--unrest-weight",
    type=click.FloatRange(min=0),
    callback=options.finite,
    help="Of what disturbs regions that are flat in the photograph; with a teacher only.  [default: 50]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="What chance comes from.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where it runs.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    metavar="N",
    help="Steps between checkpoints, each with a sheet of samples.",
)
@click.option("--resume", is_flag=True, help="Go on with the run that the directory holds.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Where weights.safetensors, the state to resume from, sheets and the log go.",
)
def command(
    model: str,
    contents: Path,
    styles: Sequence[str],
    teacher: Path | None,
    fresh: bool,
    steps: int | None,
    minutes: float | None,
    batch: int,
    size: int,
    rate: float,
    style_weight: float | None,
    texture_weight: float | None,
    unrest_weight: float | None,
    seed: int,
    device: str,
    every: int,
    resume: bool,
    output: Path,
) -> None:
    """Train a network on your own pictures.

    A tenth of the pictures, by a rule on their names, is never trained on; the samples are of these.

    \b
    Examples:
      adain-rt train --content photos/ --style paintings/ --teacher vgg19.safetensors -o runs/lite
      adain-rt train --content photos/ --style paintings/ --model vgg19 --fresh --size 256 --batch 8 -o runs/vgg19
    """
    with needing("train", "train"):
        import torch

        from adain_models.training import loop as training
        from adain_models.weights import checkpoint
    if size % 16:
        raise AdainError(f"--size {size}: must be a multiple of 16")
    if not resume and (output / training.STATE_NAME).exists():
        raise AdainError(f"{output}: holds a run already; go on with --resume, or name another directory")
    _prepare(device)
    unlimited = steps is None and minutes is not None
    settings = training.Settings(
        steps or (sys.maxsize if unlimited else _STEPS), batch, size, rate, seed, fresh, minutes or math.inf
    )
    network = checkpoint.load(store.dir_with_weights(model) / store.WEIGHTS_NAME)
    weights = {"style": style_weight, "texture": texture_weight, "unrest": unrest_weight}
    recipe = _recipe(network, teacher, device, {name: each for name, each in weights.items() if each is not None})
    if fresh:
        torch.manual_seed(seed)
        training.forget(recipe.trained(network))
    photos, kept_photos = _read(contents)
    read = [(*_read(directory), weight) for directory, weight in map(_weighted, styles)]
    groups = [(paintings, weight) for paintings, _, weight in read]
    sheet_photos = _spread(kept_photos, _ROWS)
    sheet_styles = _spread([painting for _, kept, _ in read for painting in _spread(kept, _COLUMNS)], _COLUMNS)
    run = training.Training(network, recipe, photos, groups, settings, device)
    if resume:
        run.resume(output)

    def keep() -> None:
        run.save(output)
        sheet = _sheet(run.averaged(), sheet_photos, sheet_styles)
        write_picture(output / f"samples-{run.step:06d}.jpg", Picture(sheet, alpha=None, format="JPEG"))

    left = None if unlimited else settings.steps - run.step
    with _journal(output) as write, progress("Training", left, run.run()) as shown:
        for done in shown:
            write(done)
            if done.step % every == 0:
                keep()
    if run.step % every:
        keep()
    click.echo(f"{output / store.WEIGHTS_NAME}: {run.step} steps")


def _prepare(device: str) -> None:
    """Make PyTorch ready for a device.

    Raises:
        AdainError: it is not there.

    """
    import torch

    if device == "cuda":
        if not torch.cuda.is_available():
            raise AdainError("--device cuda: PyTorch finds no CUDA device here")
        torch.set_float32_matmul_precision("high")  # of covariances, whose errors are averaged over positions


def _recipe(network: Network, teacher: Path | None, device: str, weights: dict[str, float]) -> Recipe:
    """Return how the network is trained; terms without a weight have the recipe's own.

    Raises:
        AdainError: the teacher cannot be read, or there is none and the network or a weight needs one.

    """
    from adain_models.training.losses import FixedEncoder, Joint
    from adain_models.training.teacher import Teacher

    if teacher:
        return Joint(Teacher(teacher).to(device), **weights)
    for name in sorted(weights.keys() - {"style"}):
        raise AdainError(f"--{name}-weight: the loss has such a term only with --teacher")
    return FixedEncoder(network, **weights)


def _weighted(argument: str) -> tuple[Path, float]:
    """Return the directory that ``DIR[:W]`` names, and its weight."""
    name, colon, number = argument.rpartition(":")
    if Path(argument).is_dir() or not colon:
        return Path(argument), 1
    try:
        weight = float(number)
    except ValueError:
        raise AdainError(f"--style {argument}: there is no such directory") from None
    if not (math.isfinite(weight) and weight > 0):
        raise AdainError(f"--style {argument}: the weight must be more than 0, not {number}")
    return Path(name), weight


def _read(directory: Path) -> tuple[list[Pixels], list[Pixels]]:
    """Return a directory's pictures, no larger than any scale that is trained on: those to train on, and the others.

    Raises:
        AdainError: there are none to train on, or one cannot be read.

    """
    from adain_models.training.crops import LARGEST, held_out

    trained: list[Pixels] = []
    kept: list[Pixels] = []
    paths = pictures_in(directory)

    def fitting(path: Path) -> Pixels:
        pixels = read_picture(path).pixels
        return frame(pixels, min(LARGEST, *pixels.shape[:2]), crop=False)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        read = zip(paths, pool.map(fitting, paths), strict=True)
        with progress(f"Reading {directory.name}", len(paths), read) as shown:
            for path, pixels in shown:
                (kept if held_out(path) else trained).append(pixels)
    if not trained:
        raise AdainError(f"{directory}: all of its pictures are held out for validation; more are needed")
    return trained, kept


def _spread(pictures: Sequence[Pixels], count: int) -> list[Pixels]:
    """Return so many pictures, evenly from all, as squares for a sheet."""
    picked = pictures[:: math.ceil(len(pictures) / count)] if pictures else []
    return [frame(picture, _CELL, crop=True) for picture in picked]


def _sheet(network: Network, photos: Sequence[Pixels], styles: Sequence[Pixels]) -> Pixels:
    """Return photos in styles, both seen for the first time."""
    import torch

    from adain_models import reference

    def batch(picture: Pixels) -> torch.Tensor:
        return torch.tensor(picture)[None]

    codes = [reference.encode(network, batch(style)) for style in styles]
    rows = [[Cell(), *(Cell(pixels=style) for style in styles)]]
    for photo in photos:
        made = [reference.stylize(network, batch(photo), code, torch.ones(1))[0].numpy() for code in codes]
        rows.append([Cell(pixels=photo), *(Cell(pixels=picture) for picture in made)])
    return draw(rows, _CELL)


@contextmanager
def _journal(run: Path) -> Iterator[Callable[[Progress], None]]:
    """Yield what writes a step down: into ``log.jsonl``, to standard output, and for TensorBoard if it is installed.

    A line has the terms' means, and the pace, since the line before; only then are the terms read, so that a GPU is
    not waited for at every step.
    """
    import torch

    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        board = None
    else:
        board = SummaryWriter(run)
    run.mkdir(parents=True, exist_ok=True)
    since: list[Progress] = []
    began = time.perf_counter()

    def write(done: Progress) -> None:
        since.append(done)
        if done.step % _LOGGED == 0:
            tell()

    def tell() -> None:
        nonlocal began
        if not since:
            return
        last = since[-1]
        terms = {name: torch.stack([each.terms[name] for each in since]).mean().item() for name in last.terms}
        now = time.perf_counter()
        line = {"step": last.step, **terms, "steps_per_second": len(since) / (now - began)}
        if last.live is not None:
            line["live"] = float(np.mean(list(last.live.values())))
        click.echo("  ".join(f"{name} {value:.4g}" for name, value in line.items()))
        print(json.dumps({**line, "live_by_layer": last.live}), file=log, flush=True)
        if board:
            for name, value in line.items():
                board.add_scalar(name, value, last.step)
        since.clear()
        began = now

    with (run / _LOG_NAME).open("a", encoding="utf-8") as log:
        yield write
        tell()
