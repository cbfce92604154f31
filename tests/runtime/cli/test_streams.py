"""The command line at its edges: terminals, pipes, full disks, signals."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.runtime.cli.halting import go_on, start, wait_until_halted
from tests.runtime.cli.painted import ONCE, STYLE, pixels

pytestmark = pytest.mark.slow  # each starts a process or more


def terminal(*arguments: str) -> tuple[int, str]:
    """Run the command on a terminal; return its exit status and what was shown."""
    screen, ours = pty.openpty()
    command = [sys.executable, "-c", "from adain_rt.cli import main; main()", *arguments]
    process = subprocess.Popen(command, stdin=ours, stdout=ours, stderr=ours)  # noqa: S603 - our own program
    os.close(ours)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal says that the other end is closed
        while block := os.read(screen, 1 << 16):
            shown += block
    os.close(screen)
    return process.wait(), shown.decode()


def test_stdin_to_stdout_is_a_png_and_nothing_else(desk, stylizer, codes):
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", "from adain_rt.cli import main; main()", "stylize", "-", *ONCE],
        input=(desk / "photo.jpg").read_bytes(),
        capture_output=True,
        check=True,
    )
    (desk / "out.png").write_bytes(done.stdout)
    assert done.stderr == b""
    np.testing.assert_array_equal(pixels("out.png"), stylizer.stylize(pixels("photo.jpg"), codes["painting.png"]))


def test_a_full_disk_leaves_nothing_half_written(desk):
    """A limit on file sizes stops the write in its middle, as a full disk does."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    before = sorted(desk.iterdir())
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-B", "-c", "from adain_rt.cli import main; main()", "stylize", "photo.jpg", *STYLE],
        capture_output=True,
        check=False,
        preexec_fn=limit,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 2
    assert done.stderr == "adain-rt: photo_stylized_painting.jpg: cannot be written (File too large)\n"
    assert sorted(desk.iterdir()) == before


def test_on_a_terminal_there_is_a_progress_bar_and_what_was_written(desk):
    status, shown = terminal("stylize", "photo.jpg", *STYLE, "-o", "out.png")
    assert status == 0
    assert "Stylizing" in shown
    assert "100%" in shown
    assert "out.png  96x64" in shown


def test_a_picture_is_not_written_to_a_terminal(desk):
    status, shown = terminal("stylize", "photo.jpg", *STYLE, "-o", "-")
    assert status == 2
    assert "name a file with -o" in shown


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_program_without_one_of_its_streams_still_works(desk, closed):
    command = f"{sys.executable} -c 'from adain_rt.cli import main; main()' stylize photo.jpg"
    done = subprocess.run(  # noqa: S602 - the shell is what closes a stream
        f"{command} --style painting.png -o out.png {closed}", shell=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert pixels("out.png").shape == (64, 96, 3)


@pytest.mark.parametrize("command", ["stylize - --style painting.png", "info", "--help"])
def test_a_full_disk_behind_stdout_is_one_line(desk, command):
    program = f"{sys.executable} -c 'from adain_rt.cli import main; main()' {command}"
    done = subprocess.run(  # noqa: S602 - the shell redirects
        f"{program} < photo.jpg > /dev/full", shell=True, capture_output=True, check=False, text=True
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(("signal_number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_batch_says_what_failed_and_leaves_nothing_half_written(desk, signal_number, status):
    (desk / "photos").mkdir()
    (desk / "photos" / "0.png").write_bytes(b"broken")
    for number in range(1, 200):
        (desk / "photos" / f"{number:03}.jpg").write_bytes((desk / "photo.jpg").read_bytes())
    process = start("stylize", "photos", *STYLE, "-o", "out/", halt=("os.rename", "out/*.jpg", 4))
    wait_until_halted(process)
    process.send_signal(signal_number)
    go_on(process)
    _, said = process.communicate()
    assert process.returncode == status
    assert "0.png" in said
    assert "Traceback" not in said
    last = said.strip().splitlines()[-1]  # click ends the terminal's line of ^C
    assert re.fullmatch(
        r"adain-rt: interrupted; \d+ of 200 results are written, and the same command with --resume goes on .*", last
    )
    assert {path.suffix for path in (desk / "out").iterdir()} == {".jpg"}
    assert len(list((desk / "out").iterdir())) < 199


@pytest.mark.parametrize("name", ["/dev/stdout", "/dev/fd/1", "-"])
@pytest.mark.parametrize("redirection", ["| cat >> got", ">> got"])
@pytest.mark.parametrize("command", ["stylize", "grid"])
def test_stdout_is_written_to_under_each_of_its_names(desk, command, name, redirection):
    program = f"{sys.executable} -c 'from adain_rt.cli import main; main()'"
    arguments = f"{command} photo.jpg --style painting.png --size 64 -o {name}"
    (desk / "got").write_bytes(b"before")
    done = subprocess.run(  # noqa: S602 - the shell redirects
        f"{program} {arguments} {redirection}", shell=True, capture_output=True, check=True
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    data = (desk / "got").read_bytes()
    assert data.startswith(b"before")
    (desk / "got.png").write_bytes(data.removeprefix(b"before"))
    with Image.open("got.png") as image:
        image.load()
        assert image.format == "PNG"


@pytest.mark.parametrize("command", ["stylize", "grid"])
def test_the_null_device_takes_a_picture_and_stays_what_it_is(run, desk, command):
    before = Path("/dev/null").stat().st_mode
    result = run(command, "photo.jpg", *STYLE, "--size", 64, "-o", "/dev/null")
    assert (result.status, result.out, result.err) == (0, "", "")
    assert Path("/dev/null").stat().st_mode == before
    assert sorted(path.name for path in desk.iterdir()) == ["painting.png", "photo.jpg"]


def test_a_report_and_a_picture_do_not_share_stdout(run, desk):
    run("stylize", "photo.jpg", *STYLE, "--json", "-o", "/dev/stdout").refused("stdout", "-o")


def test_the_picture_on_stdin_is_an_input(desk):
    before = (desk / "photo.jpg").read_bytes()
    program = f"{sys.executable} -c 'from adain_rt.cli import main; main()'"
    done = subprocess.run(  # noqa: S602 - the shell redirects
        f"{program} stylize - --style painting.png -o photo.jpg --overwrite < photo.jpg",
        shell=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, (desk / "photo.jpg").read_bytes()) == (2, before)
    assert done.stderr == b"adain-rt: photo.jpg: is an input, and would be overwritten; choose another --output\n"
