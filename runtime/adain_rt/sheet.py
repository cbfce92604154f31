"""A contact sheet: labelled pictures in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from adain_rt.stylizer import Pixels

__all__ = ["Cell", "draw"]

_GAP = 8
_TEXT = 14


@dataclass(frozen=True)
class Cell:
    """A picture, uint8 (H, W, 3), and what is written under it; without a picture, the text alone."""

    label: str = ""
    pixels: Pixels | None = None


def draw(rows: Sequence[Sequence[Cell]], side: int) -> Pixels:
    """Return the sheet, uint8 (H, W, 3): each picture fitted into a square of ``side`` pixels, white around it."""
    font = ImageFont.load_default(_TEXT)
    across, down = side + _GAP, side + _GAP + (_TEXT + 6 if any(cell.label for row in rows for cell in row) else 0)
    width, height = max(len(row) for row in rows) * across + _GAP, len(rows) * down + _GAP
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for y, row in enumerate(rows):
        for x, cell in enumerate(row):
            left, top = _GAP + x * across, _GAP + y * down
            if cell.pixels is not None:
                picture = Image.fromarray(cell.pixels)
                picture.thumbnail((side, side), Image.Resampling.LANCZOS)
                sheet.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
            label = _fitted(cell.label, font, side)
            pen.text((left + side // 2, top + side + 2), label, fill="black", font=font, anchor="ma")
    return np.array(sheet)


def _fitted(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return a label, cut short with an ellipsis where it is wider than its cell."""
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(label + "…") > width:
        label = label[:-1]
    return label + "…"
