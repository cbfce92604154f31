"""Training: the settings, the state that a checkpoint holds, and the loop.

The random numbers of a step depend on the seed and the step's number alone. So a run that was stopped and resumed gives
the same weights as one that was not, bit for bit on a CPU.
"""

from __future__ import annotations

import math
import os
import pickle
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from adain_models.errors import AdainError
from adain_models.files import explain, replacing
from adain_models.networks.base import Network, channels_last
from adain_models.training.crops import Pixels, crop, form, isolate, sides, spoil, whole
from adain_models.training.liveness import Watch
from adain_models.training.losses import Photos, Recipe, Target
from adain_models.training.optimizers import make_optimizers
from adain_models.training.replay import Replay
from adain_models.underpainting import SIDE, make_tones
from adain_models.weights import checkpoint

__all__ = ["STATE_NAME", "Progress", "Settings", "Training", "forget"]

STATE_NAME = "state.pt"

_WARM = 0.02  # of the steps: the rate rises over them, until Adam knows the gradients' size
_RAMP = 0.1  # of the steps: the style's weight rises over them where weights are random at first
_START = 0.1  # of the style's weight, at the first step: an auto-encoder with some tone
_RAMPED = frozenset({"style", "texture", "patches", "contrast"})  # the terms of the style
_CROPS = 3  # of each photo; what the recipe measures of one is kept
_KEPT = 4096  # crops of photos, and as many styles
_PERMUTED = (0.1, 0.3)  # the share of crops, and of styles, whose red, green and blue change places
_TURNED = 0.5  # the share of crops that lie at any angle
_ISOLATED = 0.25  # the share of crops of which parts lie before a plain ground
_NOISE = 2 / 255  # the largest deviation of the noise that a crop gets
_UNDERPAINTED = 6.0  # levels of 256: the strongest underpainting that a crop gets
_PAINTED = 3.0  # levels of it at which plain ground is to have strokes as strong as the style's
_FORGETTING = 0.999  # of the running mean of the weights
_WATCHED = 2  # one step in so many is watched for dead channels
_REVIVING = 200  # steps between revivals
_REVIVED = 0.6  # of the steps: none is revived after
_CLIP = 1.0  # of the gradient's norm
_SAME = ("crop", "seed", "fresh")  # settings that a resumed run must have


@dataclass(frozen=True)
class Settings:
    """What defines a run. A resumed run must have the same ``crop``, ``seed`` and ``fresh``.

    Attributes:
        steps: the run ends after so many steps, or after ``minutes``, whichever comes first.
        batch: pairs of pictures in a step.
        crop: the side of a content's crop in pixels, a multiple of 16. Styles are whole; the shorter side is as long as
            the crop's, 512 pixels, or half way between.
        rate: the learning rate at first, of Adam and of Muon; it falls to a twentieth along a cosine.
        seed: of the random numbers.
        fresh: whether the weights are random at first.
        minutes: see ``steps``.

    """

    steps: int
    batch: int = 1
    crop: int = 256
    rate: float = 1e-4
    seed: int = 0
    fresh: bool = False
    minutes: float = math.inf


@dataclass(frozen=True)
class _Photo:
    """A crop of a photo, and what is known of it.

    Attributes:
        picture: uint8 (3, H, W).
        seen: the same, spoiled or not.
        tones: its underpainting, in 0..1, (1, H, W).
        share: of the style's strength, that strokes are to have where the photo is plain.
        features: bfloat16 (C, h, w) each, of the picture with its underpainting: its strokes are to stay.

    """

    picture: Tensor
    seen: Tensor
    tones: Tensor
    share: float
    features: list[Tensor]


@dataclass(frozen=True)
class Progress:
    """One step: its number, the terms of the loss, and the share of live channels by layer when they were counted.

    The terms are scalars where the network is: to read one is to wait for the step.
    """

    step: int
    terms: dict[str, Tensor]
    live: dict[str, float] | None


_Key = TypeVar("_Key", bound=Hashable)
_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class _Form:
    """The styles of one form: the number of the group and that in it, and how often each is drawn, relative to all."""

    styles: list[tuple[int, int]]
    shares: NDArray[np.float64]


def _group_by_form(styles: Sequence[tuple[Sequence[Pixels], float]]) -> list[_Form]:
    forms: dict[tuple[float, float], list[tuple[tuple[int, int], float]]] = {}
    for group, (pictures, share) in enumerate(styles):
        for index, picture in enumerate(pictures):
            forms.setdefault(form(picture), []).append(((group, index), share / len(pictures)))
    return [_Form([place for place, _ in each], np.array([share for _, share in each])) for each in forms.values()]


