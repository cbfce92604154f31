"""The losses that training minimises: the paper's, for a decoder behind a fixed encoder, and a teacher's, for both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adain_models.adain import adain, channel_statistics
from adain_models.errors import AdainError
from adain_models.networks.base import STRIDE, Network
from adain_models.training.teacher import Teacher, Vgg16, normalized, relative_distance, statistics

__all__ = ["FixedEncoder", "Joint", "Photos", "Recipe", "Target"]

_FLAT = 0.02  # of a photo's variation: where it is this, a position counts by 1/e as flat
_FAINT = 1e-3  # of a picture's energy: what is next to nothing has no phase
_LEAK = 0.05  # of what is out of range: the teacher sees so much of it, lest a clipped pixel have no gradient


@dataclass(frozen=True)
class Target:
    """A style picture and what is measured of it once: lists with one entry for each layer, without a batch axis.

    Attributes:
        picture: uint8 (3, H, W).
        codes: means and deviations, (2C,) each.
        correlations: between channels, float16 (C, C) each; empty where a recipe does not use them.

    """

    picture: Tensor
    codes: list[Tensor]
    correlations: list[Tensor]


@dataclass(frozen=True)
class Photos:
    """N photos as they are, as the network sees them, and what a recipe knows of them.

    Attributes:
        clean: float (N, 3, H, W), RGB in 0..1.
        seen: the same, spoiled or not.
        features: of the clean ones, (N, C, h, w) each, one for each layer that the content term compares.

    """

    clean: Tensor
    seen: Tensor
    features: Sequence[Tensor]


class Recipe(ABC):
    """How a network is trained: which of its weights change, and which terms the loss has."""

    weights: dict[str, float]
    """The weight of each term in the loss."""

    @abstractmethod
    def trained(self, network: Network) -> nn.Module:
        """Return the part of the network whose weights change."""

    @abstractmethod
    def target(self, picture: Tensor) -> Target:
        """Return what the losses need to know of a style, uint8 (3, H, W)."""

    @abstractmethod
    def features(self, photos: Tensor) -> list[Tensor]:
        """Return what the losses need to know of photos, (N, C, h, w) each, of RGB in 0..1, float (N, 3, H, W)."""

    @abstractmethod
    def terms(self, network: Network, photos: Photos, styles: Sequence[Target]) -> dict[str, Tensor]:
        """Return the terms of the loss, scalars.

        Args:
            network: in training.
            photos: N of them.
            styles: M of them, pictures of one shape; M divides N, and the styles take turns.

        """


class FixedEncoder(Recipe):
    """The paper's recipe (section 6.2, equations 11 to 13): the encoder stays as it is and judges the pictures.

    The content term compares a picture's features with AdaIN's output. The style term compares the means and deviations
    of the network's ``style_layers``. λ is 10, as in the public PyTorch implementation.

    Args:
        network: its encoder judges.
        style: the weight of the style term; that of the content term is 1.

    Raises:
        AdainError: the network's encoder cannot judge pictures.

    """

    def __init__(self, network: Network, style: float = 10) -> None:
        if not network.style_layers:
            raise AdainError(
                f"the encoder of {network.architecture} cannot judge pictures",
                hint="give the weights of VGG-19 as `teacher`",
            )
        self.weights = {"content": 1, "style": style}
        self._encoder = network.encoder.requires_grad_(requires_grad=False)
        self._layers = network.style_layers

    def trained(self, network: Network) -> nn.Module:
        """Return the decoder."""
        return network.decoder

    @torch.no_grad()
    def target(self, picture: Tensor) -> Target:
        """Return the codes of the style layers."""
        return Target(picture, [statistics(features)[0][0] for features in self._features(picture[None] / 255)], [])

    @torch.no_grad()
    def features(self, photos: Tensor) -> list[Tensor]:
        """Return the features that AdaIN changes."""
        return self._features(photos)[-1:]

    def terms(self, network: Network, photos: Photos, styles: Sequence[Target]) -> dict[str, Tensor]:
        """Return content and style."""
        count = len(photos.clean)
        wanted = [
            _in_turns(torch.stack(codes), count) for codes in zip(*(style.codes for style in styles), strict=True)
        ]
        mean, std = wanted[-1].chunk(2, 1)
        target = adain(photos.features[0].float(), mean, std)
        made = self._features(network.decoder(target, mean[..., None, None], std[..., None, None]))
        style = [2 * nn.functional.mse_loss(statistics(x)[0], theirs) for x, theirs in zip(made, wanted, strict=True)]
        content = nn.functional.mse_loss(made[-1].float(), target)
        return {"content": content, "style": torch.stack(style).sum()}

    def _features(self, pictures: Tensor) -> list[Tensor]:
        """Return the features of the style layers."""
        features, x = [], pictures
        for name, layer in self._encoder.named_children():
            x = layer(x)
            if name in self._layers:
                features.append(x)
        return features


class Joint(Recipe):
    """Encoder and decoder as one, judged by a teacher (``adain_models.training.teacher`` defines the distances).

    The code of a style comes from the network's own encoder, so that it learns what to put into it. The teacher sees
    pictures at their size and at half of it, where its layers span strokes twice as long. The term of identity keeps
    the auto-encoder: what the decoder makes of unchanged features is the photo. That of noise asks for the same
    picture of a spoiled photo as of the clean one. That of unrest keeps flat regions calm, those of lattice and grid
    the doublings from showing, that of ghosts the colours of an edge from spreading. The teacher sees pictures clipped
    to 0..1, as they will be; excess is what is cut off.

    Args:
        teacher: judges.
        deep: judges the content too, by its last layer; the content term is the mean of the two.
        style: the weight of the style term; that of the content term is 1.
        texture: the weight of the texture term.
        identity: the weight of the identity term.
        unrest: the weight of the unrest term.

    """

    def __init__(
        self,
        teacher: Teacher,
        deep: Vgg16 | None = None,
        style: float = 18,
        texture: float = 12,
        identity: float = 8,
        unrest: float = 40,
    ) -> None:
        self.weights = {
            "content": 1,
            "style": style,
            "texture": texture,
            "identity": identity,
            "noise": 50,
            "unrest": unrest,
            "lattice": 100,
            "grid": 10,
            "ghosts": 40,
            "excess": 1,
        }
        self._teacher = teacher
        self._deep = deep

    def trained(self, network: Network) -> nn.Module:
        """Return the whole network."""
        return network

    @torch.no_grad()
    def target(self, picture: Tensor) -> Target:
        """Return the codes and the correlations of the teacher's layers, at the picture's size and at half of it."""
        measured = self._measure(picture[None] / 255)[1]
        return Target(
            picture, [code[0] for code, _ in measured], [correlations[0].half() for _, correlations in measured]
        )

    @torch.no_grad()
    def features(self, photos: Tensor) -> list[Tensor]:
        """Return relu3_4, and relu4_1 if a deep teacher judges too, after instance normalisation."""
        return self._contents(photos, self._teacher(photos)[-1])

    def terms(self, network: Network, photos: Photos, styles: Sequence[Target]) -> dict[str, Tensor]:
        """Return content, style, texture, identity, noise, unrest, lattice, grid, ghosts and excess."""
        count = len(photos.clean)
        few = max(1, count // 4)
        paintings = torch.stack([style.picture for style in styles]) / 255
        encoded = network.encoder(torch.cat([photos.seen, photos.clean[:few]]))
        codes = [_in_turns(each, count) for each in channel_statistics(network.encoder(paintings).float())]
        mean, std = (torch.cat([each, each[:few]]) for each in codes)
        stylized = adain(encoded.float(), mean, std).to(encoded.dtype)
        own = channel_statistics(encoded[:few].float())
        wanted = (torch.cat([each, theirs])[..., None, None] for each, theirs in zip((mean, std), own, strict=True))
        decoded = network.decoder(torch.cat([stylized, encoded[:few]]), *wanted).float()
        pictures, undisturbed, same = decoded.split([count, few, few])
        excess = pictures - pictures.clamp(0, 1)
        seen = pictures - (1 - _LEAK) * excess
        flat = _flatness(photos.clean)
        return {
            **self.judge(seen, photos.features, styles),
            "identity": nn.functional.l1_loss(same, photos.clean[:few]),
            "noise": nn.functional.l1_loss(pictures[:few], undisturbed),
            "unrest": (_variation(pictures) * flat).mean(),
            "lattice": _lattice(pictures),
            "grid": _grid(pictures, flat),
            "ghosts": _ghosts(pictures, photos.clean),
            "excess": excess.abs().mean(),
        }

    def judge(self, pictures: Tensor, photos: Sequence[Tensor], styles: Sequence[Target]) -> dict[str, Tensor]:
        """Return content, style and texture of pictures, whatever made them.

        Args:
            pictures: float (N, 3, H, W), RGB around 0..1.
            photos: the photos' features.
            styles: M of them; M divides N, and the styles take turns.

        """
        layers, measured = self._measure(pictures)
        with torch.autocast(pictures.device.type, enabled=False):  # which does not join float16 on a CPU
            codes, textures = (
                [_in_turns(torch.stack(each).float(), len(pictures)) for each in zip(*parts, strict=True)]
                for parts in ([style.codes for style in styles], [style.correlations for style in styles])
            )
        style = [relative_distance(ours, theirs) for (ours, _), theirs in zip(measured, codes, strict=True)]
        texture = [relative_distance(ours, theirs) for (_, ours), theirs in zip(measured, textures, strict=True)]
        content = [
            nn.functional.mse_loss(ours, theirs.float())
            for ours, theirs in zip(self._contents(pictures, layers[-1]), photos, strict=True)
        ]
        return {
            "content": torch.stack(content).mean(),
            "style": torch.stack(style).mean(),
            "texture": torch.stack(texture).mean(),
        }

    def _contents(self, pictures: Tensor, last: Tensor) -> list[Tensor]:
        """Return what the content term compares, given the teacher's last layer of the pictures."""
        return [normalized(layer) for layer in (last, *(self._deep(pictures)[-1:] if self._deep else ()))]

    def _measure(self, pictures: Tensor) -> tuple[list[Tensor], list[tuple[Tensor, Tensor]]]:
        """Return the teacher's layers of pictures, and the statistics of these and of those of the halved pictures."""
        layers = self._teacher(pictures)
        halved = self._teacher(nn.functional.avg_pool2d(pictures, 2))
        return layers, [statistics(features) for features in [*layers, *halved]]


