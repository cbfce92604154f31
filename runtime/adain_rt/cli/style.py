"""``adain-rt style``: saved styles and presets."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from adain_models.errors import AdainError
from adain_models.weights import spec
from adain_rt.cli import options
from adain_rt.cli.terminal import printable
from adain_rt.jobs import outputs
from adain_rt.jobs import styles as style_arguments
from adain_rt.style import SUFFIX, Style
from adain_rt.stylizer import Stylizer

__all__ = ["command"]


@click.group("style")
def command() -> None:
    """Save, list and show styles.

    \b
    Examples:
      adain-rt style list
      adain-rt style save painting.jpg -o painting.safetensors
      adain-rt style show painting.safetensors

    A saved style is a file of a few kilobytes. A model measures it once from a picture, and only that model can use it.
    """


@command.command("save")
@click.argument("styles", nargs=-1, required=True, type=options.StyleName(), metavar="S[:W]...")
@click.option("--title", help="Title of the style.  [default: the names of its pictures]")
@options.style_size
@options.crop
@options.stylizer
@options.output_file
@options.overwrite
def save(
    styles: Sequence[str],
    title: str | None,
    style_size: int,
    crop: bool,
    stylizer: Stylizer,
    output: Path,
    overwrite: bool,
) -> None:
    """Save the style of a picture, or a mixture of several.

    \b
    Examples:
      adain-rt style save painting.jpg -o painting.safetensors
      adain-rt style save @great-wave:2 @starry-night:1 -o sea.safetensors

    S is a picture, a saved style, or a preset (@name); W is its weight in the mixture.
    """
    if output.suffix.lower() != SUFFIX:
        raise AdainError(f"{output}: the name of a saved style must end with {SUFFIX}")
    arguments = [style_arguments.parse(style) for style in styles]
    if any(argument.is_directory for argument in arguments):
        raise AdainError("the styles of a directory cannot be mixed; name each picture")
    outputs.check_free([output], [file for argument in arguments for file in argument.files], overwrite)
    style_arguments.save(arguments, stylizer, output, title=title, size=style_size, crop=crop)


@command.command("list")
@options.model
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_presets(model: str, as_json: bool) -> None:
    """List the presets that ship with a model.

    \b
    Use one by its name:
      adain-rt stylize photo.jpg --style @starry-night
    """
    found = {name: Style.load(path).about for name, path in style_arguments.presets(Stylizer(model)).items()}
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    if not found:
        click.echo(f"Model {model} has no presets.", err=True)
    for name, about in found.items():
        work = ", ".join(about[key] for key in ("artist", "title", "year") if key in about)
        click.echo(printable(f"@{name:<24} {work}"))


@command.command("show")
@click.argument("style", metavar="S")
@click.option(
    "--model",
    default=spec.DEFAULT_MODEL,
    show_default=True,
    metavar="NAME|DIR",
    help="Model that the preset belongs to.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the code's numbers.")
def show(style: str, model: str, as_json: bool) -> None:
    """Show a saved style or a preset.

    \b
    Examples:
      adain-rt style show @starry-night
      adain-rt style show painting.safetensors

    S is a saved style or a preset (@name).
    """
    if style.startswith("@"):
        path = style_arguments.preset_path(style[1:], Stylizer(model))
    elif Path(style).suffix.lower() == SUFFIX:
        path = Path(style)
    else:
        raise AdainError(f"{style}: is neither a preset (@name) nor a saved style (a file that ends with {SUFFIX})")
    saved = Style.load(path)
    facts = {**saved.about, "model": saved.model, "weights_sha256": saved.weights_sha256}
    if as_json:
        click.echo(json.dumps({**facts, "mean": saved.mean.tolist(), "std": saved.std.tolist()}))
        return
    facts["channels"] = str(saved.mean.size)
    facts["mean"] = f"{saved.mean.min():.3f} to {saved.mean.max():.3f}"
    facts["std"] = f"{saved.std.min():.3f} to {saved.std.max():.3f}"
    for key, value in facts.items():
        click.echo(printable(f"{key:<16} {value}"))