def _draw(generator: np.random.Generator, shares: NDArray[np.float64], count: int) -> list[int]:
    """Return random places, each as likely as its share; ``count`` of them."""
    places: list[int] = generator.choice(len(shares), count, p=shares / shares.sum()).tolist()
    return places


def _remember(
    kept: dict[_Key, _Kept], keys: Sequence[_Key], make: Callable[[Sequence[_Key]], list[_Kept]]
) -> list[_Kept]:
    """Return the values of keys. Missing ones are made, and kept while there is room."""
    missing = [key for key in dict.fromkeys(keys) if key not in kept]
    made = dict(zip(missing, make(missing), strict=True))
    found = [made[key] if key in made else kept[key] for key in keys]
    kept.update(list(made.items())[: _KEPT - len(kept)])
    return found


def forget(part: nn.Module) -> None:
    """Give the convolutions of a network, or of a part of one, random weights (PyTorch's own); modulate nothing."""
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
        self.network = network.to(device).train()
        channels_last(network)
        self.mean = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        self.step = 0
        self._recipe, self._contents, self._styles = recipe, contents, styles
        self._forms = _group_by_form(styles)
        self._form_shares = np.array([each.shares.sum() for each in self._forms])
        self._settings, self._device = settings, device
        self._trained = [tensor for tensor in recipe.trained(network).parameters() if tensor.requires_grad]
        self._rate = torch.tensor(settings.rate, device=device)  # a tensor, which a captured step reads anew
        self._optimizers = make_optimizers(self._trained, self._rate, recipe.muon, captured=device == "cuda")
        self._watch = Watch(network)
        self._factors = torch.tensor(list(recipe.weights.values()), device=device)
        self._ramped = torch.tensor([name in _RAMPED for name in recipe.weights], device=device)
        self._learn = Replay(self._make_step, device)
        self._pool = ThreadPoolExecutor(os.cpu_count())
        self._photos: dict[tuple[int, int], _Photo] = {}
        self._targets: dict[tuple[int, int, int], Target] = {}
        self._spent = 0.0  # seconds, before this process
        self._began = time.monotonic()

    def run(self) -> Iterator[Progress]:
        """Train until the steps or the minutes are over; yield each step, under way on its device."""
        self._began = time.monotonic()
        while (done := self._done()) < 1:
            yield self._advance(done)

    def _seconds(self) -> float:
        return self._spent + time.monotonic() - self._began

    def _done(self) -> float:
        """Return how much of the run is over, from 0 to 1."""
        return max(self.step / self._settings.steps, self._seconds() / (60 * self._settings.minutes))

    def _advance(self, done: float) -> Progress:
        settings = self._settings
        warm = min(1, (done + 1 / settings.steps) / _WARM)
        self._rate.fill_(settings.rate * warm * (0.05 + 0.95 * (1 + math.cos(math.pi * done)) / 2))
        ramp = min(1, _START + (1 - _START) * done / _RAMP) if settings.fresh else 1
        factors = self._factors.where(~self._ramped, ramp * self._factors)
        photos, styles = self._batch()
        self._watch.active = self._learn.captures or self.step % _WATCHED == 0  # what is captured is done each time
        terms = self._learn(photos, styles, factors)
        self.step += 1
        self._average()
        return Progress(self.step, dict(zip(self._recipe.weights, terms, strict=True)), self._live(done))

    def _make_step(self, photos: Photos, styles: Target, factors: Tensor) -> Tensor:
        """Change the weights once, and return the terms of the loss, in the order of their factors."""
        with self._autocast():
            by_name = self._recipe.terms(self.network, photos, styles)
        terms = torch.stack([by_name[name] for name in self._recipe.weights])
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        torch.autograd.backward((factors * terms).sum())
        torch.nn.utils.clip_grad_norm_(self._trained, _CLIP)
        for optimizer in self._optimizers:
            optimizer.step()
        return terms.detach()

    def _batch(self) -> tuple[Photos, Target]:
        """Return photos and styles, half as many if they can be, drawn by the seed and the step's number.

        A style is larger than a photo's crop, and to encode it is work: so two photos share one. All styles of a step
        have one form and one size, so that they are encoded at once.
        """
        count = self._settings.batch
        generator = np.random.default_rng((self._settings.seed, self.step))
        crops = generator.integers(_CROPS, size=count).tolist()
        photos = generator.integers(len(self._contents), size=count).tolist()
        (place,) = _draw(generator, self._form_shares, 1)
        styles = self._forms[place].styles
        paintings = _draw(generator, self._forms[place].shares, count // math.gcd(count, 2))
        side = int(generator.choice(sides(self._settings.crop)))
        drawn = _remember(self._photos, list(zip(photos, crops, strict=True)), self._make_photos)
        targets = _remember(self._targets, [(*styles[place], side) for place in paintings], self._make_targets)
        clean = torch.stack([photo.picture for photo in drawn]) / 255
        seen = torch.stack([photo.seen for photo in drawn]) / 255
        grain = torch.Generator(self._device).manual_seed(int(generator.integers(1 << 62)))
        noise = torch.randn(clean.shape, generator=grain, device=self._device)
        level = _NOISE * torch.rand((count, 1, 1, 1), generator=grain, device=self._device)
        features = [torch.stack(each) for each in zip(*(photo.features for photo in drawn), strict=True)]
        tones = torch.stack([photo.tones for photo in drawn])
        shares = torch.tensor([photo.share for photo in drawn], device=self._device)
        return Photos(clean, seen + tones + level * noise, clean + tones, shares, features), Target.join(targets)

    def _make_photos(self, keys: Sequence[tuple[int, int]]) -> list[_Photo]:
        """Return crops of photos, the same each time, with their features."""

        def pixels(key: tuple[int, int]) -> tuple[Pixels, Pixels, NDArray[np.float32], float]:
            generator = self._chance(key)
            clean = crop(self._contents[key[0]], self._settings.crop, generator, _PERMUTED[0], _TURNED)
            if generator.random() < _ISOLATED:
                clean = isolate(clean, generator)
            seen, levels = spoil(clean, generator), generator.uniform(0, _UNDERPAINTED)
            rows, columns = (generator.integers(SIDE, size=(2, 1)) + np.arange(self._settings.crop)) % SIDE
            tones = np.float32(levels / 255) * make_tones()[np.ix_(rows, columns)]
            return clean, seen, tones, levels / _PAINTED

        photos = []
        for clean, seen, shades, share in self._pool.map(pixels, keys):
            picture, tones = self._tensor(clean), torch.tensor(shades, device=self._device)[None]
            with self._autocast():
                features = [each[0].bfloat16() for each in self._recipe.features(picture[None] / 255 + tones)]
            spoiled = picture if seen is clean else self._tensor(seen)
            photos.append(_Photo(picture, spoiled, tones, share, features))
        return photos

    def _make_targets(self, keys: Sequence[tuple[int, int, int]]) -> list[Target]:
        """Return styles of some size, the same each time, with what the recipe measures of them."""

        def pixels(key: tuple[int, int, int]) -> Pixels:
            group, index, side = key
            return whole(self._styles[group][0][index], side, self._chance(key), _PERMUTED[1])

        targets = []
        for picture in self._pool.map(pixels, keys):
            with self._autocast():
                targets.append(self._recipe.target(self._tensor(picture)[None]))
        return targets

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
        average = get_ema_multi_avg_fn(keep)  # type: ignore[no-untyped-call]
        average(list(self.mean.values()), list(self.network.state_dict().values()), self.step)

    def _live(self, done: float) -> dict[str, float] | None:
        if self.step % _REVIVING:
            return None
        live = self._watch.shares()
        if done < _REVIVED:
            self._watch.revive(self._optimizers, torch.Generator().manual_seed(self.step))
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
            "seconds": self._seconds(),
            "network": self.network.state_dict(),
            "mean": self.mean,
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
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
            for optimizer, saved in zip(self._optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
                for group in optimizer.param_groups:  # which may be of a run on another device
                    group.update(lr=self._rate, capturable=self._learn.captures)
            self._watch.restore(state["seen"])
            self.mean, self.step, self._spent = state["mean"], state["step"], state["seconds"]
        except FileNotFoundError:
            raise AdainError(f"{path}: there is no such file; nothing to resume") from None
        except (OSError, RuntimeError, KeyError, ValueError, pickle.UnpicklingError, EOFError) as error:
            raise AdainError(f"{path}: is no checkpoint of this network, or is damaged ({explain(error)})") from None
