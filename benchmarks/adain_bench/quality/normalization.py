"""Batch, instance and adaptive instance normalisation as one formula, compared inside one network.

Each of them shifts and scales every channel of the features f (Huang & Belongie 2017, sections 3 and 5)::

    y = (f - mean) / deviation * scale + shift

They differ in where a channel's four numbers come from. ``NORMALIZATIONS`` lists the choices that this module compares:
it puts each of them between the encoder and the decoder of a network that was trained with AdaIN there. Nothing is
trained again, so the comparison shows what the statistics do, and not what a network could learn around them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adain_bench.quality.judge import Judge
from adain_models import adain, reference
from adain_models.errors import AdainError
from adain_models.networks.base import Network
from adain_models.reference import Code
from adain_models.training.teacher import normalized, relative_distance
from adain_rt.contract import Pixels

__all__ = ["NORMALIZATIONS", "Figures", "Normalization", "Outcome", "batch_statistics", "compare", "normalize"]


@dataclass(frozen=True)
class Normalization:
    """Whose statistics the features lose, and whose they get.

    Attributes:
        name: what the layer is called.
        removed: whose mean and deviation are taken away: those of the ``batch`` or of each ``picture``.
        given: whose deviation and mean become scale and shift: those of the ``batch``, ``picture`` or ``style``.

    """

    name: str
    removed: str
    given: str


NORMALIZATIONS = (
    Normalization("no normalisation", "picture", "picture"),
    Normalization("batch normalisation", "batch", "style"),
    Normalization("instance normalisation", "picture", "batch"),
    Normalization("AdaIN", "picture", "style"),
)


@dataclass(frozen=True)
class Figures:
    """What one normalisation does to one photo. 0 is the style reached, or the content kept; lower is better.

    A *gap* is |code(x) - code(style)|² / |code(photo) - code(style)|², a code being the channel means and deviations
    of the network's own features: 1 is the untouched photo. ``style_gap`` and ``vgg19_content`` are VGG-19's judgement,
    ``None`` without it.

    Attributes:
        feature_gap: the gap of the normalised features, before the decoder.
        picture_gap: the gap of the decoded picture, encoded again.
        content: the mean square difference between the features of picture and photo, both instance-normalised.
        style_gap: the *style gap left* of ``Judge``.
        vgg19_content: the *content distance* of ``Judge`` at relu3_4.

    """

    feature_gap: float
    picture_gap: float
    content: float
    style_gap: float | None = None
    vgg19_content: float | None = None


@dataclass(frozen=True)
class Outcome:
    """What one normalisation makes of a batch: its pictures, uint8 (N, H, W, 3), and the figures of each."""

    normalization: Normalization
    pictures: Pixels
    figures: tuple[Figures, ...]


def batch_statistics(features: Tensor) -> Code:
    """Return the mean and the deviation of each channel over the positions of all pictures, (1, C) each.

    Args:
        features: float (N, C, H, W).

    """
    return adain.channel_statistics(features.transpose(0, 1).flatten(1)[None, :, :, None])


def normalize(features: Tensor, style: Code, normalization: Normalization) -> Tensor:
    """Return the normalised features, of the same shape.

    Args:
        features: float (N, C, H, W), those of a batch.
        style: mean and deviation, (1, C) each.
        normalization: whose statistics to use.

    """
    content = _statistics(features, style, normalization.removed)
    return adain.adain(features, *_statistics(features, style, normalization.given), content=content)


def _statistics(features: Tensor, style: Code, whose: str) -> Code:
    """Return the mean and the deviation that a normalisation removes or gives, (N, C) or (1, C) each."""
    if whose == "style":
        return style
    return batch_statistics(features) if whose == "batch" else adain.channel_statistics(features)


@torch.no_grad()
def compare(network: Network, photos: Pixels, style: Code, judges: Sequence[Judge] = ()) -> list[Outcome]:
    """Return what each of ``NORMALIZATIONS`` makes of a batch of photos.

    Args:
        network: has been trained with AdaIN.
        photos: uint8 (N, H, W, 3), two or more; H and W are multiples of 8.
        style: mean and deviation, (1, C) each.
        judges: one for each photo, with VGG-19 among their teachers; or none.

    Raises:
        AdainError: there is one photo alone; or a photo already has the style's code.

    """
    if len(photos) < 2:  # noqa: PLR2004 - one picture is no batch
        raise AdainError("one photo is its own batch: give two contents or more")
    features = reference.features_of(network, torch.tensor(photos))
    before = _code(features)
    target = torch.cat(style, 1)
    whole = relative_distance(before, target.expand_as(before))
    if not whole.all():
        raise AdainError("a content has the style's code already: there is no gap to close")
    outcomes = []
    for normalization in NORMALIZATIONS:
        changed = normalize(features, style, normalization)
        given = _statistics(features, style, normalization.given)
        code = (each[..., None, None].expand(len(features), -1, -1, -1) for each in given)
        pictures = reference.decode(network, changed, *code)
        seen = reference.features_of(network, pictures)
        feature_gaps = relative_distance(_code(changed), target.expand_as(before)) / whole
        picture_gaps = relative_distance(_code(seen), target.expand_as(before)) / whole
        contents = (normalized(seen) - normalized(features)).square().mean((1, 2, 3))
        figures = [Figures(*each) for each in torch.stack([feature_gaps, picture_gaps, contents], 1).tolist()]
        made: Pixels = pictures.numpy()
        if judges:
            figures = [_judge(*each) for each in zip(figures, judges, made, strict=True)]
        outcomes.append(Outcome(normalization, made, tuple(figures)))
    return outcomes


def _judge(figures: Figures, judge: Judge, picture: Pixels) -> Figures:
    """Return the figures with VGG-19's judgement beside them."""
    quality = judge.judge(picture)
    return Figures(figures.feature_gap, figures.picture_gap, figures.content, quality.style_gap, quality.content)


def _code(features: Tensor) -> Tensor:
    """Return means and deviations side by side, (N, 2C)."""
    return torch.cat(adain.channel_statistics(features), 1)
