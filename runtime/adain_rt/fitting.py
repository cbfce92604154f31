"""Styles fitted to a photo: a small first painting says what they lack on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np

from adain_models.errors import AdainError
from adain_models.fitting import correct
from adain_rt.bands import shrink
from adain_rt.contract import Pixels
from adain_rt.pixels import as_pictures
from adain_rt.strokes import STROKES
from adain_rt.style import Style, as_styles
from adain_rt.stylizer import Stylizer
from adain_rt.tiling import Canvas
from adain_rt.underpainting import UNDERPAINTING, check_underpainting, underpaint

__all__ = ["fit"]

_MOST = 1 << 20
"""The most pixels of the first painting."""


@overload
def fit(
    stylizer: Stylizer, photo: Canvas, style: Style, *, size: int = STROKES, underpainting: float = UNDERPAINTING
) -> Style: ...
@overload
def fit(
    stylizer: Stylizer,
    photo: Canvas,
    style: Sequence[Style],
    *,
    masks: Sequence[Canvas] = (),
    size: int = STROKES,
    underpainting: float = UNDERPAINTING,
) -> list[Style]: ...
def fit(
    stylizer: Stylizer,
    photo: Canvas,
    style: Style | Sequence[Style],
    *,
    masks: Sequence[Canvas] = (),
    size: int = STROKES,
    underpainting: float = UNDERPAINTING,
) -> Style | list[Style]:
    """Return a style corrected for one photo, so that what is painted in it comes nearer to the style.

    The photo is painted small, and the code of that painting is measured. A share of what it lacks is added to the
    style (``adain_models.fitting``). What is returned is for ``Stylizer.stylize`` and ``paint``, at any strength, and
    for this photo alone.

    Args:
        stylizer: runs the network.
        photo: uint8 (H, W, 3), sRGB: an array, or a file that is read in parts.
        style: a style; several, with a mask for each; or a single one in a list, with or without.
        masks: uint8 (H, W) each, as for ``Stylizer.stylize``.
        size: pixels of the shorter side of the first painting, at most.
        underpainting: the deviation of the tones under it, as for ``paint``.

    Raises:
        AdainError: a mask is not as large as the photo, there is no such underpainting, or any reason that
            ``Stylizer.stylize`` has.

    """
    styles, photo = as_styles(style), as_pictures(photo, (3,))
    check_underpainting(underpainting)
    for mask in masks:
        if mask.shape != photo.shape[:2]:
            raise AdainError(f"a mask of shape {mask.shape} is not as large as the photo, {photo.shape[:2]}")
    small, *regions = (_shrink(each, size, stylizer.settings.own_threads) for each in (photo, *masks))
    covers = np.stack(regions) if regions else None
    laid = underpaint(small, underpainting, covers)
    if regions:
        made = stylizer.measure_tiles(stylizer.stylize(laid, styles, masks=covers), regions)
    else:
        code = stylizer.encode(stylizer.stylize(laid, styles[0] if len(styles) == 1 else styles))
        made = code.mean[None], code.std[None]
    fitted = []
    for asked, *measured in zip(styles, *made, strict=True):
        mean, std = correct((asked.mean, asked.std), (measured[0], measured[1]))
        fitted.append(replace(asked, mean=mean, std=std))
    return fitted[0] if isinstance(style, Style) else fitted


def _shrink(canvas: Canvas, size: int, threads: int) -> Pixels:
    """Return a picture, or a mask, with so many pixels on its shorter side; as it is if it is smaller."""
    height, width = canvas.shape[:2]
    scale = min(1, size / min(height, width), math.sqrt(_MOST / (height * width)))
    return shrink(canvas, max(1, round(height * scale)), max(1, round(width * scale)), threads)
