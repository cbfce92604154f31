"""What ``make fuzz`` begins with, and that it would notice."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.fuzz.targets import TARGETS, Target, probe

from adain_models.errors import AdainError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_are_sound(name: str, tmp_path: Path) -> None:
    for seed, data in TARGETS[name].seeds().items():
        (tmp_path / "file").write_bytes(data)
        TARGETS[name].read(tmp_path / "file")
        probe(TARGETS[name], data)
        assert seed


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (ValueError("other"), "other"),
        (AdainError("two\nlines"), "more than one line"),
    ],
)
def test_another_error_and_a_second_line_are_noticed(fault: Exception, words: str) -> None:
    def fail(path: Path) -> None:
        raise fault

    with pytest.raises((ValueError, AssertionError), match=words):
        probe(Target(fail, dict), b"")


def test_a_print_of_a_library_is_noticed() -> None:
    with pytest.raises(AssertionError, match="on stderr: b'oops'"):
        probe(Target(lambda _: os.write(2, b"oops"), dict), b"")


def test_a_refusal_is_right() -> None:
    def refuse(path: Path) -> None:
        raise AdainError(f"{path}: no")

    probe(Target(refuse, dict), b"")


@pytest.mark.slow
def test_the_command_changes_files_until_its_time_is_over(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "0.02", "style", "manifest"]
    paths = os.pathsep.join([str(ROOT), *(path for path in sys.path if path)])
    done = subprocess.run(  # noqa: S603 - our own program
        command, capture_output=True, text=True, check=True, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths}
    )
    assert "style: " in done.stdout
    assert "nothing found" in done.stdout
