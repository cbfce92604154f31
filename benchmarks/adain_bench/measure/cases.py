"""What is timed: a contender at one size of picture, with the style's code known or encoded each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from adain_bench.contenders.contender import Contender, Params, TimedOnGpu
from adain_bench.measure.inputs import picture
from adain_rt.contract import Pixels

__all__ = ["ENCODINGS", "Case", "case_name", "cases"]

ENCODINGS = ("excluded", "included")
"""Whether the style picture is encoded within the time that is taken, or its code is known: Table 1's two figures."""

_SAID = {
    "size": "{0}x{0}",
    "batch": "batch {}",
    "style_encoding": "style {}",
    "streams": "{} streams",
    "cuda_graph": "CUDA graph {}",
}
_PAINTING = 1_000_000  # a picture of no content


@dataclass(frozen=True)
class Case:
    """One thing to time.

    Attributes:
        params: what tells it from the others.
        call: does it once, from uint8 pixels in the host's memory to uint8 pixels in the host's memory.
        gpu_part: does the same in the GPU's memory and returns the seconds; or ``None`` where that cannot be had.
        pictures: how many one call stylises.
        hindrance: why it cannot run here.
        facts: what a report says of it besides.

    """

    params: Params
    call: Callable[[], object]
    gpu_part: Callable[[], float | None] = lambda: None
    pictures: int = 1
    hindrance: str | None = None
    facts: Mapping[str, str | int | float] = field(default_factory=dict)


def case_name(params: Mapping[str, str | int | float]) -> str:
    """Return a case's name, made of what tells it from the others."""
    return " ".join(_SAID.get(key, "{}").format(value) for key, value in params.items())


def cases(
    contenders: Iterable[Contender], sizes: Sequence[int], batches: Sequence[int], encodings: Sequence[str] = ENCODINGS
) -> Iterator[Case]:
    """Yield every contender at every size and batch, with the style encoded or not; one that cannot run, once.

    Args:
        contenders: what stylises.
        sizes: sides of square pictures, in pixels.
        batches: how many pictures in a call; all of a call are in one style, which is encoded once.
        encodings: of ``ENCODINGS``.

    """
    for contender in contenders:
        if contender.hindrance is not None:
            yield Case(contender.params, lambda: None, hindrance=contender.hindrance)
            continue
        for size, batch, encoding in product(sizes, batches, encodings):
            work = _Work(contender, size, batch, encoding == "included")
            params = {**contender.params, "size": size, "batch": batch, "style_encoding": encoding}
            yield Case(params, work.call, work.gpu_part, batch, facts=contender.facts)


class _Work:
    """A contender's work on noise of one size, seeded."""

    def __init__(self, contender: Contender, size: int, batch: int, encodes: bool) -> None:
        self._contender, self._size, self._batch, self._encodes = contender, size, batch, encodes

    def call(self) -> Pixels:
        """Stylise, from pixels to pixels."""
        stylist = self._contender.stylist
        code = stylist.encode(self._painting) if self._encodes else self._code
        return stylist.stylize(self._contents, code)

    def gpu_part(self) -> float | None:
        """Stylise in the GPU's memory with the code known; return the seconds."""
        return self._on_gpu() if self._on_gpu and not self._encodes else None

    @cached_property
    def _on_gpu(self) -> Callable[[], float] | None:
        stylist = self._contender.stylist
        return stylist.gpu_part(self._contents, self._code) if isinstance(stylist, TimedOnGpu) else None

    @cached_property
    def _contents(self) -> Pixels:
        return np.stack([picture(self._size, seed) for seed in range(self._batch)])

    @cached_property
    def _painting(self) -> Pixels:
        return picture(self._size, _PAINTING)

    @cached_property
    def _code(self) -> Any:
        return self._contender.stylist.encode(self._painting)
