"""Training, read from top to bottom: settings, the state that a checkpoint holds, the loop.

A step's chance comes from the seed and the step's number alone, so that a run that was stopped goes on as if it had
not been, bit for bit on a CPU.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from adain_models import checkpoint
from adain_models.crops import Pixels, crop, whole
from adain_models.errors import AdainError
from adain_models.files import explain, replacing
from adain_models.liveness import Watch
from adain_models.losses import Recipe, Target
from adain_models.networks import Network, channels_last

__all__ = ["STATE_NAME", "Progress", "Settings", "Training", "forget"]

STATE_NAME = "state.pt"

_WARM = 0.02  # of the steps: the rate rises over them, until Adam knows the gradients' size
_RAMP = 0.1  # of the steps: the style's weight rises over them where weights are random at first
_START = 0.1  # of the style's weight, at the first step: an auto-encoder with some tone
_VARIANTS = (1, 2)  # of each photo and of each style; what the recipe measures of one is kept
_KEPT = 4096  # variants of photos, and as many of styles
_FORGETTING = 0.999  # of the running mean of the weights
_WATCHED = 2  # one step in so many is watched for dead channels
_REVIVING = 200  # steps between revivals
_REVIVED = 0.6  # of the steps: none is revived after
_CLIP = 1.0  # of the gradient's norm
_SAME = ("crop", "seed", "fresh")  # settings that a resumed run must have


@dataclass(frozen=True)
class Settings:
    """What a run is; a resumed one must see the same crops (``_SAME``), and may go at another pace.

    ``crop`` is the side of a content's crop in pixels, a multiple of 16; a style is whole, its shorter side from
    that to 512. ``rate`` is Adam's learning rate, which falls to a twentieth along a cosine, ``fresh`` whether the
    weights are random at first.
    """

    steps: int
    batch: int = 1
    crop: int = 256
    rate: float = 1e-4
    seed: int = 0
    fresh: bool = False


@dataclass(frozen=True)
class _Photo:
    """A crop of a photo, uint8 (3, H, W), and its features, bfloat16 (C, h, w)."""

    picture: Tensor
    features: Tensor


@dataclass(frozen=True)
class Progress:
    """One step: its number, the terms of the loss, and the share of live channels by layer when they were counted."""

    step: int
    terms: dict[str, float]
    live: dict[str, float] | None


def forget(part: nn.Module) -> None:
    """Give the convolutions of a network, or of a part of one, random weights (PyTorch's own)."""
    for layer in part.modules():
        if isinstance(layer, nn.Conv2d):
            layer.reset_parameters()


class Training:
    """A network in training.

    Args:
        network: begins with the weights that it has, and is changed.
        recipe: what is minimised.
        contents: photographs, uint8 (H, W, 3).
        styles: groups of pictures, each with how often it is drawn, relative to the others.
        settings: of the run.
        device: where it runs.

    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        contents: Sequence[Pixels],
        styles: Sequence[tuple[Sequence[Pixels], float]],
        settings: Settings,
        device: str = "cpu",
    ) -> None:
        self.network = network.to(device)
        channels_last(network)
        self.mean = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        self.step = 0
        self._recipe, self._contents, self._styles = recipe, contents, styles
        self._settings, self._device = settings, device
        self._trained = [tensor for tensor in recipe.trained(network).parameters() if tensor.requires_grad]
        self._optimizer = torch.optim.Adam(self._trained, lr=settings.rate, fused=True)
        self._watch = Watch(network)
        self._photos: dict[tuple[int, int], _Photo] = {}
        self._targets: dict[tuple[int, int, int], Target] = {}

    def run(self) -> Iterator[Progress]:
        """Train to the last step; yield each, done."""
        while self.step < self._settings.steps:
            yield self._advance()

    def _advance(self) -> Progress:
        settings, done = self._settings, self.step / self._settings.steps
        warm = min(1, (self.step + 1) / (_WARM * settings.steps))
        for group in self._optimizer.param_groups:
            group["lr"] = settings.rate * warm * (0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2)
        photos, styles = self._batch()
        contents = torch.stack([photo.picture for photo in photos]) / 255
        features = torch.stack([photo.features for photo in photos])
        self._watch.active = self.step % _WATCHED == 0
        with self._autocast():
            terms = self._recipe.terms(self.network, contents, features, styles)
        ramp = min(1, _START + (1 - _START) * done / _RAMP) if settings.fresh else 1
        factors = {
            name: weight * (ramp if name in {"style", "texture"} else 1)
            for name, weight in self._recipe.weights.items()
        }
        loss = torch.stack([factors[name] * term for name, term in terms.items()]).sum()
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._trained, _CLIP)
        self._optimizer.step()
        self.step += 1
        self._average()
        return Progress(self.step, {name: term.item() for name, term in terms.items()}, self._live(done))

    def _batch(self) -> tuple[list[_Photo], list[Target]]:
        """Return as many photos as styles, drawn by the seed and the step's number."""
        count = self._settings.batch
        generator = np.random.default_rng((self._settings.seed, self.step))
        variants = [generator.integers(crops, size=count).tolist() for crops in _VARIANTS]
        photos = generator.integers(len(self._contents), size=count).tolist()
        shares = np.array([share for _, share in self._styles])
        groups = generator.choice(len(shares), count, p=shares / shares.sum()).tolist()
        paintings = [int(generator.integers(len(self._styles[group][0]))) for group in groups]
        return (
            list(map(self._photo, photos, variants[0])),
            list(map(self._target, groups, paintings, variants[1])),
        )

    def _photo(self, index: int, variant: int) -> _Photo:
        """Return a crop of a photo, the same each time, with its features."""
        key = (index, variant)
        if key in self._photos:
            return self._photos[key]
        picture = self._tensor(crop(self._contents[index], self._settings.crop, self._chance(key), 0.1))
        with self._autocast():
            photo = _Photo(picture, self._recipe.features(picture[None] / 255)[0].bfloat16())
        if len(self._photos) < _KEPT:
            self._photos[key] = photo
        return photo

    def _target(self, group: int, index: int, variant: int) -> Target:
        """Return a style picture at some scale, the same each time, with what the recipe measures of it."""
        key = (group, index, variant)
        if key in self._targets:
            return self._targets[key]
        picture = self._tensor(whole(self._styles[group][0][index], self._settings.crop, self._chance(key), 0.3))
        with self._autocast():
            target = self._recipe.target(picture)
        if len(self._targets) < _KEPT:
            self._targets[key] = target
        return target

    def _chance(self, key: tuple[int, ...]) -> np.random.Generator:
        return np.random.default_rng((self._settings.seed, *key))

    def _tensor(self, picture: Pixels) -> Tensor:
        return torch.tensor(picture, device=self._device).permute(2, 0, 1)

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._device, torch.bfloat16)

    @torch.no_grad()
    def _average(self) -> None:
        """Move the running mean of the weights: short at first, so that the beginning is soon forgotten."""
        keep = min(_FORGETTING, self.step / (self.step + 9))
        for name, tensor in self.network.state_dict().items():
            self.mean[name].lerp_(tensor, 1 - keep)

    def _live(self, done: float) -> dict[str, float] | None:
        if self.step % _REVIVING:
            return None
        live = self._watch.shares()
        if done < _REVIVED:
            self._watch.revive(self._optimizer, torch.Generator().manual_seed(self.step))
        self._watch.restart()
        return live

    def averaged(self) -> Network:
        """Return the network with the mean of its weights, for use."""
        return checkpoint.assemble(
            self.network.architecture,
            {name: tensor.detach().cpu().contiguous() for name, tensor in self.mean.items()},
            "the running mean",
        )

    def save(self, run: Path) -> None:
        """Write the state, and the running mean as weights, into a folder.

        Raises:
            AdainError: the system refuses.

        """
        state = {
            "settings": asdict(self._settings),
            "step": self.step,
            "network": self.network.state_dict(),
            "mean": self.mean,
            "optimizer": self._optimizer.state_dict(),
            "seen": self._watch.state(),
        }
        with replacing(run / STATE_NAME) as aside:
            torch.save(state, aside)
        checkpoint.save(self.averaged(), run / "weights.safetensors")

    def resume(self, run: Path) -> None:
        """Go on from what ``save`` wrote into a folder.

        Raises:
            AdainError: there is nothing to go on from, it is damaged, or is of a run with other settings.

        """
        path = run / STATE_NAME
        try:
            state: dict[str, Any] = torch.load(path, map_location=self._device, weights_only=True)
            found, wanted = state["settings"], asdict(self._settings)
            for name in _SAME:
                if found[name] != wanted[name]:
                    raise AdainError(f"{path}: is of a run with {name} {found[name]}, not {wanted[name]}")
            self.network.load_state_dict(state["network"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._watch.restore(state["seen"])
            self.mean, self.step = state["mean"], state["step"]
        except FileNotFoundError:
            raise AdainError(f"{path}: there is no such file; nothing to resume") from None
        except (OSError, RuntimeError, KeyError, ValueError, pickle.UnpicklingError, EOFError) as error:
            raise AdainError(f"{path}: is no checkpoint of this network, or is damaged ({explain(error)})") from None
