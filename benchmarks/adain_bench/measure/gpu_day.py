"""All that is worth knowing of a GPU, in a few minutes: tests and benchmarks, each a process with a limit of its own.

A step that fails, or runs into its limit, is a line in the report, and the next one begins.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

from adain_bench.record import run_file
from adain_bench.record.run import CUT_SHORT, Result
from adain_models.errors import AdainError
from adain_rt.backends import BACKENDS

__all__ = ["Day", "Step", "backends_on_gpu", "steps"]

_TESTS = Path(__file__).parents[3] / "tests" / "gpu"
_ROOTS = ("models", "export", "runtime", "benchmarks")
_GRACE = 5  # seconds, from a step's interruption to its end
_COMMAND = (sys.executable, "-c", "from adain_rt.cli import main; main()", "bench")


@dataclass(frozen=True)
class Step:
    """A part of the day.

    Attributes:
        name: what the report calls it.
        limit: how many seconds it may take.
        command: what is run. A folder of the step's own is put behind it, for the record, if it is one of our commands.

    """

    name: str
    limit: float
    command: tuple[str, ...]


def backends_on_gpu() -> list[str]:
    """Return the names of the backends that can run on a GPU here.

    Raises:
        AdainError: none can.

    """
    why = {name: spec.hindrance() for name, spec in BACKENDS.items() if spec.device == "gpu"}
    able = [name for name, hindrance in why.items() if hindrance is None]
    if not able:
        raise AdainError(
            "no backend can run on a GPU here: " + "; ".join(f"{name}: {each}" for name, each in why.items())
        )
    return able


def steps(backends: Sequence[str], folder: Path, *, rehearse: bool) -> Iterator[Step]:
    """Yield the steps in their order.

    Args:
        backends: what to measure, of ours.
        folder: where the paper's network is made.
        rehearse: whether they are short and small, to see that each does what it should.

    """
    size, seconds, repeats = ("64", "0.02", "2") if rehearse else ("512", "0.5", "5")
    timing = ("--seconds", seconds, "--repeats", repeats)
    chosen = tuple(each for name in backends for each in ("--backend", name))
    models = ("--model", "lite", "--model", str(folder / "vgg19"))
    junit = f"--junitxml={folder / 'tests.xml'}"
    pytest = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "gpu", str(_TESTS))
    patience = 5 if rehearse else 1  # a processor may be a slow one, and busy
    rest = 7 if rehearse else 150  # of what takes minutes on a processor, the beginning
    narrow = ("8",) if rehearse else ()
    yield Step("network", 50 * patience, (sys.executable, "-m", "adain_bench.measure.paper", str(folder), *narrow))
    yield Step("exactness", 60 * patience, (*_COMMAND, "exactness", *models, *chosen, "--size", size))
    yield Step("latency", 80 * patience, (*_COMMAND, "latency", *models, *chosen, "--size", size, "--floor", *timing))
    yield Step("throughput", 60 * patience, (*_COMMAND, "throughput", *chosen, "--size", size, *timing))
    yield Step("paper", rest, (*_COMMAND, "paper", *chosen, "--network", str(folder), *timing))
    yield Step("tests", 150 * patience, (*pytest, "-k", "not compiled", junit))
    yield Step("peers", rest, (*_COMMAND, "latency", "--peers", *chosen, "--size", size, *timing))


@dataclass
class Day:
    """The steps at work.

    Attributes:
        folder: where they leave what they find.
        end: when all of it ends, by ``time.monotonic``.

    """

    folder: Path
    end: float
    _told: set[tuple[str, str]] = field(default_factory=set)

    def results(self, step: Step) -> Iterator[Result]:
        """Run a step, and yield what it found that no step before it has, and how it ended.

        What ends this process ends the step first, and then this, after what the step has found.
        """
        begun = time.monotonic()
        limit = min(step.limit, self.end - begun)
        kept = self.folder / step.name
        params = {"step": step.name}
        if limit <= _GRACE:
            yield Result("steps", step.name, params, None, skipped="no time was left")
            return
        ours = step.command[: len(_COMMAND)] == _COMMAND
        why: str | None = CUT_SHORT
        try:
            why = _run((*step.command, *(("-o", str(kept)) if ours else ())), limit - _GRACE)
        finally:
            found = [*_read_record(kept / run_file.NAME)]
            if step.name == "tests":
                found.extend(_read_test_report(self.folder / "tests.xml"))
            # A case whose turn did not come may be measured by a later step.
            known = [each for each in found if each.skipped != CUT_SHORT]
            new = [each for each in known if (each.group, each.name) not in self._told]
            self._told |= {(each.group, each.name) for each in new}
            facts = {"seconds": round(time.monotonic() - begun, 1), "results": len(new)}
            yield from new
            yield Result("steps", step.name, params, None, extra_info={} if why else facts, skipped=why)


def _run(command: Sequence[str], seconds: float) -> str | None:
    """Run a process and all that it starts, and say why it did not end well, or ``None``."""
    roots = [str(Path(__file__).parents[3] / root) for root in _ROOTS if (Path(__file__).parents[3] / root).is_dir()]
    paths = [*roots, os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        process = subprocess.Popen(  # noqa: S603
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
            start_new_session=True,
        )  # fmt: skip
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"it was ended after {seconds:.0f} s"
        finally:
            _end(process)
        output.seek(0)
        said = output.read()
    if process.returncode == 0:
        return None
    lines = [line for line in said.splitlines() if line.strip()]
    return "".join(each if each.isprintable() else " " for each in (lines or [f"exit status {process.returncode}"])[-1])


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, if it still runs, and all that it started. It has a moment to write what it knows."""
    if process.poll() is None:
        _signal(process, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE)
    _signal(process, signal.SIGKILL)
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _read_record(path: Path) -> tuple[Result, ...]:
    """Return what a step's record holds; it is written part by part."""
    try:
        return run_file.read(path).results
    except AdainError:
        return ()


def _read_test_report(path: Path) -> Iterator[Result]:
    """Yield how many tests passed, and each that did not, as pytest's report tells."""
    try:
        cases = list(ET.parse(path).iter("testcase"))  # noqa: S314 - pytest wrote it a moment ago
    except (OSError, ET.ParseError):
        return
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for case in cases:
        failed = next((each for each in case if each.tag in {"failure", "error"}), None)
        skipped = case.find("skipped") is not None
        counts["failed" if failed is not None else "skipped" if skipped else "passed"] += 1
        if failed is not None:
            name = f"{case.get('classname', '').rpartition('.')[2]} {case.get('name')}"
            said = (failed.get("message") or "").splitlines() or ["it failed"]
            printable = "".join(each if each.isprintable() else " " for each in said[0][:200])
            yield Result("tests", name, {"test": name}, None, skipped=printable or "it failed")
    yield Result("tests", "tests/gpu", {"test": "all of tests/gpu"}, None, extra_info=counts)
