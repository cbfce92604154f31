"""``adain-rt batch`` before Ray is needed, and what it says in the end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adain_rt.cli.batch import _LINES, _Tally
from adain_rt.jobs.painter import Result


def result(status: str, **values) -> Result:
    return Result("a.jpg", "s", "out/a.jpg", status, **values)


def test_without_ray_the_extra_is_named(desk):
    absent = "import sys; sys.modules.update(dict.fromkeys(('ray', 'pyarrow')))"
    command = [sys.executable, "-c", f"{absent}; from adain_rt.cli import main; main()", "batch", "photo.jpg"]
    done = subprocess.run(  # noqa: S603 - our own program
        [*command, "--style", "painting.png", "-o", "out/"], capture_output=True, check=False, text=True
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "pip install 'adain-rt[ray]'" in done.stderr


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [(("painted",), 0), (("skipped",), 0), (("painted", "failed"), 1), (("skipped", "failed"), 1), (("failed",), 2)],
)
def test_the_exit_status_is_that_of_stylize(statuses, expected):
    tally = _Tally(len(statuses))
    for status in statuses:
        tally.add(result(status))
    assert tally.status == expected


def test_an_error_is_worded_for_the_command_line(capsys):
    tally = _Tally(1)
    worded = tally.add(result("failed", error="a.jpg: is too large", hint="use a smaller `max_size`"))
    assert (worded.error, worded.hint) == ("a.jpg: is too large; use a smaller --max-size", None)
    tally.report()
    said = capsys.readouterr()
    assert said.err == "adain-rt: a.jpg: is too large; use a smaller --max-size\n"
    assert said.out.startswith("failed: 1  (")


def test_of_many_failures_the_first_are_printed(capsys):
    tally = _Tally(_LINES + 5)
    for number in range(_LINES + 5):
        tally.add(result("failed", error=f"{number}.jpg: is empty"))
    tally.report()
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == _LINES + 1
    assert lines[-1] == "adain-rt: and 5 more; --manifest FILE lists all"
