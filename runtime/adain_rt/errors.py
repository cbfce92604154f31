"""The errors of the runtime, beside ``AdainError``, which every part of the project raises."""

from __future__ import annotations

import math

from adain_models.errors import AdainError
from adain_rt.contract import MIN_SIDE, MULTIPLE

__all__ = ["TooLarge", "TooManyPixels", "UnusableBackend", "too_large"]


class UnusableBackend(AdainError):  # noqa: N818 - the name says what the backend is
    """A backend cannot run on this machine at all, whatever the picture."""


class TooLarge(AdainError):  # noqa: N818 - the name says what the pictures are
    """Pictures do not fit into memory."""


class TooManyPixels(AdainError):  # noqa: N818 - the name says what the picture has
    """A picture has more pixels than are read at once."""


def too_large(height: int, width: int, needed: int | None, free: int, memory: str) -> TooLarge:
    """Return the error for pictures that do not fit into a memory; its hint gives the size that fits.

    Args:
        height: of each picture, in pixels.
        width: of each picture, in pixels.
        needed: the bytes that the pictures may take, or ``None`` if that is not known.
        free: the bytes that are free.
        memory: what the memory is called, such as ``GPU memory``.

    """
    if needed is None:
        return TooLarge(f"{width}x{height} pixels need more {memory} than there is", hint="use a smaller size")
    side = int(min(height, width) * min(1.0, math.sqrt(free / needed))) // MULTIPLE * MULTIPLE
    return TooLarge(
        f"{width}x{height} pixels may take {needed / 1e9:.1f} GB of {memory}, and {free / 1e9:.1f} GB are free",
        hint="use a smaller size "
        + (f"(a shorter side of {side} pixels fits)" if side >= MIN_SIDE else "or fewer pictures at once"),
    )
