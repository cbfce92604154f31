"""``adain-rt triton``."""

from __future__ import annotations

from pathlib import Path

import click

from adain_rt.cli import options
from adain_rt.cli.extras import needing
from adain_rt.model import Model

__all__ = ["command"]


@click.command("triton")
@options.model
@click.option(
    "--precision",
    type=click.Choice(["fp16", "fp32", "int8"]),
    default="fp16",
    show_default=True,
    help="Precision of the convolutions. fp16 needs a GPU; fp32 runs on a GPU if there is one; int8 is for CPUs.",
)
@click.option(
    "--engines",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="TensorRT engines directory, made by `adain-rt build -o`. A graph without an engine runs by ONNX Runtime.  "
    "[default: the cache]",
)
@click.option(
    "--max-batch",
    type=click.IntRange(1, 128),
    default=8,
    show_default=True,
    metavar="N",
    help="Pictures of one size that are computed at once, at most.",
)
@click.option(
    "--instances",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    metavar="N",
    help="Batches that are computed at the same time, on each GPU or on the CPU.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    metavar="DIR",
    help="Model repository to write to. It may hold other models.",
)
@options.overwrite
def command(
    model: str, precision: str, engines: Path | None, max_batch: int, instances: int, output: Path, overwrite: bool
) -> None:
    """Write a model repository for NVIDIA's Triton Inference Server.

    It has a Triton model for each graph, and one that takes a picture and a style picture. Its README.md says how
    to start the server and a client.

    \b
    Examples:
      adain-rt triton -o repository
      adain-rt triton --model vgg19 --engines engines/ -o repository
      adain-rt triton --precision int8 --instances 2 -o repository
    """
    with needing("triton", "triton"):
        from adain_export.triton.repository import Repository
    repository = Repository(Model(model), output, precision, engines, max_batch, instances, overwrite)
    for served in repository.write():
        click.echo(f"{served.name}: {served.runs_by}")
    click.echo(f"Next: see {repository.readme}")
