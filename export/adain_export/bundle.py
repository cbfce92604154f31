"""Make the files that ship in the package: the bundled model's graphs, and style presets from pictures of works.

``presets.json`` names the works and the SHA-256 of the picture that was used of each; the pictures are not in this
repository. All are by artists who died before 1954.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from adain_export.int8.calibration import Calibration
from adain_export.int8.quantize import CALIBRATION_NAME, quantize_model
from adain_export.torch.export import export_model
from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_models.weights import spec, store
from adain_rt import contract
from adain_rt.media.pictures import frame, read_picture
from adain_rt.stylizer import Stylizer

__all__ = ["make_presets"]

_WORKS = Path(__file__).with_name("presets.json")
_SIZE = 512  # the command line's default for a style's shorter side
_ABOUT = ("title", "artist", "died", "year")


def make_presets(pictures: Path, model: str) -> Iterator[str]:
    """Write ``presets/NAME.safetensors`` into a model's directory; yield each name, written.

    Args:
        pictures: a directory; the works' pictures are found in it by their SHA-256.
        model: a named model or a model directory, with graphs.

    Raises:
        AdainError: the picture of a work is missing, or a file cannot be written.

    """
    stylizer = Stylizer(model, "onnxruntime", "fp32")
    found = {sha256_of(path): path for path in pictures.rglob("*") if path.is_file()}
    for name, work in json.loads(_WORKS.read_text("utf-8")).items():
        if work["picture_sha256"] not in found:
            raise AdainError(f"{pictures}: has no picture of {name} (SHA-256 {work['picture_sha256']})")
        pixels = read_picture(found[work["picture_sha256"]]).pixels
        left, top, right, bottom = work.get("crop", (0, 0, pixels.shape[1], pixels.shape[0]))
        style = stylizer.encode(frame(pixels[top:bottom, left:right], _SIZE, crop=False))
        style = replace(style, about={key: work[key] for key in _ABOUT})
        style.save(stylizer.directory / "presets" / f"{name}.safetensors")
        yield name


@click.command()
@click.argument("pictures", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(pictures: Path | None) -> None:
    """Write the bundled model's graphs from its weights and calibration, and its presets if PICTURES has the works."""
    model = spec.DEFAULT_MODEL
    directory = store.model_dir(model)
    for graph in export_model(directory, model, directory):
        click.echo(f"{graph} in fp32")
    calibration = Calibration.load(contract.graph_dir(directory, "int8") / CALIBRATION_NAME)
    for graph in quantize_model(directory, calibration):
        click.echo(f"{graph} in int8")
    for name in make_presets(pictures, model) if pictures else ():
        click.echo(f"@{name}")


if __name__ == "__main__":
    main()
