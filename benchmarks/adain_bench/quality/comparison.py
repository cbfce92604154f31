"""How good pictures are: by their pixels, and by the features of two teachers.

By pixels alone, as ``adain_bench.quality.brushwork`` defines them, where the photo is flat:

- *grid*, modulo 8 and modulo 4: how far gradients are locked to the places where the network doubles.
- *axes*: how much more power there is along the pixel axes than off them.
- *strokes*, of 8 to 16 and of 16 to 32 pixels: how strong they are, divided by how strong they are in the style. In the
  whole picture the photo's own edges count too; in its flat parts only what was painted there does.
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

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from adain_bench.contenders.base import Stylist
from adain_bench.quality.brushwork import Tiles, all_tiles, axes, flat_tiles, grid, noise_gain, strokes
from adain_bench.quality.optimize import optimize
from adain_bench.quality.patches import Cloud, cloud, distance
from adain_export.psnr import psnr
from adain_models import reference
from adain_models.errors import AdainError
from adain_models.networks.base import channels_last
from adain_models.training.losses import Joint
from adain_models.training.teacher import Teacher, Vgg16, normalized, relative_distance, statistics
from adain_models.weights import checkpoint
from adain_rt.contract import Pixels
from adain_rt.jobs.inputs import pictures_in
from adain_rt.media.pictures import frame, read_picture
from adain_rt.pixels import pad
from adain_rt.stylizer import Stylizer

__all__ = ["InPyTorch", "Judge", "Pair", "Quality", "Subject", "Teachers", "examine", "subjects_in"]

_CELLS = (8, 16)  # of strokes, pixels
_PATCHES = ("patches_3", "patches_4")  # the figures of ``Vgg16.layers``


@dataclass(frozen=True)
class Quality:
    """One picture's figures; ``None`` is what cannot be known of it.

    The first seven need no teacher, the next three VGG-16, the last three VGG-19; the noise gain needs a program that
    can be run.
    """

    grid_8: float
    grid_4: float
    axes: float
    strokes_8: float | None
    strokes_16: float | None
    flat_strokes_8: float | None
    flat_strokes_16: float | None
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


@dataclass(frozen=True)
class Subject:
    """A photo, a style, and what programs made of them, by the programs' names."""

    photo: Path
    style: Path
    made: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class Pair:
    """What was found of one photo in one style, as it is computed here and in fp32.

    ``psnr`` is that between the two in decibels, ``identity`` the error of the photo in its own style. ``untouched`` is
    the photo as it is, ``painting`` the style's picture, and ``optimized`` the photo's pixels optimised for the losses:
    what can be. ``peers`` is what others make of it, by name.
    """

    photo: str
    style: str
    painting: Quality
    untouched: Quality
    here: Quality
    fp32: Quality
    optimized: Quality | None
    psnr: float
    identity: float
    peers: Mapping[str, Quality]


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
        self._style, self._photo = self._look(style), self._look(photo)
        self._whole = self._distances(self._photo)
        if 0 in self._whole.values():
            raise AdainError("the photo is the style itself: there is no gap that could be left")
        self.untouched = self._placed(photo, self._photo)
        self.painting = self._judged(style, all_tiles(style), self._style)

    def judge(self, picture: Pixels) -> Quality:
        """Return the figures of a picture, uint8 (H, W, 3), of the photo's size."""
        return self._placed(picture, self._look(picture))

    def _placed(self, picture: Pixels, seen: _Seen) -> Quality:
        """Return all figures of a picture of the photo."""
        distances = {
            name: nn.functional.mse_loss(content, self._photo.contents[name]).item()
            for name, content in seen.contents.items()
        }
        return replace(self._judged(picture, self._tiles, seen), **distances)

    def _judged(self, picture: Pixels, tiles: Tiles, seen: _Seen) -> Quality:
        """Return the figures for which a picture need not be of the photo."""
        widths = [
            strokes(picture, cell, where) / whole if whole else None
            for where in (None, tiles)
            for cell, whole in zip(_CELLS, self._strokes, strict=True)
        ]
        regular = grid(picture, tiles, 8), grid(picture, tiles, 4), axes(picture, tiles)
        gaps = {name: distance / self._whole[name] for name, distance in self._distances(seen).items()}
        return Quality(*regular, *widths, **gaps)

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


@dataclass(frozen=True)
class _Seen:
    """What the teachers see of one picture: by layer, and by the names of the figures."""

    statistics: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    contents: dict[str, Tensor] = field(default_factory=dict)
    clouds: dict[str, Cloud] = field(default_factory=dict)


