"""The job that lays out contact sheets, as a program drives it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adain_models.errors import AdainError
from adain_rt import fit
from adain_rt.jobs.outputs import STDOUT
from adain_rt.jobs.sheets import Sheet
from adain_rt.jobs.styles import load, parse
from adain_rt.strokes import paint


def sheet(content: str, output: str = "sheet.png", **options) -> Sheet:
    return Sheet([Path(content)], [parse("@great-wave")], Path(output), **options)


def test_the_longer_side_of_contents_can_be_bounded(desk, stylizer):
    _, row = sheet("photo.jpg", max_size=48).rows(stylizer)
    assert [cell.pixels.shape for cell in row] == [(32, 48, 3), (32, 48, 3)]


def test_what_a_picture_is_refused_for_names_it(desk, stylizer, monkeypatch):
    Image.new("RGB", (1, 65_537)).save("strip.png")
    with pytest.raises(AdainError, match=r"^strip.png: the picture of 1 x 65537 pixels would have 512 x ") as caught:
        list(sheet("strip.png").rows(stylizer))
    assert "`max_size`" in caught.value.hint
    monkeypatch.setattr("adain_rt.machine.memory.available_bytes", lambda: 2_000_000)
    with pytest.raises(AdainError, match=r"^photo.jpg \(96x64 pixels before it was resized\): 768x512 pixels may take"):
        list(sheet("photo.jpg").rows(stylizer))


def test_its_strokes_are_those_of_a_painted_photo(desk, stylizer):
    _, row = sheet("photo.jpg", size=128, strokes=64).rows(stylizer)
    cell, picture = (each.pixels for each in row)
    style = load("@great-wave", stylizer, 512, crop=False).encode(stylizer)
    assert np.array_equal(picture, paint(stylizer, cell, fit(stylizer, cell, style, size=64), strokes=64))


@pytest.mark.parametrize(("output", "path"), [("/dev/stdout", STDOUT), ("/dev/null", Path("/dev/null"))])
def test_a_sheet_may_go_to_a_device(desk, output, path):
    assert sheet("photo.jpg", output).output == path
