"""How good pictures are, by the features of a teacher: VGG-19 with the weights that Keras publishes.

With the distances of ``adain_models.teacher``, each summed over its four layers:

- *style gap left*: the style distance between picture and style, divided by that between photo and style. 1 is the
  untouched photo, 0 a picture whose means and deviations are the style's.
- *texture gap left*: the same of the texture distance. Tones do not count in it; strokes, hatching and grain do.
- *content distance*: that of relu3_4 between picture and photo.
- *identity error*: the mean absolute difference, in levels of 256, between a photo and the photo in its own style.

They rank models, and do not replace looking.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from adain_bench.contenders import Stylist
from adain_bench.optimize import optimize
from adain_export.psnr import psnr
from adain_models.errors import AdainError
from adain_models.losses import Joint
from adain_models.teacher import Teacher, normalized, relative_distance, statistics
from adain_rt.contract import Pixels
from adain_rt.pictures import frame, read_picture
from adain_rt.stylizer import Stylizer

__all__ = ["UNTOUCHED", "Judge", "Pair", "Quality", "examine"]


@dataclass(frozen=True)
class Quality:
    """One picture's figures; less is better."""

    style_gap: float
    content: float
    texture_gap: float


UNTOUCHED = Quality(1, 0, 1)
"""The figures of the photo as it is, in any style."""


@dataclass(frozen=True)
class Pair:
    """What was found of one photo in one style, as it is computed here and in fp32.

    ``psnr`` is that between the two in decibels, ``identity`` the error of the photo in its own style. Between
    ``UNTOUCHED``, the photo as it is, and ``optimized``, its pixels optimised for the losses, is what can be;
    ``peers`` is what others make of it, by name.
    """

    photo: str
    style: str
    here: Quality
    fp32: Quality
    optimized: Quality | None
    psnr: float
    identity: float
    peers: Mapping[str, Quality]


class Judge:
    """Gives pictures their figures for one photo in one style.

    Args:
        teacher: sees all three.
        photo: uint8 (H, W, 3).
        style: uint8 of any size (h, w, 3).

    Raises:
        AdainError: the photo has the style already, and there is no gap to be left.

    """

    def __init__(self, teacher: Teacher, photo: Pixels, style: Pixels) -> None:
        self._teacher = teacher
        self._style = [statistics(layer) for layer in self._features(style)]
        of_photo = self._features(photo)
        self._content = normalized(of_photo[-1])
        self._whole = self._distances(of_photo)
        if 0 in self._whole:
            raise AdainError("the photo is the style itself: there is no gap that could be left")

    def judge(self, picture: Pixels) -> Quality:
        """Return the figures of a picture, uint8 (H, W, 3), of the photo's size."""
        features = self._features(picture)
        style, texture = self._distances(features)
        content = torch.nn.functional.mse_loss(normalized(features[-1]), self._content).item()
        return Quality(style / self._whole[0], content, texture / self._whole[1])

    @torch.no_grad()
    def _features(self, pixels: Pixels) -> list[Tensor]:
        picture = torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255
        features: list[Tensor] = self._teacher(picture)
        return features

    def _distances(self, features: list[Tensor]) -> tuple[float, float]:
        """Return the distances of style and of texture."""
        style = texture = 0.0
        for layer, (code, correlations) in zip(features, self._style, strict=True):
            our_code, our_correlations = statistics(layer)
            style += relative_distance(our_code, code).item()
            texture += relative_distance(our_correlations, correlations).item()
        return style, texture


def examine(
    here: Stylizer,
    fp32: Stylizer,
    photo: Path,
    painting: Path,
    size: int,
    teacher: Teacher,
    optimized: bool,
    peers: Mapping[str, Stylist],
) -> Pair:
    """Return what is found of one photo in the style of one painting, both resized to ``size`` on the shorter side.

    Args:
        here: stylises as it is to be judged.
        fp32: the same model, exact.
        photo: a file.
        painting: a file.
        size: pixels of either's shorter side.
        teacher: judges.
        optimized: whether the photo's pixels are optimised too, which takes minutes.
        peers: others to judge, by name.

    Raises:
        AdainError: a picture cannot be read or stylised.

    """
    content, style = (frame(read_picture(path).pixels, size, crop=False) for path in (photo, painting))
    made, exact = (stylizer.stylize(content, stylizer.encode(style)) for stylizer in (here, fp32))
    same = here.stylize(content, here.encode(content))
    judge = Judge(teacher, content, style)
    return Pair(
        photo=str(photo),
        style=str(painting),
        here=judge.judge(made),
        fp32=judge.judge(exact),
        optimized=judge.judge(optimize(Joint(teacher), content, style)) if optimized else None,
        psnr=psnr(made, exact),
        identity=float(np.abs(same.astype(np.int16) - content).mean()),
        peers={name: judge.judge(peer.stylize(content[None], peer.encode(style))[0]) for name, peer in peers.items()},
    )
