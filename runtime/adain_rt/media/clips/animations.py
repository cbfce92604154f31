"""Reading animated WebP, which FFmpeg writes and does not read."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageSequence

from adain_models.errors import AdainError
from adain_rt.media.clips.frame import ClipFacts, Color, Frame, Reading
from adain_rt.media.pictures.geometry import plan_frame

__all__ = ["AnimationReader", "is_webp"]

_MILLISECONDS = Fraction(1, 1000)
_BT601, _UNSPECIFIED = 6, 2
_BROKEN = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
"""What Pillow raises of files that are broken, or too large."""

_SIGNATURE = 12  # bytes: RIFF, a length, WEBP


class AnimationReader:
    """Reads one animated WebP. It has the methods and attributes of ``ClipReader``, and nothing beside its frames.

    Raises:
        AdainError: the file cannot be read.

    """

    def __init__(self, path: Path, reading: Reading) -> None:
        self.name = str(path)
        self.others: list[Any] = []
        self.metadata: dict[str, str] = {}
        self.video_metadata: dict[str, str] = {}
        self.remarks: list[str] = []
        self.damage: str | None = None
        self._reading = reading
        try:
            self._picture = Image.open(path)
            lengths = [_measure(frame) for frame in ImageSequence.Iterator(self._picture)]
        except _BROKEN as error:
            raise AdainError(f"{path}: is not a clip, or is damaged ({error})") from None
        width, height = self._picture.size
        height, width = plan_frame(height, width, reading.size, crop=False, max_size=reading.max_size)
        self._size = width, height
        seconds = sum(lengths) / 1000
        rate = Fraction(len(lengths)) / Fraction(max(1, sum(lengths)), 1000)
        color = Color(_BT601, _UNSPECIFIED, _UNSPECIFIED)
        self.facts = ClipFacts(*self._size, _MILLISECONDS, rate, Fraction(1), color, seconds, len(lengths))

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, once, in their order."""
        begin, now = round(1000 * self._reading.start), 0
        end = None if self._reading.duration is None else begin + 1000 * self._reading.duration
        try:
            for frame in ImageSequence.Iterator(self._picture):
                length = _measure(frame)
                if now >= begin and (end is None or now < end):
                    shown = frame.convert("RGBA")
                    pixels = np.asarray(shown if shown.size == self._size else shown.resize(self._size))
                    alpha = np.ascontiguousarray(pixels[..., 3])
                    yield Frame(np.ascontiguousarray(pixels[..., :3]), now - begin, length, alpha)
                now += length
        except _BROKEN as error:
            self.damage = f"is damaged, and was read up to {now / 1000:.1f} s ({error})"

    def take_packets(self) -> list[Any]:
        """Return nothing: there are no other streams."""
        return []

    def chapters(self) -> list[Any]:
        """Return nothing: there are no chapters."""
        return []

    def close(self) -> None:
        """Close the file."""
        self._picture.close()

    def __enter__(self) -> AnimationReader:  # noqa: PYI034 - Self needs Python 3.11
        """Return the reader itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()


def _measure(frame: Image.Image) -> int:
    """Return how many milliseconds a frame is shown, which Pillow knows once it has decoded it."""
    frame.load()
    return int(frame.info.get("duration", 0))


def is_webp(path: Path) -> bool:
    """Whether a file is a WebP, by its first bytes. What is read of a pipe is gone, so that a pipe is none."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(_SIGNATURE)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"
