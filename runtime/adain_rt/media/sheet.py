"""A contact sheet: labelled pictures in rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from adain_rt.contract import Pixels

__all__ = ["Cell", "draw"]

_GAP = 8
_TEXT = 14


@dataclass(frozen=True)
class Cell:
    """A picture, uint8 (H, W, 3), or none, and the label under it."""

    label: str = ""
    pixels: Pixels | None = None


def draw(rows: Sequence[Sequence[Cell]], side: int) -> Pixels:
    """Return the sheet, uint8 (H, W, 3), white between its cells.

    Args:
        rows: at least one, each of at least one cell.
        side: of the square that a picture is shrunk to fit, in pixels. A row is as high as its highest picture.

    """
    strips = [_draw_row(row, side) for row in rows]
    width = max(strip.width for strip in strips) + 2 * _GAP
    sheet = Image.new("RGB", (width, sum(strip.height + _GAP for strip in strips) + _GAP), "white")
    top = _GAP
    for strip in strips:
        sheet.paste(strip, (_GAP, top))
        top += strip.height + _GAP
    return np.array(sheet)


def _draw_row(row: Sequence[Cell], side: int) -> Image.Image:
    """Return one row of cells as an image."""
    font = ImageFont.load_default(_TEXT)
    pictures = [None if cell.pixels is None else _shrink(cell.pixels, side) for cell in row]
    height = max((picture.height for picture in pictures if picture), default=0)
    text = _TEXT + 6 if any(cell.label for cell in row) else 0
    strip = Image.new("RGB", (len(row) * (side + _GAP) - _GAP, height + text), "white")
    pen = ImageDraw.Draw(strip)
    for place, (cell, picture) in enumerate(zip(row, pictures, strict=True)):
        left = place * (side + _GAP)
        if picture:
            strip.paste(picture, (left + (side - picture.width) // 2, (height - picture.height) // 2))
        pen.text((left + side // 2, height + 2), _shorten(cell.label, font, side), "black", font, anchor="ma")
    return strip


def _shrink(pixels: Pixels, side: int) -> Image.Image:
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture


def _shorten(label: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Return a label, cut off with an ellipsis if it is wider than its cell."""
    if font.getlength(label) <= width:
        return label
    while label and font.getlength(label + "…") > width:
        label = label[:-1]
    return label + "…"
