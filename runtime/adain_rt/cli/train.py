"""``adain-rt train``."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import progress
from adain_rt.contract import Pixels
from adain_rt.jobs.inputs import pictures_in

__all__ = ["command"]

_STEPS = 20000  # where neither steps nor minutes are given


@click.command("train")
@options.model
@click.option(
    "--content",
    "contents",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Directory of photographs.",
)
@click.option(
    "--style",
    "styles",
    multiple=True,
    required=True,
    metavar="DIR[:W]",
    help="Directory of paintings. Repeat it for more; pictures are drawn from a directory in proportion to its weight "
    "W.",
)
@click.option(
    "--teacher",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="VGG-19 weights up to conv3_4 as safetensors, as Keras publishes them. With a teacher, encoder and decoder "
    "are trained as one. Without one, the encoder is kept and judges, and only the decoder is trained.",
)
@click.option(
    "--vgg16",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="VGG-16 weights up to conv4_1, in the same form: half of the content loss is then at its relu4_1.",
)
@click.option("--fresh", is_flag=True, help="Start from random weights instead of the model's.")
@click.option("--steps", type=click.IntRange(min=1), help="Number of steps.  [default: 20000, or --minutes]")
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    callback=options.finite,
    help="Training time; the learning rate falls over it.",
)
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="Photographs in a step.")
@click.option(
    "--size",
    type=click.IntRange(min=64, max=512),
    default=256,
    show_default=True,
    metavar="N",
    help="Side of the photographs' crops in pixels, a multiple of 16. Paintings are not cropped; their shorter side is "
    "N, 512, or half way between.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    callback=options.finite,
    default=1e-4,
    show_default=True,
    help="Learning rate of Adam and, with a teacher, of Muon.",
)
@click.option(
    "--style-weight",
    type=click.FloatRange(min=0),
    callback=options.finite,
    help="Weight of the style loss; the content loss has 1.  [default: 3.7 with a teacher, 10 without]",
)
@click.option(
    "--texture-weight",
    type=click.FloatRange(min=0),
    callback=options.finite,
    help="Weight of the correlations between channels; needs --teacher.  [default: 2.3]",
)
@click.option(
    "--contrast-weight",
    type=click.FloatRange(min=0),
    callback=options.finite,
    help="Weight of the loss that keeps pictures as strong in tones, colours and strokes as their styles; needs "
    "--teacher.  [default: 2.1]",
)
@click.option(
    "--unrest-weight",
    type=click.FloatRange(min=0),
    callback=options.finite,
    help="Weight of the loss that keeps flat regions of the photograph calm; needs --teacher.  [default: 8]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Random seed.")
@click.option(
    "--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Device to train on."
)
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=500,
    show_default=True,
    metavar="N",
    help="Steps between checkpoints, each with a sheet of samples.",
)
@click.option("--resume", is_flag=True, help="Continue the run in the output directory.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Output directory for weights.safetensors, the state to resume from, sample sheets and the log.",
)
def command(
    model: str,
    contents: Path,
    styles: Sequence[str],
    teacher: Path | None,
    vgg16: Path | None,
    fresh: bool,
    steps: int | None,
    minutes: float | None,
    batch: int,
    size: int,
    rate: float,
    style_weight: float | None,
    texture_weight: float | None,
    contrast_weight: float | None,
    unrest_weight: float | None,
    seed: int,
    device: str,
    every: int,
    resume: bool,
    output: Path,
) -> None:
    """Train a network on your own pictures.

    \b
    Encoder and decoder, from a teacher:
      adain-rt train --content photos/ --style paintings/ \\
                     --teacher vgg19.safetensors -o runs/lite

    \b
    The paper's training of the decoder alone:
      adain-rt train --content photos/ --style paintings/ \\
                     --model vgg19 --fresh --batch 8 -o runs/vgg19

    A tenth of the pictures, chosen by their names, is held out of training; the samples show these.
    """
    with needing("train", "train"):
        import torch

        from adain_models.training import loop
        from adain_models.weights import checkpoint
        from adain_rt.jobs import training
    if size % 16:
        raise AdainError(f"--size {size}: must be a multiple of 16")
    if not resume and (output / loop.STATE_NAME).exists():
        raise AdainError(f"{output}: holds a run already; continue it with --resume, or name another directory")
    training.prepare_device(device)
    unlimited = steps is None and minutes is not None
    settings = loop.Settings(
        steps or (sys.maxsize if unlimited else _STEPS), batch, size, rate, seed, fresh, minutes or math.inf
    )
    network = checkpoint.load(store.dir_with_weights(model) / store.WEIGHTS_NAME)
    given = {
        "style": style_weight,
        "texture": texture_weight,
        "contrast": contrast_weight,
        "unrest": unrest_weight,
    }
    weights = {name: weight for name, weight in given.items() if weight is not None}
    recipe = training.choose_recipe(network, teacher, vgg16, device, weights)
    if fresh:
        torch.manual_seed(seed)
        loop.forget(recipe.trained(network))
    photos, kept_photos = _read(contents)
    groups, kept_styles = [], []
    for directory, weight in map(_parse_weighted, styles):
        paintings, kept = _read(directory)
        groups.append((paintings, weight))
        kept_styles.append(kept)
    state = loop.Training(network, recipe, photos, groups, settings, device)
    if resume:
        state.resume(output)
    run = training.Run(state, output, training.pick_samples(kept_photos, kept_styles), every)
    left = None if unlimited else settings.steps - state.step
    with progress("Training", left, run.steps(_print_line)) as shown:
        for _ in shown:
            pass
    click.echo(f"{output / store.WEIGHTS_NAME}: {state.step} steps")


def _print_line(line: Mapping[str, float]) -> None:
    click.echo("  ".join(f"{name} {value:.4g}" for name, value in line.items()))


def _parse_weighted(argument: str) -> tuple[Path, float]:
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
    """Return a directory's pictures, uint8 (H, W, 3): those to train on, and those that are held out."""
    from adain_rt.jobs import training

    paths = pictures_in(directory)
    with progress(f"Reading {directory.name}", len(paths), training.read_pictures(paths)) as pictures:
        return training.split_pictures(list(pictures))
