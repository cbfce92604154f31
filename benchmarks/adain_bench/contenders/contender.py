"""What every contender is: a way to stylise pictures, with what tells it from the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, runtime_checkable

from adain_rt.contract import Pixels

__all__ = ["Contender", "Params", "Stylist", "TimedOnGpu"]

Params = Mapping[str, str | int]
"""What tells one thing that is measured from the others; its name is made of it."""


class Stylist(Protocol):
    """Stylises pictures, from uint8 in the host's memory to uint8 in the host's memory."""

    def encode(self, painting: Pixels) -> Any:
        """Return the code of a style, uint8 (H, W, 3): all that can be known of it before there is a content."""

    def stylize(self, contents: Pixels, code: Any) -> Pixels:
        """Return pictures, uint8 (N, H, W, 3), in a style."""


@runtime_checkable
class TimedOnGpu(Stylist, Protocol):
    """A stylist that can say how long the GPU's part takes."""

    def gpu_part(self, contents: Pixels, code: Any) -> Callable[[], float] | None:
        """Return what stylises pictures in the GPU's memory once, and returns the seconds between two CUDA events.

        ``None`` where it cannot.
        """


@dataclass(frozen=True)
class Contender:
    """A way to stylise pictures.

    Attributes:
        params: model, backend, precision.
        make: makes its stylist; may take long.
        hindrance: why it cannot run here, if that is known before it is tried.
        facts: what a report says of it besides.

    """

    params: Params
    make: Callable[[], Stylist]
    hindrance: str | None = None
    facts: Mapping[str, str | int | float] = field(default_factory=dict)

    @cached_property
    def stylist(self) -> Stylist:
        """The stylist, made at the first use."""
        return self.make()
