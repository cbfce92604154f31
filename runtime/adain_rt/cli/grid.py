"""``adain-rt grid``: contact sheets."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from adain_models.errors import AdainError
from adain_rt.cli import options
from adain_rt.cli.terminal import progress
from adain_rt.jobs.inputs import expand
from adain_rt.jobs.outputs import STDOUT, write_result
from adain_rt.jobs.sheets import Sheet
from adain_rt.jobs.styles import parse
from adain_rt.media.pictures import Picture
from adain_rt.media.sheet import draw
from adain_rt.stylizer import Stylizer

__all__ = ["command"]


@click.command("grid")
@click.argument("contents", nargs=-1, required=True, metavar="CONTENT...")
@click.option(
    "--style",
    "styles",
    multiple=True,
    required=True,
    type=options.StyleName(),
    metavar="S",
    help="Style: a picture, a directory of pictures, a saved style, or a preset (@name). Repeat it for more.",
)
@click.option("--alphas", metavar="A,A,...", help="Compare strengths: one row for each content and style.")
@click.option("--corners", is_flag=True, help="Mix four styles over one content, a style in each corner.")
@click.option("--cell", type=click.IntRange(32, 2048), default=256, show_default=True, help="Cell side in pixels.")
@options.recursive
@options.alpha
@options.strokes
@options.fit
@options.underpainting
@options.color
@options.size(default=512)
@options.max_size
@options.style_size
@options.crop
@options.stylizer
@options.output_file
@options.overwrite
def command(
    contents: Sequence[str],
    styles: Sequence[str],
    alphas: str | None,
    corners: bool,
    cell: int,
    recursive: bool,
    alpha: float,
    strokes: int,
    fit: bool,
    underpainting: float,
    color: str,
    size: int,
    max_size: int,
    style_size: int,
    crop: bool,
    stylizer: Stylizer,
    output: Path,
    overwrite: bool,
) -> None:
    """Lay out many stylised pictures on one sheet.

    \b
    Every photo in every style:
      adain-rt grid photos/ --style paintings/ -o sheet.png

    \b
    Several strengths:
      adain-rt grid photo.jpg --style @great-wave --alphas 0,0.5,1 -o alphas.png

    \b
    Between four styles:
      adain-rt grid photo.jpg --corners -o corners.png \\
          --style a.jpg --style b.jpg --style c.jpg --style d.jpg

    CONTENT is a file, a directory, a glob, or - for stdin.
    """
    job = Sheet(
        expand(contents, recursive),
        [parse(style) for style in styles],
        output,
        alpha=alpha,
        alphas=_parse_alphas(alphas) if alphas else (),
        corners=corners,
        strokes=strokes,
        fit=fit,
        underpainting=underpainting,
        color=color,
        size=size,
        max_size=max_size,
        style_size=style_size,
        crop=crop,
        overwrite=overwrite,
    )
    if job.output == STDOUT and sys.stdout.isatty():
        raise AdainError("a picture cannot go to stdout on a terminal; name a file with -o")
    with progress("Stylizing", job.count, job.rows(stylizer)) as rows:
        sheet = draw(list(rows), cell)
    write_result(job.output, Picture(sheet, alpha=None, format="PNG"))


def _parse_alphas(text: str) -> list[float]:
    try:
        alphas = [float(alpha) for alpha in text.split(",")]
    except ValueError:
        raise AdainError(f"--alphas {text}: is not a list of numbers such as 0,0.5,1") from None
    for alpha in alphas:
        if not 0 <= alpha <= 1:
            raise AdainError(f"--alphas {text}: {alpha:g} is not from 0 to 1")
    return alphas
