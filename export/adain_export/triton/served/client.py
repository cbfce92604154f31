"""Paint a picture in the style of another, on a Triton server: python client.py MODEL PHOTO PAINTING -o FILE."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from tritonclient.http import InferenceServerClient, InferInput

_STYLE_SIDE = 512
"""The shorter side of the style picture, in pixels."""


def read_picture(path: str, side: int | None = None) -> NDArray[np.uint8]:
    """Return a picture, upright, uint8 (H, W, 3); with ``side``, its shorter side has so many pixels."""
    with Image.open(path) as opened:
        picture = ImageOps.exif_transpose(opened).convert("RGB")
    if side is not None:
        scale = side / min(picture.size)
        size = [round(each * scale) for each in picture.size]
        picture = picture.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    return np.asarray(picture)


def as_input(name: str, values: NDArray[Any], datatype: str) -> InferInput:
    """Return an array as Triton takes it."""
    tensor = InferInput(name, list(values.shape), datatype)
    tensor.set_data_from_numpy(values)
    return tensor


def main() -> None:
    """Paint one picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("photo")
    parser.add_argument("painting")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("--strength", type=float, default=1.0)
    parser.add_argument("--url", default="localhost:8000")
    options = parser.parse_args()
    inputs = [
        as_input("content", read_picture(options.photo), "UINT8"),
        as_input("style", read_picture(options.painting, _STYLE_SIDE), "UINT8"),
        as_input("strength", np.array([options.strength], np.float32), "FP32"),
    ]
    painted = InferenceServerClient(options.url).infer(options.model, inputs).as_numpy("stylized")
    Image.fromarray(painted).save(options.output)


if __name__ == "__main__":
    main()
