"""Strokes of one size, whatever size the photo has: it is painted small, enlarged, and painted over."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from adain_models.errors import AdainError
from adain_rt.bands import add_change, shrink
from adain_rt.checks import check_strength
from adain_rt.contract import Pixels
from adain_rt.pixels import as_masks, as_pictures
from adain_rt.progress import Progress, part_of
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.underpainting import UNDERPAINTING, check_underpainting, underpaint

__all__ = [
    "AT_ONCE",
    "OVER",
    "STROKES",
    "check_strokes",
    "find_sizes",
    "find_smaller",
    "keep_bare",
    "paint",
    "paint_sizes",
]

STROKES = 512
"""Pixels of the shorter side of photos, and of style pictures, that the networks are trained on."""

AT_ONCE = 0
"""In place of a size: the photo is painted once, at its own size."""

OVER = 0.5
"""The strength of each further painting: at 1, fine strokes drown the large ones (docs/explanation/strokes.md)."""

_LEAST = 64
"""Pixels below which there would be nothing to see on the smallest photo."""

_NEAR = 0.25
"""So many doublings are not worth another painting."""

Sizes = list[tuple[int, int]]
"""Heights and widths, the smallest first."""

PaintOnce = Callable[[int, Pixels, float, Pixels | None], Pixels]
"""Paints at one size: which, from 0, the smallest; what is painted over; how strongly; the masks."""


def paint(
    stylizer: Stylizer,
    photo: Pixels,
    style: Style | Sequence[Style],
    *,
    strokes: int = STROKES,
    underpainting: float = UNDERPAINTING,
    strength: float = 1.0,
    masks: Pixels | None = None,
    progress: Progress | None = None,
) -> Pixels:
    """Return a photo in a style, with strokes as on a smaller one.

    Strokes have about the same number of pixels on every photo, so that they are hard to see on a large one. So the
    photo is painted small first. What that changed is enlarged and added to the larger photo, and the sum is painted
    over at half the strength; and so on, each time about twice as large. This is the coarse-to-fine way of Gatys et
    al. 2017, "Controlling Perceptual Factors in Neural Style Transfer", for a network that paints in one pass.

    Faint uneven tones are laid under the smallest photo, so that there are strokes where it is plain
    (``adain_models.underpainting``).

    Args:
        stylizer: runs the network.
        photo: uint8 (H, W, 3), sRGB.
        style: a style; with ``masks``, one style for each mask.
        strokes: pixels of the shorter side of the smallest photo that is painted; ``AT_ONCE`` is the photo alone.
        underpainting: the deviation of these tones, in levels of 256, from 0 to 32. At less strength they are fainter.
        strength: the paper's α, from 0 to 1.
        masks: uint8 (R, H, W), as for ``Stylizer.stylize``.
        progress: is called with the share that is done, up to 1, of a photo that is computed in tiles.

    Raises:
        AdainError: there are no such strokes, or no such underpainting, or any reason that ``Stylizer.stylize`` has.

    """
    photo = as_pictures(photo, (3,))
    height, width = photo.shape[:2]
    if masks is not None:
        masks = as_masks(masks, len(masks), height, width)
    check_strokes(strokes)
    check_underpainting(underpainting)
    check_strength(strength)

    def lay_under(own: Pixels, covers: Pixels | None) -> Pixels:
        return underpaint(own, underpainting * strength, covers)

    sizes = find_sizes(height, width, strokes)
    if len(sizes) == 1:  # nothing else is asked for: a GPU paints a small photo in less than a millisecond
        return stylizer.stylize(lay_under(photo, masks), style, strength=strength, masks=masks, progress=progress)
    pixels = np.prod(sizes, 1)
    ends = np.cumsum(pixels) / pixels.sum()

    def paint_once(place: int, own: Pixels, strength: float, covers: Pixels | None) -> Pixels:
        begin = ends[place - 1] if place else 0.0
        part = part_of(progress, begin, ends[place] - begin)
        laid = own if place else lay_under(own, covers)
        return stylizer.stylize(laid, style, strength=strength, masks=covers, progress=part)

    return paint_sizes(photo, masks, sizes, strength, paint_once, stylizer.settings.own_threads)


def paint_sizes(
    photo: Pixels, masks: Pixels | None, sizes: Sizes, strength: float, paint_once: PaintOnce, threads: int
) -> Pixels:
    """Return a photo that is painted at each of its sizes, each over the one before, with threads to resize it.

    See ``paint`` and ``find_sizes``.
    """
    photos, regions = [photo], [masks]
    for size in sizes[-2::-1]:
        photos.insert(0, shrink(photos[0], *size, threads))
        larger = regions[0]
        regions.insert(0, None if larger is None else np.stack([shrink(mask, *size, threads) for mask in larger]))
    painted = paint_once(0, photos[0], strength, regions[0])
    for place in range(1, len(photos)):
        own, covers = photos[place], regions[place]
        begun = _collect(own, add_change(own, photos[place - 1], painted, threads))
        painted = paint_once(place, begun, strength * OVER, covers)
        if covers is not None:
            painted = keep_bare(painted, own, covers)
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


def find_sizes(height: int, width: int, strokes: int) -> Sizes:
    """Return the heights and widths at which a photo is painted, the smallest first, and its own last."""
    if strokes == AT_ONCE:
        return [(height, width)]
    doublings = math.log2(min(height, width) / strokes)
    steps = max(0, math.ceil(doublings - _NEAR))
    scales = [2 ** (doublings * step / steps) for step in range(steps, 0, -1)]
    return [*((round(height / scale), round(width / scale)) for scale in scales), (height, width)]


def find_smaller(height: int, width: int, strokes: int, most: int) -> tuple[int, int] | None:
    """Return the size of the photo that is painted before this one; ``None`` if this is painted once.

    Args:
        height: of the photo, in pixels.
        width: of the photo, in pixels.
        strokes: as for ``paint``.
        most: the most pixels that the smaller photo may have.

    """
    sizes = find_sizes(height, width, strokes)
    if len(sizes) == 1:
        return None
    rows, columns = sizes[-2]
    scale = min(1, math.sqrt(most / (rows * columns)))
    return round(rows * scale), round(columns * scale)


def keep_bare(painted: Pixels, photo: Pixels, masks: Pixels | Sequence[Pixels]) -> Pixels:
    """Return what is painted, and the photo where no mask is: near a region, what is added of it reaches beyond.

    Args:
        painted: uint8 (H, W, 3).
        photo: of the same size.
        masks: uint8 (H, W) each.

    """
    kept: Pixels = np.where(np.max(masks, 0)[..., None] > 0, painted, photo)
    return kept


def _collect(photo: Pixels, bands: Iterable[tuple[slice, Pixels]]) -> Pixels:
    whole = np.empty_like(photo)
    for rows, band in bands:
        whole[rows] = band
    return whole
