"""Strokes of one size, whatever size the photo has: it is painted small, enlarged, and painted over."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.media.pictures import resize
from adain_rt.pixels import as_masks, as_pictures
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.tiling import Progress, part_of

__all__ = ["AT_ONCE", "STROKES", "check_strokes", "paint"]

STROKES = 512
"""Pixels of the shorter side of photos, and of style pictures, that the networks are trained on."""

AT_ONCE = 0
"""In place of a size: the photo is painted once, at its own size."""

_LEAST = 64
"""Pixels below which there would be nothing to see on the smallest photo."""

_NEAR = 0.25
"""So many doublings are not worth another painting."""

_ROWS = 256
"""So many rows are added at a time, since the numbers take four times the memory of the photo."""

_OVER = 0.5
"""The strength of each further painting: at 1, fine strokes drown the large ones (docs/explanation/strokes.md)."""


def paint(
    stylizer: Stylizer,
    photo: Pixels,
    style: Style | Sequence[Style],
    *,
    strokes: int = STROKES,
    strength: float = 1.0,
    masks: Pixels | None = None,
    progress: Progress | None = None,
) -> Pixels:
    """Return a photo in a style, with strokes as on a smaller one.

    Strokes have about the same number of pixels on every photo, so that they are hard to see on a large one. So the
    photo is painted small first. What that changed is enlarged and added to the larger photo, and the sum is painted
    over at half the strength; and so on, each time about twice as large. This is the coarse-to-fine way of Gatys et
    al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", for a network that paints in one pass.

    Args:
        stylizer: runs the network.
        photo: uint8 (H, W, 3), sRGB.
        style: a style; with ``masks``, one style for each mask.
        strokes: pixels of the shorter side of the smallest photo that is painted; ``AT_ONCE`` is the photo alone.
        strength: the paper's α, from 0 to 1.
        masks: uint8 (R, H, W), as for ``Stylizer.stylize``.
        progress: is called with the share that is done, up to 1, of a photo that is computed in tiles.

    Raises:
        AdainError: there are no such strokes, or any reason that ``Stylizer.stylize`` has.

    """
    check_strokes(strokes)
    photo = as_pictures(photo, (3,))
    height, width = photo.shape[:2]
    if masks is not None:
        masks = as_masks(masks, len(masks), height, width)
    sizes = find_sizes(height, width, strokes)
    photos = [photo]
    for size in sizes[-2::-1]:
        photos.insert(0, resize(photos[0], *size))
    shares = np.prod(sizes, 1) / np.prod(sizes, 1).sum()
    painted = photo
    for place, (size, own) in enumerate(zip(sizes, photos, strict=True)):
        content = _add_change(own, photos[place - 1], painted) if place else own
        painted = stylizer.stylize(
            content,
            style,
            strength=strength * _OVER if place else strength,
            masks=masks if masks is None or own is photo else np.stack([resize(mask, *size) for mask in masks]),
            progress=part_of(progress, shares[:place].sum(), shares[place]),
        )
    if masks is not None and len(sizes) > 1:
        painted = np.where(masks.max(0)[..., None] > 0, painted, photo)
    return painted


def check_strokes(strokes: int) -> None:
    """Refuse what is no size of strokes.

    Raises:
        AdainError: it is neither ``AT_ONCE`` nor large enough.

    """
    if strokes != AT_ONCE and strokes < _LEAST:
        raise AdainError(
            f"strokes are as on a photo of at least {_LEAST} pixels, not {strokes}",
            hint=f"set `strokes` to {STROKES}, or to {AT_ONCE} for the photo's own size",
        )


def find_sizes(height: int, width: int, strokes: int) -> list[tuple[int, int]]:
    """Return the heights and widths at which a photo is painted, the smallest first, and its own last."""
    if strokes == AT_ONCE:
        return [(height, width)]
    doublings = math.log2(min(height, width) / strokes)
    steps = max(0, math.ceil(doublings - _NEAR))
    scales = [2 ** (doublings * step / steps) for step in range(steps, 0, -1)]
    return [*((round(height / scale), round(width / scale)) for scale in scales), (height, width)]


def _add_change(photo: Pixels, smaller: Pixels, painted: Pixels) -> Pixels:
    """Return a photo with what painting changed on a smaller one, which keeps the detail that the smaller one lacks."""
    height, width = photo.shape[:2]
    low, narrow = smaller.shape[:2]
    changed = np.empty_like(photo)
    for channel in range(photo.shape[2]):
        change = Image.fromarray(painted[..., channel].astype(np.float32) - smaller[..., channel])
        for top in range(0, height, _ROWS):
            rows = slice(top, min(top + _ROWS, height))
            box = (0, rows.start * low / height, narrow, rows.stop * low / height)
            enlarged = change.resize((width, rows.stop - rows.start), Image.Resampling.BILINEAR, box)
            numbers = photo[rows, :, channel] + np.asarray(enlarged)
            changed[rows, :, channel] = np.rint(numbers, out=numbers).clip(0, 255, out=numbers)
    return changed
