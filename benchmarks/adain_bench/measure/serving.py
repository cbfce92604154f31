"""What ``adain-rt serve`` adds to the plain call: requests by several clients at once, each answer compared.

The server is a process of its own on this machine; the clients are threads here, each with one connection, and take a
little of the processor from it. The plain calls and the clients take turns, so that drift meets all.
"""

from __future__ import annotations

import http.client
import io
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

import adain_rt
from adain_bench.measure.cases import case_name
from adain_bench.measure.timing import Plan
from adain_bench.record.run import Result
from adain_bench.record.statistics import Times
from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.jobs import styles
from adain_rt.media.pictures import Picture, encode_picture, read_picture
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleMix, StyleSource, Transfer

__all__ = ["PLAIN_CASES", "time_serving"]

PLAIN_CASES = 3
"""How many cases are measured beside the clients."""

_PHOTO = Path(adain_rt.__file__).parent / "serve" / "page" / "sample.jpg"
_PICTURES = 8
"""Different pictures, so that an answer to another request is noticed."""

_BOUNDARY = "adain-rt-bench"
_START_SECONDS = 120
_ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)/")


def time_serving(
    stylizer: Stylizer,
    arguments: Sequence[str],
    size: int,
    clients: Sequence[int],
    plan: Plan,
    done: Callable[[], object],
) -> Iterator[Result]:
    """Yield the times of plain calls, and of requests by each number of clients.

    What ends the turns early ends it after the times that are known.

    Args:
        stylizer: makes the plain calls, as the server makes its own.
        arguments: of ``adain-rt serve``.
        size: of square pictures, in pixels.
        clients: how many clients there are at once.
        plan: how long each case is timed.
        done: called after each case's turn.

    Raises:
        AdainError: the server does not start, or the model has no presets.

    """
    load = _Load.make(stylizer, size)
    with _serving(arguments) as server:
        cases = [
            _Case({"by": "plain call"}, 1, lambda: nullcontext(load.paint_pixels), time.process_time),
            _Case({"by": "plain call", "streams": 2}, 2, lambda: nullcontext(load.paint_pixels), time.process_time),
            _Case({"by": "plain call from file to file"}, 1, lambda: nullcontext(load.paint_file), time.process_time),
            *(
                _Case({"by": "server", "clients": count}, count, partial(_connect, server, load), server.count_cpu)
                for count in clients
            ),
        ]
        for case in cases:
            case.warm_up(plan)
        memory = [server.count_bytes()]
        try:
            for _ in range(plan.repeats):
                for case in cases:
                    case.take_turn()
                    done()
                memory.append(server.count_bytes())
        finally:
            timed = [case for case in cases if case.cpu]
            plain = [case for case in timed if case.params["by"] == "plain call"]
            facts = {"server_bytes_before": memory[0], "server_bytes_after": memory[-1]}
            yield from (case.result({"size": size}, plain, facts) for case in timed)


