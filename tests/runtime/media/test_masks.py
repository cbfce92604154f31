"""Masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.runtime.media.files import (
    Pixels,
    exif_with,
)

from adain_rt.media.pictures import (
    read_mask,
)


def mask_of(image: Image.Image, tmp_path: Path, **options: Any) -> Pixels:
    image.save(tmp_path / "mask.png", **options)
    return read_mask(tmp_path / "mask.png")


def test_a_mask_is_the_grey_of_its_picture_upright(tmp_path: Path) -> None:
    grey = np.arange(200, dtype=np.uint8).reshape(10, 20)
    stored = Image.fromarray(np.ascontiguousarray(grey.T[::-1]))
    assert np.array_equal(mask_of(stored, tmp_path, exif=exif_with(Orientation=6)), grey)


def test_a_colour_masks_grey_is_its_luma(tmp_path: Path) -> None:
    assert mask_of(Image.new("RGB", (2, 2), (255, 0, 0)), tmp_path)[0, 0] == 76


@pytest.mark.parametrize("color", ["black", "white", "red"])
def test_a_shape_of_one_colour_on_a_transparent_ground_is_the_mask(color: str, tmp_path: Path) -> None:
    shape = np.zeros((8, 8), np.uint8)
    shape[2:5] = 255
    shape[5] = 100
    image = Image.new("RGBA", (8, 8), color)
    image.putalpha(Image.fromarray(shape))
    assert np.array_equal(mask_of(image, tmp_path), shape)


def test_in_a_mask_of_several_colours_the_transparent_is_outside(tmp_path: Path) -> None:
    image = Image.new("RGBA", (3, 1), "white")
    image.putpixel((1, 0), (0, 0, 0, 255))
    image.putpixel((2, 0), (255, 255, 255, 0))
    assert mask_of(image, tmp_path).tolist() == [[255, 0, 0]]


def test_an_opaque_mask_is_its_grey_even_if_it_is_all_one_colour(tmp_path: Path) -> None:
    assert mask_of(Image.new("RGBA", (3, 3), "black"), tmp_path).max() == 0
