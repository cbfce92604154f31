"""Pairs of a photo and a style, each judged as several programs paint it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from adain_bench.contenders.contender import Stylist
from adain_bench.quality.brushwork import noise_gain
from adain_bench.quality.judge import Judge, Quality, Teachers
from adain_bench.quality.optimize import optimize
from adain_export.psnr import psnr
from adain_models import reference
from adain_models.errors import AdainError
from adain_models.fitting import correct
from adain_models.networks.base import channels_last
from adain_models.training.losses import Joint
from adain_models.weights import checkpoint
from adain_rt.contract import Pixels
from adain_rt.fitting import fit
from adain_rt.jobs.inputs import pictures_in
from adain_rt.media.pictures import frame, read_picture
from adain_rt.pixels import pad
from adain_rt.strokes import AT_ONCE, paint
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.underpainting import underpaint

__all__ = ["AsCommands", "InPyTorch", "Pair", "Subject", "examine", "subjects_in"]


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


class AsCommands:
    """A stylist that paints each photo as the commands do, at its own size.

    Args:
        stylizer: runs the network.
        fitted: whether it fits the style to the photo.
        underpainting: as for ``paint``.

    """

    def __init__(self, stylizer: Stylizer, fitted: bool, underpainting: float) -> None:
        self._stylizer, self._fitted, self._underpainting = stylizer, fitted, underpainting

    def encode(self, painting: Pixels) -> Style:
        """Return the style's code."""
        return self._stylizer.encode(painting)

    def stylize(self, contents: Pixels, code: Style) -> Pixels:
        """Return pictures in a style."""
        return np.stack([self._paint(each, code) for each in contents])

    def _paint(self, photo: Pixels, style: Style) -> Pixels:
        if self._fitted:
            style = fit(self._stylizer, photo, style, underpainting=self._underpainting)
        return paint(self._stylizer, photo, style, strokes=AT_ONCE, underpainting=self._underpainting)


class InPyTorch:
    """A stylist of weights that need no graphs: those of a training that goes on.

    Args:
        weights: a safetensors file.
        fitted: whether it fits the style to the photo, of which it gets one at a time then.
        underpainting: as for ``paint``.

    Raises:
        AdainError: the file is missing, broken, or of another network.

    """

    def __init__(self, weights: Path, fitted: bool, underpainting: float) -> None:
        self._fitted, self._underpainting = fitted, underpainting
        self._network = checkpoint.load(weights)
        channels_last(self._network)

    def encode(self, painting: Pixels) -> reference.Code:
        """Return the style's code."""
        return reference.encode(self._network, torch.tensor(pad(painting[None])))

    def stylize(self, contents: Pixels, code: reference.Code) -> Pixels:
        """Return pictures in a style."""
        laid = np.stack([underpaint(each, self._underpainting) for each in contents])
        made = self._paint(laid, code)
        if self._fitted:
            made = self._paint(laid, correct(code, self.encode(made[0])))
        return made

    def _paint(self, contents: Pixels, code: reference.Code) -> Pixels:
        strength = torch.ones(len(contents))
        made = reference.stylize(self._network, torch.tensor(pad(contents)), code, strength)
        cropped: Pixels = made[:, : contents.shape[1], : contents.shape[2]].numpy()
        return cropped


def subjects_in(folder: Path) -> list[Subject]:
    """Return the pairs of a folder, in the order of their names.

    ``NAME_content`` and ``NAME_style`` are a pair, with any suffix of a picture, and every other ``NAME_PROGRAM`` is
    what a program made of it.

    Raises:
        AdainError: there is no pair, or the style of a pair is missing.

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
    here: Stylist,
    fp32: Stylist,
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
    same = here.stylize(content[None], here.encode(content))[0]
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
