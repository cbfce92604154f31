"""Pictures a second, when several are given at once: in a batch, or by several threads that share one Stylizer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

from adain_bench.contenders.contender import Contender
from adain_bench.measure.cases import Case, cases

__all__ = ["throughput_cases"]

_PICTURES = 4  # of each thread in a timed call, so that the threads' start and end weigh little


def throughput_cases(
    contenders: Iterable[Contender], size: int, batches: Sequence[int], streams: Sequence[int]
) -> Iterator[Case]:
    """Yield every contender with each batch, and with each number of threads at batch 1; styles are known.

    Args:
        contenders: what stylises, from several threads at once too.
        size: of square pictures, in pixels.
        batches: how many pictures in a call.
        streams: how many threads call at once.

    """
    for case in cases(contenders, [size], sorted({1, *batches}), ["excluded"]):
        if case.hindrance or case.params["batch"] in batches:
            yield case
        if case.hindrance is None and case.params["batch"] == 1:
            for count in streams:
                together = _Together(case, count)
                yield Case({**case.params, "streams": count}, together.call, pictures=count * _PICTURES)


class _Together:
    """Several threads, each of which makes one case's calls."""

    def __init__(self, case: Case, count: int) -> None:
        self._case, self._count = case, count

    def call(self) -> None:
        """Let every thread stylise its pictures, and wait for all."""
        for done in [self._pool.submit(self._several) for _ in range(self._count)]:
            done.result()

    def _several(self) -> None:
        for _ in range(_PICTURES):
            self._case.call()

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        self._case.call()  # what the first call makes is made by one thread
        return ThreadPoolExecutor(self._count)
