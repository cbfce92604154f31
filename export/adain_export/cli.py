"""``adain-rt export``."""

from __future__ import annotations

from pathlib import Path

import click

from adain_export.commands import needing_export, refuse_bundled
from adain_export.quantize_cli import PAIRS
from adain_export.quantize_cli import command as quantize_command
from adain_models import spec, store
from adain_models.errors import AdainError
from adain_rt import contract
from adain_rt.cli import options
from adain_rt.cli.terminal import progress

__all__ = ["command"]


@click.command("export")
@options.model
@click.option(
    "--precision",
    type=click.Choice(["fp32", "int8"]),
    default="fp32",
    show_default=True,
    help="Of the convolutions; int8 needs --calibration, and is written beside fp32.",
)
@click.option(
    "--calibration",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Photographs and styles to calibrate int8 on; `adain-rt quantize` has more to choose.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the graphs and the weights go.  [default: the model's own directory]",
)
def command(model: str, precision: str, calibration: Path | None, output: Path | None) -> None:
    """Write a model's ONNX graphs, and check them against PyTorch.

    \b
    Examples:
      adain-rt export --model vgg19
      adain-rt export --model lite -o build/lite
    """
    with needing_export("export"):
        from adain_export.export import export_model
    if (precision == "int8") != (calibration is not None):
        raise AdainError("--precision int8 and --calibration DIR go together")
    source = store.model_dir(model)
    refuse_bundled(model, output)
    if model in spec.MODELS and not (source / store.WEIGHTS_NAME).is_file():
        raise AdainError(f"model {model} has no weights yet; run `adain-rt weights fetch {model}`")
    destination = output or source
    graphs = export_model(source, store.model_name(model), destination)
    with progress("Exporting", len(contract.GRAPHS), graphs) as exported:
        count = sum(1 for _ in exported)
    click.echo(f"{destination}: {count} graphs in fp32, within one level of 256 of PyTorch")
    if calibration is not None:
        quantize = {"contents": calibration, "styles": None, "pairs": PAIRS, "output": None}
        click.get_current_context().invoke(quantize_command, model=str(destination), **quantize)
