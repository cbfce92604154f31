"""The losses that training minimises: the paper's, for a decoder behind a fixed encoder, and a teacher's, for both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from adain_models.adain import adain, channel_statistics
from adain_models.errors import AdainError
from adain_models.fitting import correct
from adain_models.networks.base import Network
from adain_models.training import artifacts
from adain_models.training.contrast import contrast, plain_strokes
from adain_models.training.patches import quantiles, relative_wasserstein
from adain_models.training.rounding import rounded
from adain_models.training.teacher import Teacher, Vgg16, normalized, relative_distance, statistics

__all__ = ["FixedEncoder", "Joint", "Photos", "Recipe", "Target"]

_SMALLER = (2, 4)  # times, at which a teacher sees pictures as well
_DISTANCES = {"style": relative_distance, "texture": relative_distance, "patches": relative_wasserstein}
_FADED = 0.1  # of the contrast of photos, in what stands for plain ones
_LEAK = 0.05  # of what is out of range: the teacher sees so much of it, lest a clipped pixel have no gradient


@dataclass(frozen=True)
class Target:
    """M styles of one shape, and what is measured of them once.

    Attributes:
        pictures: uint8 (M, 3, H, W).
        measured: by the names of the terms that compare it, lists with one entry for each layer, (M, ...) each.

    """

    pictures: Tensor
    measured: dict[str, list[Tensor]]

    @staticmethod
    def join(targets: Sequence[Target]) -> Target:
        """Return targets of one shape as one."""
        measured = {
            name: [torch.cat(layer) for layer in zip(*(each.measured[name] for each in targets), strict=True)]
            for name in targets[0].measured
        }
        return Target(torch.cat([each.pictures for each in targets]), measured)


@dataclass(frozen=True)
class Photos:
    """N photos as they are, as the network sees them, and what a recipe knows of them.

    Attributes:
        clean: float (N, 3, H, W), RGB in 0..1.
        seen: the same, spoiled or not, with an underpainting.
        laid: the clean ones with the same underpainting.
        shares: (N,), of the style's strength, that strokes are to have where the photos are plain.
        features: of ``laid``, (N, C, h, w) each, one for each layer that the content term compares.

    """

    clean: Tensor
    seen: Tensor
    laid: Tensor
    shares: Tensor
    features: Sequence[Tensor]


class Recipe(ABC):
    """How a network is trained: which of its weights change, and which terms the loss has."""

    weights: dict[str, float]
    """The weight of each term in the loss."""

    muon: bool
    """Whether ``Muon`` changes what lies between features, and Adam the rest; else Adam changes all."""

    @abstractmethod
    def trained(self, network: Network) -> nn.Module:
        """Return the part of the network whose weights change."""

    @abstractmethod
    def target(self, pictures: Tensor) -> Target:
        """Return what the losses need to know of styles, uint8 (M, 3, H, W)."""

    @abstractmethod
    def features(self, photos: Tensor) -> list[Tensor]:
        """Return what the losses need to know of photos, (N, C, h, w) each, of RGB in 0..1, float (N, 3, H, W)."""

    @abstractmethod
    def terms(self, network: Network, photos: Photos, styles: Target) -> dict[str, Tensor]:
        """Return the terms of the loss, scalars.

        Args:
            network: in training.
            photos: N of them.
            styles: M of them; M divides N, and the styles take turns.

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

    muon = False  # the paper's optimiser is Adam

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
    def target(self, pictures: Tensor) -> Target:
        """Return the codes of the style layers."""
        return Target(pictures, {"style": [statistics(layer)[0] for layer in self._features(pictures / 255)]})

    @torch.no_grad()
    def features(self, photos: Tensor) -> list[Tensor]:
        """Return the features that AdaIN changes."""
        return self._features(photos)[-1:]

    def terms(self, network: Network, photos: Photos, styles: Target) -> dict[str, Tensor]:
        """Return content and style."""
        count = len(photos.clean)
        wanted = _wanted(styles, "style", count)
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

    The code of a style comes from the network's own encoder, so that it learns what to put into it. For every other
    photo it is fitted (``adain_models.fitting``), and the network computes with int8's rounding (``rounding``), as it
    mostly will. The teacher sees pictures at their size, at half and at a quarter of it, where its layers span longer
    strokes. Style, texture and patches are its distances to the style; the term of contrast keeps pictures as strong as
    their styles. The term of identity keeps the auto-encoder: what the decoder makes of unchanged features is the
    photo, also of a photo that is nearly plain. That of noise asks for the same picture of a spoiled photo as of the
    clean one. Photos have an underpainting, which is content, and the term of plain strokes asks for as strong strokes
    of it as the style has. Eight terms are of ``artifacts``: unrest keeps flat regions calm, lattice, grid and mesh
    keep the doublings from showing, angles and unevenness a hatch of the network's own, ghosts and halos the colours of
    an edge from spreading. The teacher sees pictures clipped to 0..1, as they will be; excess is what is cut off.

    Args:
        teacher: judges.
        deep: judges the content too, by its last layer; the content term is the mean of the two.
        style: the weight of the style term; that of the content term is 1.
        texture: the weight of the texture term.
        contrast: the weight of the contrast term.
        unrest: the weight of the unrest term.

    """

    muon = True

    def __init__(
        self,
        teacher: Teacher,
        deep: Vgg16 | None = None,
        style: float = 3.7,
        texture: float = 2.3,
        contrast: float = 2.1,
        unrest: float = 8,
    ) -> None:
        self.weights = {  # those of the last stage of the weights that ship
            "content": 1,
            "style": style,
            "texture": texture,
            "patches": 2.2,
            "contrast": contrast,
            "identity": 2.2,
            "noise": 40,
            "unrest": unrest,
            "lattice": 104,
            "grid": 2.0,
            "angles": 0.41,
            "mesh": 4.0,
            "unevenness": 0.41,
            "ghosts": 6,
            "halos": 14,
            "plain": 1.5,
            "excess": 0.14,
        }
        self._teacher = teacher
        self._deep = deep

    def trained(self, network: Network) -> nn.Module:
        """Return the whole network."""
        return network

    @torch.no_grad()
    def target(self, pictures: Tensor) -> Target:
        """Return what the teacher measures of pictures at their size and at smaller ones; all but codes in float16."""
        _, measured = self._measure(pictures / 255)
        kept = {name: of if name == "style" else [each.half() for each in of] for name, of in measured.items()}
        return Target(pictures, kept)

    @torch.no_grad()
    def features(self, photos: Tensor) -> list[Tensor]:
        """Return relu3_4, and relu4_1 if a deep teacher judges too, after instance normalisation."""
        return self._contents(photos, self._teacher(photos)[-1])

    def terms(self, network: Network, photos: Photos, styles: Target) -> dict[str, Tensor]:
        """Return content, the terms of a style, contrast, identity, noise, the artifacts and excess."""
        count = len(photos.clean)
        few = max(1, count // 4)
        paintings = styles.pictures / 255
        unchanged = torch.cat([photos.laid[:few], _fade(photos.clean[:few])])
        with rounded(network):
            encoded = network.encoder(torch.cat([photos.seen, unchanged]))
            codes = _fit_every_other(network, encoded[:count], channel_statistics(network.encoder(paintings).float()))
            mean, std = (torch.cat([each, each[:few]]) for each in codes)
            stylized = adain(encoded[: count + few].float(), mean, std).to(encoded.dtype)
            own = channel_statistics(encoded[count:].float())
            wanted = (torch.cat(pair)[..., None, None] for pair in zip((mean, std), own, strict=True))
            decoded = network.decoder(torch.cat([stylized, encoded[count:]]), *wanted).float()
        pictures, undisturbed, same = decoded.split([count, few, 2 * few])
        excess = pictures - pictures.clamp(0, 1)
        seen = pictures - (1 - _LEAK) * excess
        flat = artifacts.flatness(photos.clean)
        return {
            **self.judge(seen, photos.features, styles),
            "contrast": contrast(seen, _in_turns(paintings, count)),
            "identity": nn.functional.l1_loss(same, unchanged),
            "noise": nn.functional.l1_loss(pictures[:few], undisturbed),
            "unrest": artifacts.unrest(pictures, flat),
            "lattice": artifacts.lattice(pictures),
            "grid": artifacts.grid(pictures, flat),
            "angles": artifacts.angles(pictures, flat),
            "mesh": artifacts.mesh(pictures),
            "unevenness": artifacts.unevenness(pictures, flat),
            "ghosts": artifacts.ghosts(pictures, photos.clean),
            "halos": artifacts.halos(pictures, photos.clean, flat),
            "plain": plain_strokes(pictures, _in_turns(paintings, count), flat, photos.shares),
            "excess": excess.abs().mean(),
        }

    def judge(self, pictures: Tensor, photos: Sequence[Tensor], styles: Target) -> dict[str, Tensor]:
        """Return content, style, texture and patches of pictures, whatever made them.

        Args:
            pictures: float (N, 3, H, W), RGB around 0..1.
            photos: the photos' features.
            styles: M of them; M divides N, and the styles take turns.

        """
        last, measured = self._measure(pictures)
        content = [
            nn.functional.mse_loss(ours, theirs.float())
            for ours, theirs in zip(self._contents(pictures, last), photos, strict=True)
        ]
        terms = {"content": torch.stack(content).mean()}
        for name, ours in measured.items():
            pairs = zip(ours, _wanted(styles, name, len(pictures)), strict=True)
            terms[name] = torch.stack([_DISTANCES[name](mine, theirs) for mine, theirs in pairs]).mean()
        return terms

    def _contents(self, pictures: Tensor, last: Tensor) -> list[Tensor]:
        """Return what the content term compares, given the teacher's last layer of the pictures."""
        return [normalized(layer) for layer in (last, *(self._deep(pictures)[-1:] if self._deep else ()))]

    def _measure(self, pictures: Tensor) -> tuple[Tensor, dict[str, list[Tensor]]]:
        """Return the teacher's last layer of pictures, and what the terms of a style compare, by their names.

        These are the statistics of all layers, of the pictures and of smaller ones, and the quantiles of the two
        deepest layers of the smaller ones.
        """
        layers = self._teacher(pictures)
        smaller = [self._teacher(nn.functional.avg_pool2d(pictures, factor)) for factor in _SMALLER]
        codes, correlations = zip(*(statistics(layer) for each in (layers, *smaller) for layer in each), strict=True)
        patches = [quantiles(layer) for each in smaller for layer in each[-2:]]
        return layers[-1], {"style": list(codes), "texture": list(correlations), "patches": patches}


