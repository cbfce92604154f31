"""Latency of whole calls: from uint8 pixels in the host's memory to uint8 pixels in the host's memory, batch 1.

The two cases are those of the paper's Table 1: the style's code is known, or the style picture (as large as the
content) is encoded as well. Rounds are interleaved, every case once a round, so that drift of the machine meets all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from adain_rt.stylizer import Stylizer

__all__ = ["Latency", "measure"]

_WARM_UP_ROUNDS = 2


@dataclass(frozen=True)
class Latency:
    """Seconds of the calls of one case: a size in pixels, with or without encoding the style."""

    size: int
    encodes_style: bool
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median in seconds."""
        return float(np.median(self.seconds))

    @property
    def p90(self) -> float:
        """The 90th percentile in seconds."""
        return float(np.percentile(self.seconds, 90))

    @property
    def fastest(self) -> float:
        """The least in seconds."""
        return min(self.seconds)


def measure(stylizer: Stylizer, sizes: Sequence[int], rounds: int) -> Iterator[list[Latency]]:
    """Time every case once a round; yield all that was measured after each round, the warm-up left out.

    Args:
        stylizer: what is measured.
        sizes: sides of square pictures of noise, in pixels.
        rounds: how often each case is timed.

    """
    generator = np.random.default_rng(0)
    pictures = {size: generator.integers(0, 256, (2, size, size, 3), np.uint8) for size in sizes}
    cases = [(size, encodes) for size in sizes for encodes in (False, True)]
    codes = {size: stylizer.encode(pictures[size][1]) for size in sizes}
    seconds: dict[tuple[int, bool], list[float]] = {case: [] for case in cases}
    for number in range(_WARM_UP_ROUNDS + rounds):
        for size, encodes in cases:
            content, painting = pictures[size]
            started = time.perf_counter()
            style = stylizer.encode(painting) if encodes else codes[size]
            stylizer.stylize(content, style)
            if number >= _WARM_UP_ROUNDS:
                seconds[size, encodes].append(time.perf_counter() - started)
        if number >= _WARM_UP_ROUNDS:
            yield [Latency(*case, tuple(seconds[case])) for case in cases]