@dataclass
class _Case:
    """A way to paint, and what was measured of it.

    Attributes:
        params: what tells it from the others.
        lanes: how many threads paint at once.
        open: gives each of them what paints the picture of a number.
        count_cpu: returns the seconds of all cores that the painting process has used.

    """

    params: dict[str, str | int | float]
    lanes: int
    open: Callable[[], AbstractContextManager[Callable[[int], object]]]
    count_cpu: Callable[[], float]
    calls: int = 0
    seconds: list[tuple[float, ...]] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def warm_up(self, plan: Plan) -> None:
        """Paint a little, and decide how many pictures a turn has."""
        calls = max(2, _PICTURES // self.lanes)
        _, wall = self._run(calls)
        self.calls = max(2, round(plan.seconds / plan.repeats / wall * calls))

    def take_turn(self) -> None:
        """Let each thread paint its pictures."""
        before = self.count_cpu()
        seconds, wall = self._run(self.calls)
        self.seconds.append(seconds)
        self.rates.append(len(seconds) / wall)
        self.cpu.append((self.count_cpu() - before) / len(seconds))

    def result(self, params: dict[str, int], plain: Sequence[_Case], facts: dict[str, int]) -> Result:
        """Return what was measured, beside the best plain case: turn by turn, so that drift meets both."""
        best = max(plain, key=lambda case: median(case.rates))
        # Where the run was cut short, one may have a turn more.
        shares = [mine / theirs for mine, theirs in zip(self.rates, best.rates, strict=False)]
        info: dict[str, float] = {"pictures_per_s": median(self.rates), "share_of_throughput": median(shares)}
        info["cpu_s"] = median(self.cpu)
        if self.params["by"] == "server":
            info |= facts
        whole = {**self.params, **params}
        return Result("serve", case_name(whole), whole, Times(tuple(self.seconds)), extra_info=info)

    def _run(self, calls: int) -> tuple[tuple[float, ...], float]:
        """Return how long each call took, and all together."""
        begin = threading.Barrier(self.lanes + 1, timeout=_START_SECONDS)

        def paint_several(lane: int) -> list[float]:
            seconds = []
            with self.open() as paint:
                begin.wait()
                for number in range(lane, lane + calls):
                    started = time.perf_counter()
                    paint(number % _PICTURES)
                    seconds.append(time.perf_counter() - started)
            return seconds

        with ThreadPoolExecutor(self.lanes) as pool:
            running = [pool.submit(paint_several, lane) for lane in range(self.lanes)]
            begin.wait()
            started = time.perf_counter()
            found = [each.result() for each in running]
            return tuple(itertools.chain.from_iterable(found)), time.perf_counter() - started


@dataclass(frozen=True)
class _Load:
    """The pictures, and what becomes of them."""

    transfer: Transfer
    code: Style
    files: list[bytes]
    pictures: list[Picture]
    answers: list[bytes]
    requests: list[bytes]

    @classmethod
    def make(cls, stylizer: Stylizer, size: int) -> _Load:
        known = styles.presets(stylizer)
        if not known:
            raise AdainError(f"model {stylizer.model} has no presets, and the load is painted in one")
        preset, path = next(iter(known.items()))
        files = [_write_jpeg(each) for each in _take_photos(size)]
        pictures = [read_picture(io.BytesIO(file)) for file in files]
        load = cls(Transfer(stylizer, fit=False, underpainting=0), Style.load(path), files, pictures, [], [])
        load.answers.extend(load.paint_file(number) for number in range(_PICTURES))
        load.requests.extend(_make_request(preset, file) for file in files)
        return load

    def paint_pixels(self, number: int) -> None:
        """Make the plain call."""
        self.transfer.stylizer.stylize(self.pictures[number].pixels, self.code)

    def paint_file(self, number: int) -> bytes:
        """Return what the server makes for a request, without it."""
        content = read_picture(io.BytesIO(self.files[number]))
        mix = StyleMix((StyleSource("style", self.code),), (1.0,))
        return encode_picture(self.transfer.apply(content, mix), "JPEG")


def _take_photos(size: int) -> list[Pixels]:
    """Return the server's sample photograph as squares, mirrored and turned; a larger one repeats it, mirrored.

    Noise would not do here as it does for the network: it takes a multiple of the time to write as JPEG.
    """
    photo = read_picture(_PHOTO).pixels
    rows, columns = (max(0, size - side) for side in photo.shape[:2])
    square = np.pad(photo, ((0, rows), (0, columns), (0, 0)), "symmetric")[:size, :size]
    turned = [np.rot90(each, turns) for each in (square, square[:, ::-1]) for turns in range(4)]
    return [np.ascontiguousarray(each) for each in turned]


def _write_jpeg(photo: Pixels) -> bytes:
    """Return a file as the web has most: of quality 90, and without a profile."""
    buffer = io.BytesIO()
    Image.fromarray(photo).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def _make_request(preset: str, file: bytes) -> bytes:
    """Return the body of a request for a picture, a form; it is painted once, as by the plain call."""
    fields = {"style": preset, "fit": "false", "underpainting": "0"}
    parts = [
        *(
            f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ),
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="content"; filename="a.jpg"\r\n\r\n'.encode(),
        file,
        f"\r\n--{_BOUNDARY}--\r\n".encode(),
    ]
    return b"".join(parts)


@contextmanager
def _connect(server: _Process, load: _Load) -> Iterator[Callable[[int], object]]:
    """Yield what has a server paint a picture, over one connection, and compares it with the plain call's.

    It raises an AdainError where the answer is an error, or another picture.
    """
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_START_SECONDS)
    headers = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}

    def ask(number: int) -> None:
        connection.request("POST", "/v1/stylize", load.requests[number], headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != http.HTTPStatus.OK:
            raise AdainError(f"the server answered {response.status} ({body[:200].decode('utf-8', 'replace')})")
        if body != load.answers[number]:
            raise AdainError("the server painted another picture than the plain call")

    with closing(connection):
        connection.connect()
        yield ask


@dataclass(frozen=True)
class _Process:
    """The server's process."""

    process: subprocess.Popen[str]
    port: int

    def count_cpu(self) -> float:
        """Return the seconds of all cores that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")  # utime and stime, proc_pid_stat(5)

    def count_bytes(self) -> int:
        """Return the memory that it holds."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))  # given in kB


@contextmanager
def _serving(arguments: Sequence[str]) -> Iterator[_Process]:
    """Run a server for the block, on any free port.

    Raises:
        AdainError: it does not start, or does not end as it should.

    """
    program = "from adain_rt.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            match = _ADDRESS.search(process.stdout.readline())
            if match is None:
                raise AdainError("the server does not start", hint="see what `adain-rt serve` says")
            yield _Process(process, int(match[1]))
        finally:
            process.terminate()
        if process.wait(_START_SECONDS):
            raise AdainError(f"the server ended with status {process.returncode}")