def _fade(photos: Tensor) -> Tensor:
    """Return photos with a tenth of their contrast, around their mean colours: as plain as a piece of sky."""
    mean = photos.mean((2, 3), keepdim=True)
    return mean + _FADED * (photos - mean)


def _fit_every_other(network: Network, features: Tensor, styles: tuple[Tensor, Tensor]) -> list[Tensor]:
    """Return the codes of styles for photos, (N, C) each: those of every other photo are fitted to it, as in use.

    The first painting, which tells what they lack, passes no gradient; what the encoder finds in it does.

    Args:
        network: in training.
        features: of the photos, (N, C, h, w).
        styles: the codes of M styles, (M, C) each, which take turns.

    """
    mean, std = (_in_turns(each, len(features)) for each in styles)
    places = torch.arange(0, len(features), 2, device=features.device)
    asked = mean[places], std[places]
    with torch.no_grad():
        stylized = adain(features[places].float(), *asked).to(features.dtype)
        first = network.decoder(stylized, *(each[..., None, None] for each in asked)).float().clamp(0, 1)
    fitted = correct(asked, channel_statistics(network.encoder(first).float()))
    return [whole.index_copy(0, places, part) for whole, part in zip((mean, std), fitted, strict=True)]


def _wanted(styles: Target, term: str, count: int) -> list[Tensor]:
    """Return what a term compares, measured of styles, one entry for each layer, float32 (count, ...)."""
    return [_in_turns(layer.float(), count) for layer in styles.measured[term]]


def _in_turns(each: Tensor, count: int) -> Tensor:
    """Return what M styles have, (M, ...), for so many photos, (count, ...): the styles take turns, M divides count."""
    return torch.cat([each] * (count // len(each)))
