"""``adain-rt export``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from adain_models import spec, store
from adain_models.errors import AdainError
from adain_rt import contract
from adain_rt.cli import options

__all__ = ["command"]


@click.command("export")
@options.model
@click.option("--precision", type=click.Choice(["fp32"]), default="fp32", show_default=True, help="Of the arithmetic.")
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where the graphs and the weights go.  [default: the model's own directory]",
)
def command(model: str, precision: str, output: Path | None) -> None:
    """Write a model's ONNX graphs, and check them against PyTorch.

    \b
    Examples:
      adain-rt export --model vgg19
      adain-rt export --model lite -o build/lite
    """
    try:
        from adain_export.export import export_model
        from adain_export.verify import verify
    except ModuleNotFoundError as error:
        raise AdainError(f"export needs {error.name}: pip install 'adain-rt[export]'") from None
    source = store.model_dir(model)
    if output is None and model in spec.MODELS and spec.MODELS[model].bundled:
        raise AdainError(f"model {model} ships with its graphs; name another directory with -o")
    destination = output or source
    name = model if model in spec.MODELS else source.resolve().name
    graphs = export_model(source, name, destination, precision)
    with click.progressbar(
        graphs, len(contract.GRAPHS), "Exporting", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as written:
        for _ in written:
            pass
    difference = verify(destination)
    click.echo(f"{destination}: {len(contract.GRAPHS)} graphs, at most {difference} of 256 levels from PyTorch")
