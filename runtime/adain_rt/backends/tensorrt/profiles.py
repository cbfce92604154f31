"""Optimisation profiles: the sizes that an engine is built for, in the letters of the engine contract."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from adain_models.errors import AdainError
from adain_rt.contract import MIN_SIDE, MULTIPLE, TensorSpec

__all__ = ["DEFAULTS", "Profile", "Range", "parse_profile", "static_profile"]

_MAX_SIDE = 16384


class Range(NamedTuple):
    """The smallest size that an engine takes, the one that it serves best, and the largest."""

    least: int
    best: int
    most: int

    def covers(self, size: int) -> bool:
        """Whether a size is within the range."""
        return self.least <= size <= self.most


_REGIONS = Range(1, 2, 15)


@dataclass(frozen=True)
class Profile:
    """The range of each size: N pictures of H x W pixels, R regions."""

    N: Range
    H: Range
    W: Range
    R: Range = _REGIONS

    @property
    def ranges(self) -> dict[str, Range]:
        """The four ranges by letter."""
        return {"N": self.N, "H": self.H, "W": self.W, "R": self.R}

    def covers(self, sizes: Mapping[str, int]) -> bool:
        """Whether all sizes, given by letter, are within their ranges."""
        return all(self.ranges[letter].covers(size) for letter, size in sizes.items())

    def distance(self, sizes: Mapping[str, int]) -> float:
        """Return how far sizes, given by letter, are from those served best, as the sum of |log2(size / best)|."""
        return sum(abs(math.log2(size / self.ranges[letter].best)) for letter, size in sizes.items())

    def shapes(self, tensor: TensorSpec, channels: int) -> list[tuple[int, ...]]:
        """Return the least, the best served and the largest shape of one of the contract's tensors."""
        least, best, most = {"C": channels}, {"C": channels}, {"C": channels}
        for letter, each in self.ranges.items():
            least[letter], best[letter], most[letter] = each
        return [tensor.sized(sizes) for sizes in (least, best, most)]

    def __str__(self) -> str:
        """Write the profile as ``parse_profile`` reads it."""
        return ":".join(
            f"{count}x{height}x{width}" for count, height, width in zip(self.N, self.H, self.W, strict=True)
        )


DEFAULTS = (
    Profile(N=Range(1, 1, 8), H=Range(16, 512, 1024), W=Range(16, 512, 1024)),
    Profile(N=Range(1, 1, 1), H=Range(16, 1080, 4096), W=Range(16, 1920, 4096)),
)
"""What an engine is built for by default: pictures up to 1024 pixels, up to 8 at once; single pictures up to 4096.

No tensor then has 2^31 numbers, which some versions of TensorRT refuse; therefore the largest pictures are not batched.
"""


def parse_profile(text: str) -> Profile:
    """Return the profile that ``MIN:OPT:MAX`` names, each a side, HxW or NxHxW.

    Raises:
        AdainError: the text has another form, or the graphs cannot take one of its sizes.

    """
    parts = text.split(":")
    if len(parts) != 3:  # noqa: PLR2004 - the least, the best served, the largest
        raise AdainError(
            f"profile {text!r} is not MIN:OPT:MAX", hint="use 256:512:1024 or 1x64x64:1x512x512:8x1024x1024"
        )
    least, best, most = map(_parse_size, parts)
    ranges = [Range(*sizes) for sizes in zip(least, best, most, strict=True)]
    if any(not each.least <= each.best <= each.most for each in ranges):
        raise AdainError(f"profile {text!r}: its sizes must rise from MIN over OPT to MAX")
    return Profile(*ranges)


def static_profile(text: str) -> Profile:
    """Return the profile of one size alone, given as a side, HxW or NxHxW.

    Raises:
        AdainError: the text has another form, or the graphs cannot take the size.

    """
    return Profile(*(Range(size, size, size) for size in _parse_size(text)))


def _parse_size(text: str) -> tuple[int, int, int]:
    """Return N, H and W."""
    invalid = AdainError(f"invalid size {text!r}", hint="use 512, 720x1280 or 4x512x512")
    try:
        numbers = [int(number) for number in text.lower().split("x")]
    except ValueError:
        raise invalid from None
    match numbers:
        case [side]:
            count, height, width = 1, side, side
        case [height, width]:
            count = 1
        case [count, height, width]:
            pass
        case _:
            raise invalid
    if count < 1 or any(not MIN_SIDE <= side <= _MAX_SIDE or side % MULTIPLE for side in (height, width)):
        raise AdainError(
            f"size {text!r}: H and W must be multiples of {MULTIPLE} from {MIN_SIDE} to {_MAX_SIDE}, and N at least 1"
        )
    return count, height, width
