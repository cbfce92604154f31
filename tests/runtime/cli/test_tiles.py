"""The options for tiles, as a person types them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

PLAIN = ("stylize", "photo.jpg", "--style", "@udnie")


@pytest.mark.parametrize("options", [("--tile", "64"), ("--memory", "1.5G"), ("--tile", "off", "--memory", "900MB")])
def test_pictures_are_painted_with_any_of_them(desk, run, options):
    assert run(*PLAIN, "-o", "plain.png").status == 0
    assert run(*PLAIN, *options, "-o", "out.png").status == 0
    made, plain = (np.asarray(Image.open(name)).astype(int) for name in ("out.png", "plain.png"))
    assert made.shape == plain.shape
    assert np.abs(made - plain).mean() < 1


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--memory", "much"), ("--memory", "512M or 2G")),
        (("--memory", "0"), ("--memory", "512M or 2G")),
        (("--tile", "large"), ("--tile", "auto, off or a number of pixels")),
        (("--tile", "8"), ("at least 64", "set --tile to 1024")),
    ],
)
def test_what_is_none_is_refused_in_one_line(desk, run, options, parts):
    run(*PLAIN, *options, "-o", "out.png").refused(*parts)
