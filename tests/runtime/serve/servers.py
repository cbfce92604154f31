"""Servers as people start them: processes that listen on a free port."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

BACKEND = ("--backend", "onnxruntime", "--precision", "int8")
PROGRAM = "from adain_rt.cli import main; main()"


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        process: the process.
        port: on loopback.
        log: the file that its log goes to.

    """

    process: subprocess.Popen[str]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, **options)


def wait_until(holds: Callable[[], object], seconds: float = 10) -> None:
    """Wait for what a server does after its answer, or on its own."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} seconds"
        time.sleep(0.02)


@contextmanager
def serving(log: Path, *arguments: object, port: int = 0) -> Iterator[Server]:
    """Run a server for the block; it is killed at its end if it still runs."""
    command = [sys.executable, "-c", PROGRAM, "serve", "--port", str(port), *BACKEND, *map(str, arguments)]
    with (
        log.open("w") as errors,
        subprocess.Popen(  # noqa: S603 - our own program
            command, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            said = process.stdout.readline()
            found = re.search(r"http://[\d.]+:(\d+)/", said)
            assert found, f"{said!r}\n{log.read_text()}"
            yield Server(process, int(found[1]), log)
        finally:
            process.kill()
