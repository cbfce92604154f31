"""The job of ``adain-rt train``: reading pictures, training, checkpoints with sheets of samples, and a log.

This module needs PyTorch, as training does.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import torch

from adain_models import reference
from adain_models.errors import AdainError
from adain_models.networks.base import Network
from adain_models.training.crops import LARGEST, held_out
from adain_models.training.loop import Progress, Training
from adain_models.training.losses import FixedEncoder, Joint, Recipe
from adain_models.training.teacher import Teacher, Vgg16
from adain_rt.contract import Pixels
from adain_rt.machine.cpu import choose_threads
from adain_rt.media.pictures import Picture, frame, read_picture, write_picture
from adain_rt.media.sheet import Cell, draw

__all__ = ["Run", "choose_recipe", "pick_samples", "prepare_device", "read_pictures", "split_pictures"]

_ROWS, _COLUMNS, _CELL = 4, 6, 256  # of a sheet of samples; a cell's side in pixels
_LOG_NAME = "log.jsonl"
_LOGGED = 50  # steps between two lines of the log

Line = Mapping[str, float]
"""A line of the log: the step, the means of the loss's terms and the pace since the line before."""


def prepare_device(device: str) -> None:
    """Make PyTorch ready for a device, and keep it to the processor time that a container allows.

    Raises:
        AdainError: PyTorch finds no such device.

    """
    if threads := choose_threads():
        torch.set_num_threads(threads)
    if device == "cuda":
        if not torch.cuda.is_available():
            raise AdainError("PyTorch finds no CUDA device here", hint="use `device` cpu")
        torch.set_float32_matmul_precision("high")  # of covariances, whose errors are averaged over positions


def choose_recipe(
    network: Network, teacher: Path | None, vgg16: Path | None, device: str, weights: Mapping[str, float]
) -> Recipe:
    """Return what is minimised: a teacher's losses for the whole network, or the encoder's own for the decoder.

    Args:
        network: to be trained.
        teacher: the weights of VGG-19 as a safetensors file.
        vgg16: those of VGG-16, which judges the content too.
        device: where the teacher runs.
        weights: of terms of the loss, by name; the others have the recipe's own.

    Raises:
        AdainError: a teacher cannot be read; or there is no teacher, and the network, VGG-16 or a weight needs one.

    """
    if teacher:
        return Joint(Teacher(teacher).to(device), Vgg16(vgg16).to(device) if vgg16 else None, **weights)
    if vgg16:
        raise AdainError("VGG-16 judges only beside VGG-19", hint="add `teacher`, or leave out `vgg16`")
    for name in sorted(weights.keys() - {"style"}):
        raise AdainError(
            f"the loss has a term for {name} only with a teacher", hint=f"add `teacher`, or leave out `{name}_weight`"
        )
    return FixedEncoder(network, **weights)


def read_pictures(paths: Sequence[Path]) -> Iterator[tuple[Path, Pixels]]:
    """Yield pictures, uint8 (H, W, 3), no larger than any scale that is trained on.

    Raises:
        AdainError: a picture cannot be read.

    """

    def read(path: Path) -> Pixels:
        pixels = read_picture(path).pixels
        return frame(pixels, min(LARGEST, *pixels.shape[:2]), crop=False)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from zip(paths, pool.map(read, paths), strict=True)


def split_pictures(pictures: Sequence[tuple[Path, Pixels]]) -> tuple[list[Pixels], list[Pixels]]:
    """Return the pictures to train on, and those that are held out for samples.

    Raises:
        AdainError: all pictures are held out.

    """
    trained = [pixels for path, pixels in pictures if not held_out(path)]
    if not trained:
        raise AdainError(f"{pictures[0][0].parent}: all of its pictures are held out for validation; add more pictures")
    return trained, [pixels for path, pixels in pictures if held_out(path)]


