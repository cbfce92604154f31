"""``adain-rt export``."""

from __future__ import annotations

from pathlib import Path

import click

from adain_export.cli.bundled import refuse_bundled
from adain_export.cli.quantize import PAIRS
from adain_export.cli.quantize import command as quantize_command
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import contract
from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import progress

__all__ = ["command"]


@click.command("export")
@options.model
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int8"]),
    default="fp32",
    show_default=True,
    help="Precision of the convolutions. fp16 and int8 are written in addition to fp32; int8 needs --calibration.",
)
@click.option(
    "--calibration",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Pictures to calibrate int8 on. `adain-rt quantize` has more options.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Directory to write the graphs and the weights to.  [default: the model's own directory]",
)
def command(model: str, precision: str, calibration: Path | None, output: Path | None) -> None:
    """Export a model to ONNX graphs, and check them against PyTorch.

    \b
    Examples:
      adain-rt export --model vgg19
      adain-rt export --model lite -o build/lite
      adain-rt export --model vgg19 --precision fp16
    """
    with needing("export", "export"):
        from adain_export.torch.export import export_half, export_model
        from adain_export.torch.verify import LEAST_PSNR
    if (precision == "int8") != (calibration is not None):
        raise AdainError("--precision int8 and --calibration DIR go together")
    refuse_bundled(model, output)
    source = store.dir_with_weights(model)
    destination = output or source
    graphs = export_model(source, store.model_name(model), destination)
    with progress("Exporting", len(contract.GRAPHS), graphs) as exported:
        count = sum(1 for _ in exported)
    click.echo(f"{destination}: {count} graphs in fp32, within one level of 256 of PyTorch")
    if precision == "fp16":
        with progress("Halving", len(contract.GRAPHS), export_half(destination)) as halved:
            count = sum(1 for _ in halved)
        folder = contract.graph_dir(destination, "fp16")
        click.echo(f"{folder}: {count} graphs in fp16, PSNR to PyTorch at least {LEAST_PSNR:.0f} dB")
    if calibration is not None:
        quantize = {"contents": calibration, "styles": None, "pairs": PAIRS, "output": None}
        click.get_current_context().invoke(quantize_command, model=str(destination), **quantize)
