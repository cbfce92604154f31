"""The threads that decode, paint and encode, off the event loop, and the queue before them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from adain_rt.serve.limits import Limits
from adain_rt.serve.refusals import Refusal

__all__ = ["Workers"]

_T = TypeVar("_T")


class Workers:
    """Does the work of requests in a few threads, first come, first served."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="adain-rt-worker")
        self._held = 0
        self._lock = Lock()

    @property
    def waiting(self) -> int:
        """How many requests wait for a thread."""
        return max(0, self._held - self._limits.workers)

    async def run(self, request: Request, function: Callable[[], _T]) -> _T:
        """Return what a function returns in a thread.

        What has not begun when the client hangs up, or when its time is over, is never begun.

        Raises:
            Refusal: too many requests wait (429), or the time is over (503).
            ClientDisconnect: the client hung up.

        """
        if self.waiting >= self._limits.queue:
            raise Refusal(429, "too many requests wait", hint="try again in a second", headers={"Retry-After": "1"})
        with self._lock:
            self._held += 1
        job = self._pool.submit(function)
        job.add_done_callback(self._release)
        done = asyncio.wrap_future(job)
        gone = asyncio.ensure_future(_wait_for_hang_up(request))
        try:
            either: set[asyncio.Future[Any]] = {done, gone}
            await asyncio.wait(either, timeout=self._limits.seconds, return_when=asyncio.FIRST_COMPLETED)
            if done.done():
                return done.result()
            if gone.done():
                raise ClientDisconnect
            raise Refusal(
                503,
                f"the request took longer than {self._limits.seconds:g} seconds",
                hint="use a smaller picture, or try again when the server is less busy",
                headers={"Retry-After": "5"},
            )
        finally:
            gone.cancel()
            job.cancel()  # at once; through the future of asyncio it would be a moment later

    def close(self) -> None:
        """End the threads once they have done what has begun."""
        self._pool.shutdown(cancel_futures=True)

    def _release(self, job: Future[Any]) -> None:
        del job
        with self._lock:
            self._held -= 1


async def _wait_for_hang_up(request: Request) -> None:
    """Return when the client has hung up. The body has been read: what comes next can be nothing else."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
