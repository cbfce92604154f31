"""Writing a clip as numbered pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from adain_models.errors import AdainError
from adain_rt.media.clips.decoding import OpenClip
from adain_rt.media.clips.frame import Frame
from adain_rt.media.pictures import Picture, write_picture

__all__ = ["SequenceWriter", "find_numbered"]


class SequenceWriter:
    """Writes frames as pictures, numbered from 1; each is whole or not there. See ``ClipWriter`` for its methods.

    Args:
        pattern: the pictures' name, such as ``frames/%05d.png``.
        reader: the clip that the frames are from.
        done: how many pictures are there from another run, of which this one writes the rest.

    Attributes:
        remarks: what is lost, each as the end of a sentence that begins with the pattern.

    """

    def __init__(self, pattern: Path, reader: OpenClip, done: int = 0) -> None:
        self._pattern = pattern
        self._count = done
        kinds = sorted({stream.type for stream in reader.others})
        self.remarks = [f"does not hold {', '.join(kinds)}, which the clip has"] if kinds else []

    def write(self, frame: Frame) -> None:
        """Write a frame.

        Raises:
            AdainError: it cannot be written.

        """
        self._count += 1
        write_picture(_number(self._pattern, self._count), Picture(frame.pixels, frame.alpha, "PNG"))

    def copy(self, packets: Iterable[Any]) -> None:
        """Leave out what pictures do not hold."""

    def repeat(self, packet: Any) -> None:
        """Do nothing: the picture is there."""

    def begin_part(self) -> None:
        """Do nothing: every picture is a part."""

    def finish(self) -> None:
        """Do nothing: every picture is whole."""

    def close(self) -> None:
        """Do nothing: nothing is open."""


def find_numbered(pattern: Path) -> Path | None:
    """Return the first picture of a sequence that exists already, if one does."""
    first = _number(pattern, 1)
    return first if first.exists() else None


def _number(pattern: Path, number: int) -> Path:
    try:
        return pattern.with_name(pattern.name % number)
    except (TypeError, ValueError):
        raise AdainError(
            f"{pattern}: is no pattern of numbered pictures", hint="use one such as frames/%05d.png"
        ) from None