def _in_turns(each: Tensor, count: int) -> Tensor:
    """Return what M styles have, (M, ...), for so many photos, (count, ...): the styles take turns, M divides count."""
    return torch.cat([each] * (count // len(each)))


def _flatness(photos: Tensor) -> Tensor:
    """Return how flat photos are around each position, (N, 1, H - 1, W - 1): exp(-v / 0.02) of the mean variation v."""
    around = nn.functional.avg_pool2d(_variation(photos), 9, stride=1, padding=4, count_include_pad=False)
    return (-around / _FLAT).exp()


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


def _grid(pictures: Tensor, flat: Tensor) -> Tensor:
    """Return how unevenly the energy of gradients is spread over the grid of features, the mean over both axes.

    Where photos are flat, squared differences to the next pixel are summed by column modulo 8; the term is the variance
    of the eight sums over the square of their mean. The sums are over all pictures of a batch, each of which has the
    same energy: what a picture draws has any phase, and what the doublings leave has one.

    Args:
        pictures: float (N, 3, H, W).
        flat: (N, 1, H - 1, W - 1), how much a position counts.

    """
    found = pictures.new_zeros(())
    for x, weight in ((pictures, flat), (pictures.mT, flat.mT)):
        energy = (x[:, :, :-1, 1:] - x[:, :, :-1, :-1]).square().mean(1, keepdim=True) * weight
        columns = energy.sum((1, 2)) / (energy.sum((1, 2, 3))[:, None] + _FAINT)
        whole = columns.shape[1] // STRIDE * STRIDE
        sums = columns[:, :whole].reshape(-1, STRIDE).sum(0)
        found = found + sums.var(correction=0) / sums.mean().square().clamp(min=_FAINT) / 2
    return found


def _ghosts(pictures: Tensor, photos: Tensor) -> Tensor:
    """Return how far neighbouring cells of pictures differ where they are similar in the photo.

    Features are as coarse as 8 pixels, and each is made of some hundred pixels around: what they know of an edge shows
    as bands beside it. Cells of 8 pixels are compared in chroma alone, lest strokes be lost, and cells of 16 in all
    colours. A pair of cells counts by exp(-d / 0.02) of their difference d in the photo; the mean over pairs and axes.
    """
    found = pictures.new_zeros(())
    for cell in (STRIDE, 2 * STRIDE):
        ours, theirs = (nn.functional.avg_pool2d(each, cell) for each in (pictures, photos))
        if cell == STRIDE:
            ours = ours - ours.mean(1, keepdim=True)
        for axis in (2, 3):
            apart, apart_in_photo = (each.diff(dim=axis).abs().mean(1) for each in (ours, theirs))
            found = found + (apart * (-apart_in_photo / _FLAT).exp()).mean() / 2
    return found
