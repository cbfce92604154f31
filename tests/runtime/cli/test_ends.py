"""How commands end when nobody takes what they print: a full disk, a closed stream, a reader who leaves."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from adain_rt.cli import cli

MAIN = [sys.executable, "-c", "from adain_rt.cli import main; main()"]


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield how to call every command, groups among them."""
    yield path
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)
        else:
            yield (*path, name)


PRINTING = (
    (),  # the help
    ("bench", "latency", "--help"),  # of a command that another package adds
    ("--version",),
    ("info", "--json"),
    ("style", "list"),
    ("style", "list", "--json"),
    ("weights", "list"),
    ("weights", "path", "lite"),
    ("weights", "fetch", "lite"),
    ("stylize", "photo.jpg", "--style", "@starry-night", "--json", "-o", "report.png"),
    ("stylize", "photo.jpg", "--style", "@starry-night", "-o", "-"),
)
EVERY_HELP = tuple((*path, "--help") for path in commands(cli) if path != ("bench", "latency"))


def end(arguments: tuple[str, ...], **streams: object) -> tuple[int, str]:
    """Run a command, and return its exit status and what it wrote to stderr."""
    done = subprocess.run([*MAIN, *arguments], stderr=subprocess.PIPE, text=True, check=False, **streams)  # noqa: S603
    return done.returncode, done.stderr


def close_stdout() -> None:
    os.close(1)


def reason(said: str, error: str) -> bool:
    """Whether one line says what is wrong with stdout, and names nothing else."""
    return said in {f"adain-rt: stdout: {error}\n", f"adain-rt: stdout: cannot be written ({error})\n"}


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [*PRINTING, *EVERY_HELP], ids=" ".join)
def test_what_a_full_disk_does_not_take_is_one_line_and_status_2(desk, arguments):
    with Path("/dev/full").open("w") as full:
        status, said = end(arguments, stdout=full)
    assert (status, reason(said, "No space left on device")) == (2, True), said


@pytest.mark.slow
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_what_cannot_be_printed_is_one_line_and_status_2(desk, arguments):
    status, said = end(arguments, preexec_fn=close_stdout)
    assert (status, reason(said, "Bad file descriptor")) == (2, True), said


@pytest.mark.slow
@pytest.mark.parametrize("arguments", PRINTING, ids=" ".join)
def test_a_reader_who_leaves_ends_a_command_in_silence(desk, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    try:
        assert end(arguments, stdout=writer) == (141, "")
    finally:
        os.close(writer)


@pytest.mark.parametrize("arguments", [("info",), ("stylize", "missing.jpg", "--style", "@starry-night")], ids=" ".join)
def test_where_nothing_can_be_said_the_status_says_it(desk, arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*MAIN, *arguments], stdout=full, stderr=full, check=False)  # noqa: S603 - our own
    assert done.returncode == 2


def limit_files() -> None:
    """Stop a write in its middle, as a disk does that fills up."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", [("stylize", "photo.jpg", "--style", "@starry-night", "-o", "-"), ("info", "--json")], ids=" ".join
)
def test_what_is_cut_short_is_an_error_that_names_stdout(desk, arguments, unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONDONTWRITEBYTECODE": "1"}
    with (desk / "out").open("w") as out:
        status, said = end(arguments, stdout=out, preexec_fn=limit_files, env=environment)
    assert (status, reason(said, "File too large")) == (2, True), said


def test_without_a_buffer_a_picture_through_a_pipe_is_whole(desk):
    command = [*MAIN, "stylize", "photo.jpg", "--style", "@starry-night"]
    subprocess.run([*command, "-o", "whole.png"], check=True)  # noqa: S603 - our own program
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    piped = subprocess.run([*command, "-o", "-"], capture_output=True, check=True, env=environment).stdout  # noqa: S603
    assert piped == (desk / "whole.png").read_bytes()


@pytest.fixture
def gone(desk, monkeypatch) -> Callable[..., tuple[int, str]]:
    """Run a command in a working directory that was deleted."""
    (desk / "gone").mkdir()
    program = desk / "program.py"  # as a script: for -c, Python itself looks into the working directory
    program.write_text("import os, sys; os.rmdir(os.getcwd())\nfrom adain_rt.cli import main; main()")

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, program, *arguments],
            cwd=desk / "gone",
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        return done.returncode, done.stderr

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ("stylize", "{desk}/photo.jpg", "--style", "@starry-night"),
        ("stylize", "{desk}/photo.jpg", "--style", "@starry-night", "--model", "."),
        ("grid", "{desk}/photo.jpg", "--style", "@starry-night", "-o", "grid.png"),
        ("style", "save", "{desk}/painting.png", "-o", "style.safetensors"),
    ],
    ids=" ".join,
)
def test_a_working_directory_that_was_deleted_is_named(gone, desk, arguments):
    status, said = gone(*(argument.format(desk=desk) for argument in arguments))
    assert (status, said) == (2, "adain-rt: the working directory was deleted; change to one that exists\n")


def test_a_working_directory_that_was_deleted_is_not_needed_for_full_paths(gone, desk):
    arguments = ("stylize", f"{desk}/photo.jpg", "--style", "@starry-night", "-o", f"{desk}/out.png")
    assert gone(*arguments) == (0, "")
    assert (desk / "out.png").exists()