class InPyTorch:
    """A stylist of weights that need no graphs: those of a training that goes on.

    Args:
        weights: a safetensors file.

    Raises:
        AdainError: the file is missing, broken, or of another network.

    """

    def __init__(self, weights: Path) -> None:
        self._network = checkpoint.load(weights)
        channels_last(self._network)

    def encode(self, painting: Pixels) -> reference.Code:
        """Return the style's code."""
        return reference.encode(self._network, torch.tensor(pad(painting[None])))

    def stylize(self, contents: Pixels, code: reference.Code) -> Pixels:
        """Return pictures in a style."""
        strength = torch.ones(len(contents))
        made = reference.stylize(self._network, torch.tensor(pad(contents)), code, strength)
        cropped: Pixels = made[:, : contents.shape[1], : contents.shape[2]].numpy()
        return cropped


def subjects_in(folder: Path) -> list[Subject]:
    """Return the pairs of a folder, in the order of their names.

    ``NAME_content`` and ``NAME_style`` are a pair, with any suffix of a picture, and every other ``NAME_PROGRAM`` is
    what a program made of it.

    Raises:
        AdainError: there is no pair, or one lacks its style.

    """
    found = {path.stem: path for path in pictures_in(folder)}
    names = [stem.removesuffix("_content") for stem in found if stem.endswith("_content")]
    if not names:
        raise AdainError(f"{folder}: holds no pairs, NAME_content and NAME_style; for others say --style")
    roles: dict[str, dict[str, Path]] = {name: {} for name in names}
    for stem, path in found.items():
        owners = [name for name in names if stem.startswith(f"{name}_")]
        if owners:
            owner = max(owners, key=len)
            roles[owner][stem[len(owner) + 1 :]] = path
    lacking = [name for name in names if "style" not in roles[name]]
    if lacking:
        raise AdainError(f"{folder}: {lacking[0]}_content has no {lacking[0]}_style beside it")
    return [Subject(made.pop("content"), made.pop("style"), made) for made in roles.values()]


def examine(
    here: Stylizer,
    fp32: Stylizer,
    subject: Subject,
    size: int,
    teachers: Teachers,
    optimized: bool,
    peers: Mapping[str, Stylist],
) -> Pair:
    """Return what is found of one photo in the style of one painting, both resized to ``size`` on the shorter side.

    Args:
        here: stylises as it is to be judged.
        fp32: the same model, exact.
        subject: the photo and the style, and pictures that are judged beside.
        size: pixels of either's shorter side.
        teachers: judge.
        optimized: whether the photo's pixels are optimised too, which takes minutes and VGG-19.
        peers: others to run and judge, by name.

    Raises:
        AdainError: a picture cannot be read or stylised, or has not its photo's size.

    """
    content, style = (frame(read_picture(path).pixels, size, crop=False) for path in (subject.photo, subject.style))
    judge = Judge(teachers, content, style)

    def run(stylist: Stylist) -> tuple[Pixels, Quality]:
        code = stylist.encode(style)

        def stylize(photo: Pixels) -> Pixels:
            stylized: Pixels = stylist.stylize(photo[None], code)[0]
            return stylized

        picture = stylize(content)
        return picture, replace(judge.judge(picture), noise_gain=noise_gain(stylize, content))

    (made, judged), (exact, judged_exact) = run(here), run(fp32)
    same = here.stylize(content, here.encode(content))
    return Pair(
        photo=str(subject.photo),
        style=str(subject.style),
        painting=judge.painting,
        untouched=judge.untouched,
        here=judged,
        fp32=judged_exact,
        optimized=judge.judge(optimize(Joint(teachers.vgg19), content, style))
        if optimized and teachers.vgg19
        else None,
        psnr=psnr(made, exact),
        identity=float(np.abs(same.astype(np.int16) - content).mean()),
        peers={name: judge.judge(_made(path, content)) for name, path in subject.made.items()}
        | {name: run(peer)[1] for name, peer in peers.items()},
    )


def _made(path: Path, photo: Pixels) -> Pixels:
    """Return a program's picture of a photo, uint8 (H, W, 3)."""
    pixels = read_picture(path).pixels
    if pixels.shape != photo.shape:
        (height, width), (rows, columns) = pixels.shape[:2], photo.shape[:2]
        raise AdainError(f"{path}: is {width}x{height} pixels, but the photo is judged at {columns}x{rows}")
    return pixels
