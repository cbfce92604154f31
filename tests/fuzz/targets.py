"""What reads files that strangers made, and files to begin with."""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features
from tests.runtime.media.files import (
    SRGB_D50,
    XMP,
    chunk,
    cmyk_profile,
    documented,
    encoded,
    exif_with,
    linear_profile,
    photograph,
    png,
)
from tests.runtime.media.tiffs import DEFLATE, FLOAT, SIGNED, tiff

from adain_export.int8.calibration import Calibration
from adain_models.errors import AdainError
from adain_rt.backends.tensorrt.manifest import Manifest, Origin, Recipe, read_manifest
from adain_rt.backends.tensorrt.profiles import DEFAULTS
from adain_rt.contract import VERSION, GraphFacts
from adain_rt.media.pictures import encode_picture, read_mask, read_picture
from adain_rt.style import Style

__all__ = ["TARGETS", "Target", "probe"]

_HASH = "0" * 64
_SMALL = (12, 18)


@dataclass(frozen=True)
class Target:
    """A reader of files, and the files that it reads.

    Attributes:
        read: reads a file.
        seeds: draws files that are sound.

    """

    read: Callable[[Path], Any]
    seeds: Callable[[], dict[str, bytes]]


def probe(target: Target, data: bytes) -> None:
    """Check that a reader reads a file or refuses it in one line, and prints nothing.

    Raises:
        AssertionError: it does not.
        Exception: whatever the reader raises that is no ``AdainError``.

    """
    with tempfile.TemporaryFile() as printed, tempfile.NamedTemporaryFile(suffix=".file") as file:
        file.write(data)
        file.flush()
        stderr = os.dup(2)
        os.dup2(printed.fileno(), 2)
        try:
            _check(target.read(Path(file.name)))
        except AdainError as error:
            assert "\n" not in str(error), f"more than one line: {error}"  # noqa: PT017 - refusing is right
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        printed.seek(0)
        text = printed.read()
        assert not text, f"on stderr: {text[:200]!r}"


def _check(result: Any) -> None:
    """Check the arrays of pictures and masks."""
    arrays = [result] if isinstance(result, np.ndarray) else [getattr(result, "pixels", None)]
    for array in arrays:
        assert array is None or (array.dtype == np.uint8 and array.ndim in {2, 3} and array.flags.c_contiguous)


def _read_and_write(path: Path) -> Any:
    """Read a picture, and write it again with what is kept of its metadata."""
    picture = read_picture(path)
    if picture.width * picture.height < 1 << 16:
        for file_format in ("PNG", "JPEG", "TIFF"):
            read_picture(io.BytesIO(encode_picture(picture, file_format)))
    return picture


def _pictures() -> dict[str, bytes]:
    rgb = Image.fromarray(photograph(*_SMALL))
    rgba = rgb.copy()
    rgba.putalpha(rgb.convert("L"))
    grey = np.array(rgb.convert("L"))[..., None]
    floats = grey.astype(np.float32) / 255
    rich = {"exif": exif_with(Orientation=6, Artist="me"), "icc_profile": linear_profile(SRGB_D50)}
    frames = {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}
    key = png((4, 1), 16, 2, b"\0" + bytes(24), tRNS=bytes(6), cICP=bytes([9, 16, 0, 1]), tEXt=b"Title\0harbour")
    pictures = {
        **{f"plain-{name}": encoded(rgb, name) for name in ("BMP", "GIF", "PPM", "WEBP")},
        **{f"documented-{name}": encode_picture(documented(), name) for name in ("PNG", "JPEG", "TIFF")},
        "rich.png": encoded(rgba, "PNG", **rich),
        "rich.jpg": encoded(rgb, "JPEG", xmp=XMP % b"", **rich),
        "progressive.jpg": encoded(rgb, "JPEG", progressive=True)[:-2],
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG", icc_profile=cmyk_profile()),
        "mpo.jpg": encoded(rgb, "MPO", **frames),
        "palette.png": encoded(rgb.quantize(16), "PNG", transparency=bytes([0, 80, 160])),
        "key.png": key,
        "late.png": key[:-12] + chunk(b"zTXt", b"Comment\0\0x") + key[-12:],
        "animated.png": encoded(rgb, "PNG", **frames),
        "animated.gif": encoded(rgb.quantize(16), "GIF", **frames),
        "animated.webp": encoded(rgba, "WEBP", **frames),
        "wide.pgm": encoded(Image.fromarray(grey[..., 0].astype(np.uint16) * 257), "PPM"),
        "plain.ppm": b"P3 2 1 255\n1 2 3 4 5 6\n",
        "float.pfm": b"PF\n18 12\n-1\n" + np.repeat(floats, 3, axis=2).tobytes(),
        "pages.tif": encoded(rgb.copy(), "TIFF", save_all=True, append_images=[rgba.copy()]),
        "float.tif": tiff(floats, 32, FLOAT, compression=DEFLATE, predictor=3),
        "tiles.tif": tiff(grey.astype(np.int64) - 128, 12, SIGNED, photometric=0, tiled=True, order=">"),
        "planes.tif": tiff(np.repeat(grey, 3, axis=2).astype(np.uint64), 24, photometric=2, planar=True, rows=5),
        "premultiplied.tif": tiff(np.repeat(grey, 2, axis=2).astype(np.uint64), 16, extra=(1,), big=True),
        **{f"{name}.tif": encoded(rgb, "TIFF", compression=name) for name in ("tiff_lzw", "jpeg", "packbits")},
        "fax.tif": encoded(rgb.convert("1"), "TIFF", compression="group4"),
    }
    if features.check("avif"):
        pictures["rich.avif"] = encoded(rgba, "AVIF", **rich)
    if features.check("jpg_2000"):
        pictures["plain.jp2"] = encoded(rgb, "JPEG2000")
    return pictures


def _saved(save: Callable[[Path], Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "file")
        return (Path(folder) / "file").read_bytes()


def _styles() -> dict[str, bytes]:
    code = np.linspace(0.5, 1.5, 8, dtype=np.float32)
    return {"style": _saved(Style(code, code, "lite", _HASH, {"title": "harbour"}).save)}


def _calibrations() -> dict[str, bytes]:
    ends = np.array([[-1, -2, 0], [1, 2, 3]], np.float32)
    return {"calibration": _saved(Calibration(_HASH, {"relu1_1": ends, "relu2_1": 2 * ends}).save)}


def _manifests() -> dict[str, bytes]:
    facts = GraphFacts("lite", _HASH, VERSION, 128, "fp32", 500)
    layer = {"name": "conv", "type": "correlation", "inputs": ["a"], "outputs": ["b"], "nodes": ["n"]}
    recipe = Recipe("tensorrt", "fp16", DEFAULTS)
    origin = Origin("stylize", _HASH, facts)
    manifest = Manifest(origin, recipe, "10.13", "GPU 9.0", "0.1.0", "2020-02-03T04:05:06+00:00", _HASH, 9, (layer,))
    return {"manifest": manifest.to_json().encode()}


TARGETS = {
    "picture": Target(_read_and_write, _pictures),
    "mask": Target(read_mask, _pictures),
    "style": Target(Style.load, _styles),
    "calibration": Target(Calibration.load, _calibrations),
    "manifest": Target(read_manifest, _manifests),
}