def pick_samples(photos: Sequence[Pixels], styles: Sequence[Sequence[Pixels]]) -> tuple[list[Pixels], list[Pixels]]:
    """Return the photos and the styles of a sheet of samples, as squares.

    Args:
        photos: that are held out.
        styles: that are held out, a group for each directory.

    """
    paintings = [painting for group in styles for painting in _spread(group, _COLUMNS)]
    rows, columns = _spread(photos, _ROWS), _spread(paintings, _COLUMNS)
    return [frame(each, _CELL, crop=True) for each in rows], [frame(each, _CELL, crop=True) for each in columns]


@dataclass(frozen=True)
class Run:
    """A training run that keeps checkpoints, sheets of samples and a log in a directory.

    Attributes:
        training: the network in training.
        output: the directory.
        samples: the photos and styles of the sheets, as ``pick_samples`` gives them.
        every: the steps between two checkpoints.

    """

    training: Training
    output: Path
    samples: tuple[Sequence[Pixels], Sequence[Pixels]]
    every: int

    def steps(self, report: Callable[[Line], None]) -> Iterator[int]:
        """Train to the end; yield the number of each step.

        Args:
            report: is called with each line of the log.

        Raises:
            AdainError: a checkpoint cannot be written.

        """
        with _Log(self.output, report) as log:
            for done in self.training.run():
                log.add(done)
                if done.step % self.every == 0:
                    self._save()
                yield done.step
        if self.training.step % self.every:
            self._save()

    def _save(self) -> None:
        """Write a checkpoint and a sheet of samples."""
        self.training.save(self.output)
        sheet = _draw_samples(self.training.averaged(), *self.samples)
        write_picture(self.output / f"samples-{self.training.step:06d}.jpg", Picture(sheet, alpha=None, format="JPEG"))


class _Log:
    """Writes lines to ``log.jsonl``, to a callback, and to TensorBoard if it is installed.

    The terms of the loss are read only for a line, since reading them waits for the GPU.
    """

    def __init__(self, directory: Path, report: Callable[[Line], None]) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self._board = None
        else:
            self._board = SummaryWriter(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / _LOG_NAME).open("a", encoding="utf-8")
        self._report = report
        self._since: list[Progress] = []
        self._began = time.perf_counter()

    def __enter__(self) -> _Log:  # noqa: PYI034 - Self is in typing since Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._file:
            if error is None and self._since:
                self._write()

    def add(self, done: Progress) -> None:
        """Take a step; every so many make a line."""
        self._since.append(done)
        if done.step % _LOGGED == 0:
            self._write()

    def _write(self) -> None:
        last = self._since[-1]
        terms = {name: torch.stack([each.terms[name] for each in self._since]).mean().item() for name in last.terms}
        now = time.perf_counter()
        line = {"step": last.step, **terms, "steps_per_second": len(self._since) / (now - self._began)}
        if last.live is not None:
            line["live"] = float(np.mean(list(last.live.values())))
        self._report(line)
        print(json.dumps({**line, "live_by_layer": last.live}), file=self._file, flush=True)
        if self._board:
            for name, value in line.items():
                self._board.add_scalar(name, value, last.step)
        self._since.clear()
        self._began = now


def _spread(pictures: Sequence[Pixels], count: int) -> Sequence[Pixels]:
    """Return at most ``count`` pictures, evenly from all."""
    return pictures[:: math.ceil(len(pictures) / count)] if pictures else []


def _draw_samples(network: Network, photos: Sequence[Pixels], styles: Sequence[Pixels]) -> Pixels:
    """Return a sheet of photos in styles, none of which was trained on."""

    def batch(picture: Pixels) -> torch.Tensor:
        return torch.tensor(picture)[None]

    codes = [reference.encode(network, batch(style)) for style in styles]
    rows = [[Cell(), *(Cell(pixels=style) for style in styles)]]
    for photo in photos:
        made = [reference.stylize(network, batch(photo), code, torch.ones(1))[0].numpy() for code in codes]
        rows.append([Cell(pixels=photo), *(Cell(pixels=picture) for picture in made)])
    return draw(rows, _CELL)
