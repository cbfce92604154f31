"""One frame of a clip, the facts of the clip that it is from, and what is read of it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from adain_rt.contract import Pixels

__all__ = ["RATE", "ClipFacts", "Color", "Frame", "Reading"]

RATE = Fraction(25)
"""Frames a second where nothing says so."""


@dataclass(frozen=True, eq=False)
class Frame:
    """A frame as it is meant to be seen: upright, progressive, RGB.

    Attributes:
        pixels: uint8 (H, W, 3), contiguous.
        pts: when it is shown, in units of the clip's time base; 0 is the clip's beginning.
        duration: how long it is shown, in the same units; 0 if the file does not say.
        alpha: uint8 (H, W), 255 where opaque; ``None`` if the clip has no transparency.

    """

    pixels: Pixels
    pts: int
    duration: int = 0
    alpha: Pixels | None = None


@dataclass(frozen=True)
class Color:
    """The colours of a clip, as the numbers of ITU-T H.273: YUV matrix, primaries and transfer function."""

    matrix: int
    primaries: int
    transfer: int


@dataclass(frozen=True)
class ClipFacts:
    """What a clip says of itself before its frames are read.

    Attributes:
        width: in pixels, upright and resized.
        height: likewise.
        time_base: the unit of time of its frames, in seconds.
        rate: frames a second on average; a guess where the file does not say.
        sample_aspect: a pixel's width over its height.
        color: the colours of its frames.
        seconds: its length; ``None`` if the file does not say.
        frames: the number of its frames; an estimate, or ``None``.

    """

    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    sample_aspect: Fraction
    color: Color
    seconds: float | None
    frames: int | None


@dataclass(frozen=True)
class Reading:
    """What is read of a clip, and how.

    Attributes:
        start: the second to begin at. What begins before is left out, and time is counted from here.
        duration: how many seconds to read; ``None`` is all.
        rate: frames a second of an image sequence.
        size: pixels of the shorter side; 0 keeps the size.
        max_size: the most pixels of the longer side, as for pictures; 0 sets no limit.

    """

    start: float = 0.0
    duration: float | None = None
    rate: Fraction = RATE
    size: int = 0
    max_size: int = 0
