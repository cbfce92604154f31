"""``adain-rt inspect``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from adain_models.errors import AdainError
from adain_rt.backends.tensorrt.engine_file import EngineFile
from adain_rt.backends.tensorrt.manifest import Recipe, manifest_file, read_manifest
from adain_rt.cli.extras import needing
from adain_rt.cli.terminal import printable
from adain_rt.contract import GRAPHS

__all__ = ["command"]


@click.command("inspect")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--layers", "with_layers", is_flag=True, help="List the layers, or an ONNX graph's nodes.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with the layers.")
def command(file: Path, with_layers: bool, as_json: bool) -> None:
    """Show what is in an ONNX graph or an engine.

    It shows the tensors, sizes, precision and layers. For an engine, it reads the manifest beside it and checks that
    the two belong together; no GPU is needed.

    \b
    Examples:
      adain-rt inspect model/stylize.onnx
      adain-rt inspect engines/lite-stylize-fp16-tensorrt-rtx-0123456789ab.engine --layers
    """
    if file.suffix not in {".onnx", ".engine", ".json"}:
        raise AdainError(f"{file}: is neither an ONNX graph (.onnx) nor an engine (.engine, or its manifest, .json)")
    facts, layers = _describe_onnx(file) if file.suffix == ".onnx" else _describe_engine(file)
    if as_json:
        click.echo(json.dumps(facts | {"layers": layers}, indent=2))
        return
    for name, value in facts.items():
        for place, line in enumerate(value if isinstance(value, list) else [value]):
            click.echo(printable(f"{name if place == 0 else '':<22} {line}"))
    click.echo(printable(f"{'layers':<22} {_summarize(layers)}"))
    for layer in layers if with_layers else []:
        click.echo(printable(f"  {layer['type']:<18} {' '.join(layer['outputs']):<24} {layer['name']}"))


def _describe_onnx(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    with needing("inspect", "export"):
        from adain_export.graphs.inspection import describe
    return describe(file)


def _describe_engine(file: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    manifest = read_manifest(manifest_file(file))
    engine = file.with_suffix(".engine")
    EngineFile(engine, manifest, trust=False).read()
    origin, recipe = manifest.origin, manifest.recipe
    channels = origin.facts.channels
    tensors = [
        f"{tensor.name} {tensor.dtype} [{', '.join(str(channels if size == 'C' else size) for size in tensor.shape)}]"
        for tensor in (*GRAPHS[origin.graph].inputs, *GRAPHS[origin.graph].outputs)
    ]
    facts = {
        "engine": str(engine),
        "bytes": manifest.engine_bytes,
        "sha256": manifest.engine_sha256,
        "built": f"{manifest.built} by {recipe.flavor} {manifest.version}, adain-rt {manifest.adain_rt}",
        "gpu": manifest.gpu or "any of its compute capabilities",
        "graph": f"{origin.graph} of {origin.facts.model}, contract {origin.facts.contract}",
        "weights sha256": origin.facts.weights_sha256,
        "onnx sha256": origin.onnx_sha256,
        "tensors": tensors,
        "precision": recipe.precision,
        "profiles": [str(profile) for profile in recipe.profiles],
    }
    plain = Recipe(recipe.flavor, recipe.precision, recipe.profiles)
    unusual = {name: value for name, value in asdict(recipe).items() if value != getattr(plain, name)}
    facts |= {name.replace("_", " "): value for name, value in unusual.items() if name != "profiles"}
    return facts, [dict(layer) for layer in manifest.layers]


def _summarize(layers: list[dict[str, Any]]) -> str:
    """Count the layers, by type."""
    counts: dict[str, int] = {}
    for layer in layers:
        kind = " ".join([layer["type"], *sorted({output.partition("[")[0] for output in layer["outputs"]})])
        counts[kind] = counts.get(kind, 0) + 1
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items(), key=lambda item: -item[1]))
    return f"{len(layers)}: {by_kind}"
