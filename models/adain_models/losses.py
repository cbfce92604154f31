"""What training minimises: the paper's losses for a decoder behind a fixed encoder, and a teacher's for both as one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adain_models.adain import adain, channel_statistics
from adain_models.networks import Network
from adain_models.teacher import Teacher, normalized, relative_distance, statistics

__all__ = ["FixedEncoder", "Joint", "Recipe", "Target"]

_SCALES = ((1, 9, 1.0), (4, 5, 0.4), (8, 5, 0.8))  # of unrest: pixels to a cell, cells around, weight
_LEAK = 0.05  # of what is out of range: the teacher sees so much of it, lest a clipped pixel have no gradient


@dataclass(frozen=True)
class Target:
    """A style picture and what is measured of it once, in no batch: lists by layer.

    Attributes:
        picture: uint8 (3, H, W).
        codes: means and deviations, (2C,) each.
        correlations: between channels, float16 (C, C) each; empty where a recipe does not use them.

    """

    picture: Tensor
    codes: list[Tensor]
    correlations: list[Tensor]


class Recipe(ABC):
    """How a network is trained: which of its weights, on which terms."""

    weights: dict[str, float]
    """Of each term in the loss."""

    @abstractmethod
    def trained(self, network: Network) -> nn.Module:
        """Return the part of the network whose weights change."""

    @abstractmethod
    def target(self, picture: Tensor) -> Target:
        """Return what is to be known of a style, uint8 (3, H, W)."""

    @abstractmethod
    def features(self, photos: Tensor) -> Tensor:
        """Return what is to be known of photos, (N, C, h, w), of RGB in 0..1, float (N, 3, H, W)."""

    @abstractmethod
    def terms(
        self, network: Network, contents: Tensor, features: Tensor, styles: Sequence[Target]
    ) -> dict[str, Tensor]:
        """Return the terms of the loss, scalars.

        Args:
            network: in training.
            contents: float (N, 3, H, W), RGB in 0..1.
            features: of the contents.
            styles: N of them.

        """


class FixedEncoder(Recipe):
    """The paper's recipe (section 5.2, equations 11 to 13): the encoder stays, and is what the losses see.

    The content term compares the picture's features with AdaIN's output, the style term the means and deviations of
    relu1_1 to relu4_1; λ is 10 as in the public PyTorch implementation.
    """

    def __init__(self, network: Network, style: float = 10) -> None:
        self.weights = {"content": 1, "style": style}
        self._encoder = network.encoder.requires_grad_(requires_grad=False)

    def trained(self, network: Network) -> nn.Module:
        """Return the decoder."""
        return network.decoder

    @torch.no_grad()
    def target(self, picture: Tensor) -> Target:
        """Return the codes of relu1_1 to relu4_1."""
        return Target(picture, [statistics(features)[0][0] for features in self._features(picture[None] / 255)], [])

    @torch.no_grad()
    def features(self, photos: Tensor) -> Tensor:
        """Return relu4_1."""
        return self._features(photos)[-1]

    def terms(
        self, network: Network, contents: Tensor, features: Tensor, styles: Sequence[Target]
    ) -> dict[str, Tensor]:
        """Return content and style."""
        del contents
        wanted = [torch.stack(codes) for codes in zip(*(style.codes for style in styles), strict=True)]
        mean, std = wanted[-1].chunk(2, 1)
        target = adain(features.float(), mean, std)
        made = self._features(network.decoder(target))
        style = [2 * nn.functional.mse_loss(statistics(x)[0], theirs) for x, theirs in zip(made, wanted, strict=True)]
        content = nn.functional.mse_loss(made[-1].float(), target)
        return {"content": content, "style": torch.stack(style).sum()}

    def _features(self, pictures: Tensor) -> list[Tensor]:
        """Return relu1_1, relu2_1, relu3_1 and relu4_1."""
        features, x = [], pictures
        for name, layer in self._encoder.named_children():
            x = layer(x)
            if name.startswith("relu") and name.endswith("_1"):
                features.append(x)
        return features


class Joint(Recipe):
    """Encoder and decoder as one, judged by a teacher (``adain_models.teacher`` defines the distances).

    The code of a style comes from the network's own encoder, so that it learns what to put into it. The term of
    identity keeps the auto-encoder: what the decoder makes of unchanged features is the photo. That of unrest keeps
    flat regions calm, that of the lattice the doublings from showing. The teacher sees pictures clipped to 0..1, as
    they will be; excess is what is cut off.
    """

    def __init__(
        self, teacher: Teacher, style: float = 50, texture: float = 10, identity: float = 1, unrest: float = 100
    ) -> None:
        self.weights = {
            "content": 1,
            "style": style,
            "texture": texture,
            "identity": identity,
            "unrest": unrest,
            "lattice": 100,
            "excess": 1,
        }
        self._teacher = teacher

    def trained(self, network: Network) -> nn.Module:
        """Return the whole network."""
        return network

    @torch.no_grad()
    def target(self, picture: Tensor) -> Target:
        """Return the codes and the correlations of the teacher's layers."""
        measured = [statistics(features) for features in self._teacher(picture[None] / 255)]
        return Target(
            picture, [code[0] for code, _ in measured], [correlations[0].half() for _, correlations in measured]
        )

    @torch.no_grad()
    def features(self, photos: Tensor) -> Tensor:
        """Return relu3_4 after instance normalisation."""
        return normalized(self._teacher(photos)[-1])

    def terms(
        self, network: Network, contents: Tensor, features: Tensor, styles: Sequence[Target]
    ) -> dict[str, Tensor]:
        """Return content, style, texture, identity, unrest, lattice and excess."""
        encoded = network.encoder(contents).float()
        codes = [channel_statistics(network.encoder(style.picture[None] / 255).float()) for style in styles]
        mean, std = map(torch.cat, zip(*codes, strict=True))  # one by one: each picture has its own size
        plain = encoded[: max(1, len(contents) // 4)]
        decoded = network.decoder(torch.cat([adain(encoded, mean, std), plain])).float()
        pictures, same = decoded.split([len(contents), len(plain)])
        identity = nn.functional.l1_loss(same, contents[: len(plain)])
        excess = pictures - pictures.clamp(0, 1)
        seen = pictures - (1 - _LEAK) * excess
        return {
            **self.judged(seen, features, styles),
            "identity": identity,
            "unrest": _unrest(pictures, contents),
            "lattice": _lattice(pictures),
            "excess": excess.abs().mean(),
        }

    def judged(self, pictures: Tensor, photos: Tensor, styles: Sequence[Target]) -> dict[str, Tensor]:
        """Return content, style and texture of pictures, whatever made them.

        Args:
            pictures: float (N, 3, H, W), RGB around 0..1.
            photos: their features.
            styles: N of them.

        """
        layers = self._teacher(pictures)
        measured = [statistics(layer) for layer in layers]
        codes = [torch.stack(each) for each in zip(*(style.codes for style in styles), strict=True)]
        textures = [
            torch.stack([matrix.float() for matrix in each])
            for each in zip(*(style.correlations for style in styles), strict=True)
        ]
        style = [relative_distance(ours, theirs) for (ours, _), theirs in zip(measured, codes, strict=True)]
        texture = [relative_distance(ours, theirs) for (_, ours), theirs in zip(measured, textures, strict=True)]
        return {
            "content": nn.functional.mse_loss(normalized(layers[-1]), photos.float()),
            "style": torch.stack(style).mean(),
            "texture": torch.stack(texture).mean(),
        }


def _unrest(pictures: Tensor, photos: Tensor) -> Tensor:
    """Return the total variation of pictures (Rudin et al. 1992) where the photos are flat, the mean of all positions.

    It is summed over scales, for a sky has grain as well as smears. A position counts by exp(-v / 0.02), v being the
    photo's own variation around it, at that scale.
    """
    unrest = pictures.new_zeros(())
    for scale, around, weight in _SCALES:
        ours, theirs = (_variation(nn.functional.avg_pool2d(x, scale)) for x in (pictures, photos))
        own = nn.functional.avg_pool2d(theirs, around, stride=1, padding=around // 2, count_include_pad=False)
        unrest = unrest + weight * (ours * (-own / 0.02).exp()).mean()
    return unrest


def _variation(pictures: Tensor) -> Tensor:
    """Return the absolute differences to the next pixel across and down, the mean of colours, (N, 1, H - 1, W - 1)."""
    across = pictures[:, :, :-1, 1:] - pictures[:, :, :-1, :-1]
    down = pictures[:, :, 1:, :-1] - pictures[:, :, :-1, :-1]
    return (across.abs() + down.abs()).mean(1, keepdim=True)


def _lattice(pictures: Tensor) -> Tensor:
    """Return how far pictures alternate from column to column and from row to row, in phase over 16 pixels.

    Doubling leaves such a mesh, always in the same phase. What is drawn alternates too, but not for long, and its
    phases cancel in the mean over a window. Third differences leave out tones, slopes and curves.
    """
    found = pictures.new_zeros(())
    for x in (pictures, pictures.mT):
        third = (x[..., 3:] - 3 * x[..., 2:-1] + 3 * x[..., 1:-2] - x[..., :-3]) / 8  # a where a and -a alternate
        sign = 1 - 2 * (torch.arange(third.shape[-1], device=x.device) % 2)
        found = found + nn.functional.avg_pool2d(third * sign, 16, stride=8).abs().mean()
    return found
