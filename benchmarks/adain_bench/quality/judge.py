"""How good pictures are: by their pixels, and by the features of two teachers.

By pixels alone, as ``adain_bench.quality.brushwork`` defines them, where the photo is flat:

- *grid*, modulo 8 and modulo 4: how far gradients are locked to the places where the network doubles.
- *mesh*, in the whole picture: how far its spectrum repeats itself, as the features' distance of 8 pixels makes it.
- *axes*: how much more power there is along the pixel axes than off them.
- *angles*: how far power keeps to some angles to the axes, be it along them or along the diagonals.
- *unevenness*: how unevenly what is drawn is spread; bands beside edges are uneven.
- *strokes*, of 8 to 16 and of 16 to 32 pixels: how strong they are, divided by how strong they are in the style. In the
  whole picture the photo's own edges count too; in its flat parts only what was painted there does.
- *tones* and *colours*: how strong they are in the whole picture, divided by how strong they are in the style.
- *noise gain*, of what can be run: what noise of one level on a smooth ramp becomes, in levels.

By VGG-19 with the weights that Keras publishes, with the distances of ``adain_models.training.teacher``, each
summed over its four layers:

- *style gap left*: the style distance between picture and style, divided by that between photo and style. 1 is the
  untouched photo, 0 a picture whose means and deviations are the style's.
- *texture gap left*: the same of the texture distance. Tones do not count in it; strokes, hatching and grain do.
- *content distance*: that of relu3_4 between picture and photo.

By VGG-16:

- *patches left*, relu4_1 and relu3_1: the sliced Wasserstein distance (``adain_bench.quality.patches``) between the
  features of picture and style, divided by that between photo and style, the pictures at half their size.
- *content distance*, relu4_1: as above, the pictures at their own size.

Besides, *identity error* is the mean absolute difference, in levels of 256, between a photo and the photo in its own
style. All of them rank models, and do not replace looking.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from adain_bench.quality.brushwork import Tiles, all_tiles, angles, axes, flat_tiles, grid, mesh, strokes, unevenness
from adain_bench.quality.palette import colours, tones
from adain_bench.quality.patches import Cloud, cloud, distance
from adain_models.errors import AdainError
from adain_models.training.teacher import Teacher, Vgg16, normalized, relative_distance, statistics
from adain_rt.contract import Pixels

__all__ = ["Judge", "Quality", "Teachers"]

_CELLS = (8, 16)  # of strokes, pixels
_PALETTE = (tones, colours)
_FAINT = 0.5  # levels: no strength, but rounding
_PATCHES = ("patches_3", "patches_4")  # the figures of ``Vgg16.layers``


@dataclass(frozen=True)
class Quality:
    """One picture's figures; ``None`` is a figure that cannot be known.

    The first twelve need no teacher, the next three VGG-16, the last three VGG-19; the noise gain needs a program that
    can be run.
    """

    grid_8: float
    grid_4: float
    mesh: float
    axes: float
    angles: float
    unevenness: float
    strokes_8: float | None
    strokes_16: float | None
    flat_strokes_8: float | None
    flat_strokes_16: float | None
    tones: float | None
    colours: float | None
    noise_gain: float | None = None
    patches_4: float | None = None
    patches_3: float | None = None
    content_4: float | None = None
    style_gap: float | None = None
    texture_gap: float | None = None
    content: float | None = None


@dataclass(frozen=True)
class Teachers:
    """Those whose features judge; without one there are none of its figures."""

    vgg19: Teacher | None = None
    vgg16: Vgg16 | None = None


class Judge:
    """Gives pictures their figures for one photo in one style.

    Args:
        teachers: see all three.
        photo: uint8 (H, W, 3).
        style: uint8 of any size (h, w, 3).

    Attributes:
        untouched: the figures of the photo.
        painting: those of the style, everywhere in it: where a painting is flat is its margin, or a frame.

    Raises:
        AdainError: the photo has the style already, and there is no gap to be left; or one of them is too small.

    """

    def __init__(self, teachers: Teachers, photo: Pixels, style: Pixels) -> None:
        self._teachers = teachers
        self._tiles = flat_tiles(photo)
        self._strokes = [strokes(style, cell) for cell in _CELLS]
        self._palette = [figure(style) for figure in _PALETTE]
        self._style, self._photo = self._look(style), self._look(photo)
        self._whole = self._distances(self._photo)
        if 0 in self._whole.values():
            raise AdainError("the photo is the style itself: there is no gap that could be left")
        self.untouched = self._measure_against_photo(photo, self._photo)
        self.painting = self._measure(style, all_tiles(style), self._style)

    def judge(self, picture: Pixels) -> Quality:
        """Return the figures of a picture, uint8 (H, W, 3), of the photo's size."""
        return self._measure_against_photo(picture, self._look(picture))

    def _measure_against_photo(self, picture: Pixels, seen: _Seen) -> Quality:
        """Return all figures of a picture of the photo."""
        distances = {
            name: nn.functional.mse_loss(content, self._photo.contents[name]).item()
            for name, content in seen.contents.items()
        }
        return replace(self._measure(picture, self._tiles, seen), **distances)

    def _measure(self, picture: Pixels, tiles: Tiles, seen: _Seen) -> Quality:
        """Return the figures for which a picture need not be of the photo."""
        widths = [
            _ratio(strokes(picture, cell, where), whole)
            for where in (None, tiles)
            for cell, whole in zip(_CELLS, self._strokes, strict=True)
        ]
        palette = [_ratio(figure(picture), whole) for figure, whole in zip(_PALETTE, self._palette, strict=True)]
        locked = grid(picture, tiles, 8), grid(picture, tiles, 4)
        regular = [figure(picture, tiles) for figure in (axes, angles, unevenness)]
        gaps = {name: distance / self._whole[name] for name, distance in self._distances(seen).items()}
        return Quality(*locked, mesh(picture), *regular, *widths, *palette, **gaps)

    @torch.no_grad()
    def _look(self, pixels: Pixels) -> _Seen:
        seen = _Seen()
        picture = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
        if self._teachers.vgg19:
            features = self._teachers.vgg19(picture)
            seen.statistics.extend(map(statistics, features))
            seen.contents["content"] = normalized(features[-1])
        if self._teachers.vgg16:
            seen.contents["content_4"] = normalized(self._teachers.vgg16(picture)[-1])
            half = nn.functional.interpolate(picture, scale_factor=0.5, mode="area")
            seen.clouds.update(zip(_PATCHES, map(cloud, self._teachers.vgg16(half)), strict=True))
        return seen

    def _distances(self, seen: _Seen) -> dict[str, float]:
        """Return the distances from the style, of which a picture's are divided by the photo's."""
        found = {name: distance(points, self._style.clouds[name]) for name, points in seen.clouds.items()}
        if seen.statistics:
            pairs = list(zip(seen.statistics, self._style.statistics, strict=True))
            found["style_gap"] = sum(relative_distance(ours, theirs).item() for (ours, _), (theirs, _) in pairs)
            found["texture_gap"] = sum(relative_distance(ours, theirs).item() for (_, ours), (_, theirs) in pairs)
        return found


def _ratio(strength: float, whole: float) -> float | None:
    """Return a picture's strength over its style's, which may have none: a plain picture, or one in grey."""
    return strength / whole if whole > _FAINT else None


@dataclass(frozen=True)
class _Seen:
    """What the teachers see of one picture: by layer, and by the names of the figures."""

    statistics: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    contents: dict[str, Tensor] = field(default_factory=dict)
    clouds: dict[str, Cloud] = field(default_factory=dict)
