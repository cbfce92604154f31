"""``adain-rt bench normalization``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from adain_bench.show.table import format_table
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import contract
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.contract import Pixels
from adain_rt.jobs import outputs
from adain_rt.jobs import styles as style_arguments
from adain_rt.jobs.inputs import expand, read_content
from adain_rt.media.pictures import Picture, check_writable, frame, write_picture
from adain_rt.media.sheet import Cell, draw
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleSource

if TYPE_CHECKING:
    from adain_bench.quality.judge import Judge
    from adain_bench.quality.normalization import Outcome

__all__ = ["command"]

_COLUMNS = {
    "feature gap": "feature_gap",
    "picture gap": "picture_gap",
    "content distance": "content",
    "style gap, VGG-19": "style_gap",
    "content distance, VGG-19": "vgg19_content",
}


@click.command("normalization")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@click.option(
    "--style", required=True, type=options.StyleName(), metavar="S", help="A picture, a saved style, or @name."
)
@click.option(
    "--teacher",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Judge the pictures by VGG-19 too; the style must be a picture then. FILE holds its weights up to conv3_4 as "
    "safetensors.",
)
@click.option(
    "--size",
    type=click.IntRange(64, 2048),
    default=256,
    show_default=True,
    metavar="N",
    help="Crop each content to its central square and resize it to N pixels a side, a multiple of 8.",
)
@options.model
@options.style_size
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help="Write the pictures to this file, side by side.",
)  # fmt: skip
@options.overwrite
@click.option("--json", "as_json", is_flag=True, help="Print the figures of each picture as JSON.")
def command(
    contents: Sequence[str],
    style: str,
    teacher: Path | None,
    size: int,
    model: str,
    style_size: int,
    output: Path | None,
    overwrite: bool,
    as_json: bool,
) -> None:
    """Compare normalisation layers inside one network.

    The layers are batch normalisation, instance normalisation and AdaIN. The contents are one batch. The network keeps
    its weights; only the statistics between encoder and decoder change. The documentation's page on normalisation
    layers explains the figures.

    \b
    Examples:
      adain-rt bench normalization photos/ --style @starry-night -o normalization.png
      adain-rt bench normalization a.jpg b.jpg --style painting.jpg --teacher vgg19.safetensors
    """
    with needing("bench normalization", "bench"):
        import torch

        from adain_bench.quality.normalization import compare
        from adain_models.weights import checkpoint
    if size % contract.MULTIPLE:
        raise AdainError(f"--size {size}: must be a multiple of {contract.MULTIPLE}")
    paths = list(expand(contents))
    if output is not None:
        check_writable(output)
        outputs.check_free([output], paths, overwrite)
    stylizer = Stylizer(model, "onnxruntime", "fp32")
    source = _load_style(style, stylizer, style_size)
    measured = source.encode(stylizer)
    photos = np.stack([frame(read_content(path).pixels, size, crop=True) for path in paths])
    judges = _make_judges(teacher, photos, source) if teacher else []
    network = checkpoint.load(store.dir_with_weights(model) / store.WEIGHTS_NAME)
    code = (torch.tensor(measured.mean)[None], torch.tensor(measured.std)[None])
    outcomes = compare(network, photos, code, judges)
    if output is not None:
        sheet = _draw_sheet([path.stem for path in paths], photos, source, outcomes)
        write_picture(output, Picture(sheet, alpha=None, format="PNG"))
    if as_json:
        click.echo(json.dumps([_as_json(outcome, paths) for outcome in outcomes], indent=2))
    else:
        click.echo(f"{store.model_name(model)}, {len(paths)} photos of {size}x{size}; the mean, least and most of them")
        click.echo(_format_table(outcomes))


def _load_style(argument: str, stylizer: Stylizer, size: int) -> StyleSource:
    """Return the one style that an argument names.

    Raises:
        AdainError: the argument names several styles or gives a weight.

    """
    parsed = style_arguments.parse(argument)
    if len(parsed.names) != 1 or parsed.weight is not None:
        raise AdainError(f"--style {argument}: give one style, without a weight")
    return style_arguments.load(parsed.names[0], stylizer, size, crop=False)


def _make_judges(teacher: Path, photos: Pixels, style: StyleSource) -> list[Judge]:
    """Return VGG-19's judge of each photo in the style.

    Raises:
        AdainError: the teacher cannot be read, or the style has no picture.

    """
    from adain_bench.quality.judge import Judge, Teachers
    from adain_models.training.teacher import Teacher

    if style.pixels is None:
        raise AdainError(f"--teacher: {style.label} is a saved style; VGG-19 needs the style's picture")
    teachers = Teachers(Teacher(teacher))
    return [Judge(teachers, photo, style.pixels) for photo in photos]


def _format_table(outcomes: Sequence[Outcome]) -> str:
    rows: list[list[object]] = []
    for outcome in outcomes:
        by = outcome.normalization
        figures = (_format_range([getattr(each, key) for each in outcome.figures]) for key in _COLUMNS.values())
        rows.append([by.name, by.removed, by.given, *figures])
    return format_table(["", "statistics removed", "statistics given", *_COLUMNS], rows)


def _format_range(values: Sequence[float | None]) -> str | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return f"{sum(known) / len(known):.3f} ({min(known):.3f}-{max(known):.3f})"


def _as_json(outcome: Outcome, paths: Sequence[Path]) -> dict[str, object]:
    figures = [{"photo": str(path), **asdict(each)} for path, each in zip(paths, outcome.figures, strict=True)]
    return {**asdict(outcome.normalization), "figures": figures}


def _draw_sheet(names: Sequence[str], photos: Pixels, style: StyleSource, outcomes: Sequence[Outcome]) -> Pixels:
    """Return a row for each photo: itself, what each normalisation makes of it, and the style if it has a picture."""
    rows = []
    for number, (name, photo) in enumerate(zip(names, photos, strict=True)):
        cells = [
            Cell(
                f"{outcome.normalization.name}, gap {outcome.figures[number].picture_gap:.2f}", outcome.pictures[number]
            )
            for outcome in outcomes
        ]
        styles = [] if style.pixels is None else [Cell(style.label, style.pixels)]
        rows.append([Cell(name, photo), *cells, *styles])
    return draw(rows, photos.shape[1])
