"""How steady the pictures of a clip are in each mode of ``Stream``: their warping error beside the photographed one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from adain_bench.quality.warping import Motion, find_motion, measure_warping
from adain_rt.contract import Pixels
from adain_rt.media.clips import ClipReader, Reading
from adain_rt.media.pictures import READABLE, read_picture, resize_to
from adain_rt.steady import STEADY, CutFinder
from adain_rt.stream import Stream

__all__ = ["Steadiness", "measure_clip", "read_moving"]

_RATE = 25.0
_NOISE = 2.0  # levels, as a camera's in daylight
_PAN = np.array([1.7, 0.6])  # pixels a frame: no whole ones, so that every frame is sampled anew
_ZOOM = 1.002  # a frame
_LENS = 1.0  # pixels: no lens draws every pixel by itself


@dataclass(frozen=True)
class Steadiness:
    """The warping errors of one clip, as means over its pairs of frames within shots.

    Attributes:
        photo: of the photographed frames.
        modes: of the pictures in each mode.
        pairs: how many pairs were measured.

    """

    photo: float
    modes: dict[str, float]
    pairs: int

    def added(self, mode: str) -> float:
        """Return what a mode adds over the photo's own error."""
        return self.modes[mode] - self.photo


Moving = Iterator[tuple[Pixels, Motion | None]]
"""Frames, uint8 (H, W, 3), each with its motion from the frame before to it; ``None`` at the first."""


def read_moving(path: Path, count: int, size: int) -> Moving:
    """Yield frames of a clip, or of a camera that moves over a picture, with their motion.

    The motion of a clip is found by optical flow; over a picture it is known.

    Args:
        path: a clip or a picture.
        count: how many frames at most.
        size: pixels of the shorter side.

    Raises:
        AdainError: the file cannot be read.

    """
    if path.suffix.lower() in READABLE.keys() - {".gif", ".apng", ".webp"}:
        yield from _pan(resize_to(read_picture(path).pixels, 2 * size), count, size)
        return
    with ClipReader(path, Reading(size=size)) as reader:
        before = None
        for frame in islice(reader.frames(), count):
            yield frame.pixels, None if before is None else find_motion(before, frame.pixels)
            before = frame.pixels


def measure_clip(frames: Moving, make_stream: Callable[[str], Stream]) -> Steadiness:
    """Return how steady a clip is in each mode.

    Args:
        frames: of the clip.
        make_stream: returns what paints it in a mode.

    Raises:
        AdainError: a frame cannot be painted.

    """
    streams = {mode: make_stream(mode) for mode in STEADY}
    cuts = CutFinder()
    errors: dict[str, list[float]] = {mode: [] for mode in ("photo", *STEADY)}
    before: dict[str, Pixels] = {}
    for frame, motion in frames:
        pictures = {"photo": frame} | {mode: stream.paint(frame, 1 / _RATE) for mode, stream in streams.items()}
        if not cuts.look(frame) and motion is not None:
            for mode, picture in pictures.items():
                errors[mode].append(measure_warping(before[mode], picture, motion))
        before = pictures
    means = {mode: float(np.mean(values)) if values else 0.0 for mode, values in errors.items()}
    return Steadiness(means.pop("photo"), means, len(errors["photo"]))


def _pan(picture: Pixels, count: int, size: int) -> Moving:
    """Yield what a camera sees that moves over a picture and zooms into it, with noise of its own in each frame."""
    import cv2

    width = size * 16 // 9
    picture = cv2.GaussianBlur(picture, (0, 0), _LENS)
    generator = np.random.default_rng(0)
    rows, columns = np.indices((size, width), np.float32)
    here = np.stack([columns, rows], axis=-1)
    corner = np.array(picture.shape[1::-1]) / 8
    for index in range(count):
        scale = _ZOOM**-index
        seen = cv2.remap(picture, *np.moveaxis((here * scale + corner + _PAN * index).astype(np.float32), -1, 0),
                         cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)  # fmt: skip
        frame = np.clip(seen + generator.normal(0, _NOISE, seen.shape), 0, 255).round().astype(np.uint8)
        # A point at p in the frame before is at p * zoom - pan / scale in this one.
        flow = (here * _ZOOM - _PAN / scale - here).astype(np.float32)
        there = here + flow
        inside = np.logical_and.reduce((there >= 0) & (there <= np.array([width - 1, size - 1])), axis=-1)
        yield frame, Motion(flow, inside) if index else None
