"""For which sizes an engine is: optimisation profiles, in the letters of the engine contract."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from adain_models.errors import AdainError
from adain_rt.contract import MIN_SIDE, MULTIPLE, TensorSpec

__all__ = ["DEFAULTS", "Profile", "parse_profile", "static_profile"]

_REGIONS = (1, 2, 15)
_MAX_SIDE = 16384
_Range = tuple[int, int, int]


@dataclass(frozen=True)
class Profile:
    """The least, the best served and the largest of each size: N pictures of H x W pixels, R regions."""

    N: _Range
    H: _Range
    W: _Range
    R: _Range = _REGIONS

    def covers(self, sizes: Mapping[str, int]) -> bool:
        """Whether sizes, by letter, lie within."""
        return all(getattr(self, name)[0] <= size <= getattr(self, name)[2] for name, size in sizes.items())

    def distance(self, sizes: Mapping[str, int]) -> float:
        """Return how far sizes, by letter, are from those served best: 0 is there, 1 is double or half of one size."""
        return sum(abs(math.log2(size / getattr(self, name)[1])) for name, size in sizes.items())

    def shapes(self, tensor: TensorSpec, channels: int) -> list[tuple[int, ...]]:
        """Return the least, the best served and the largest shape of one of the contract's tensors."""
        places = [{"C": channels} | {name: getattr(self, name)[place] for name in "NHWR"} for place in range(3)]
        return [tuple(size if isinstance(size, int) else sizes[size] for size in tensor.shape) for sizes in places]

    def __str__(self) -> str:
        """Write it as ``parse_profile`` reads it."""
        return ":".join("x".join(str(getattr(self, name)[place]) for name in "NHW") for place in range(3))


DEFAULTS = (
    Profile(N=(1, 1, 8), H=(16, 512, 1024), W=(16, 512, 1024)),
    Profile(N=(1, 1, 1), H=(16, 1080, 4096), W=(16, 1920, 4096)),
)
"""What an engine is built for unless told: pictures up to 1024 pixels, some at once; then up to 4096.

No tensor then has 2^31 numbers, which not every version takes; so the largest pictures are not batched.
"""


def parse_profile(text: str) -> Profile:
    """Return the profile that ``MIN:OPT:MAX`` names, each a side, HxW or NxHxW.

    Raises:
        AdainError: it names none, or one that the graphs cannot take.

    """
    parts = text.split(":")
    if len(parts) != 3:  # noqa: PLR2004 - the least, the best served, the largest
        raise AdainError(f"profile {text!r} is not MIN:OPT:MAX, such as 256:512:1024 or 1x64x64:1x512x512:8x1024x1024")
    ranges = list(zip(*(_sizes(part) for part in parts), strict=True))
    if any(not low <= best <= high for low, best, high in ranges):
        raise AdainError(f"profile {text!r}: its sizes must rise from MIN over OPT to MAX")
    return Profile(*ranges)


def static_profile(text: str) -> Profile:
    """Return the profile of one size alone, given as a side, HxW or NxHxW.

    Raises:
        AdainError: it is none that the graphs can take.

    """
    return Profile(*((size, size, size) for size in _sizes(text)))


def _sizes(text: str) -> tuple[int, int, int]:
    """Return N, H and W."""
    try:
        numbers = [int(number) for number in text.lower().split("x")]
        count, height, width = {1: [1, *numbers * 2], 2: [1, *numbers], 3: numbers}[len(numbers)]
    except (KeyError, ValueError):
        raise AdainError(f"size {text!r} is none: give a side (512), HxW (720x1280) or NxHxW (4x512x512)") from None
    sides = {height, width}
    if count < 1 or min(sides) < MIN_SIDE or max(sides) > _MAX_SIDE or any(side % MULTIPLE for side in sides):
        raise AdainError(
            f"size {text!r}: H and W must be multiples of {MULTIPLE} from {MIN_SIDE} to {_MAX_SIDE}, and N at least 1"
        )
    return count, height, width
