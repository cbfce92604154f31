"""Pictures in tiles whose painting is ended from outside: killed, or by a disk that fills up. For real."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image
from tests.runtime.cli.halting import go_on, start, wait_until_halted

from adain_rt.jobs.work import find_work

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of another process, and tmpfs, are Linux's"),
]

HUGE, ORDINARY = "100000", "10000000"
"""The most pixels of a picture that is read whole: fewer than the photo has, and more."""

OPTIONS = ("--style", "@udnie", "--tile", "64", "--backend", "onnxruntime", "--precision", "int8")

THREE_TILES = ("os.rename", "*/state.json", 8)
"""Three tiles are noted, and the fourth is about to be. Unpacked, fitted, measured and tiled are noted before them."""


def paint(counts_as: str, output: Path, *more: str, halt: tuple[str, str, int] = ("", "", 0)) -> subprocess.Popen[str]:
    """Begin to paint the photo in the working directory."""
    before = f"from adain_rt.media.pictures import source; source.MAX_PIXELS = {counts_as}"
    return start("stylize", "photo.png", *OPTIONS, "-o", str(output), *more, halt=halt, before=before)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Return how a command ended, and what it said."""
    _, said = process.communicate(timeout=120)
    return process.returncode, said


def tiles_done(output: Path) -> int:
    """Return how many tiles are noted as painted."""
    done: int = json.loads((find_work(output) / "state.json").read_text())["done"]
    return done


@dataclass
class Disk:
    """A folder whose disk fills up when a test says so."""

    folder: Path
    full: int

    def fill(self, process: subprocess.Popen[str]) -> None:
        """Let a process that stands still write nothing more when it goes on."""
        if self.full == errno.EFBIG:
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, 0))
            return
        with self._ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                pass

    def make_room(self) -> None:
        """Let processes that begin now write again."""
        self._ballast.unlink(missing_ok=True)

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"


@pytest.fixture(params=["file system", "limit"])
def disk(request, tmp_path) -> Iterator[Disk]:
    """A small file system of its own where the test may mount one; and a limit to the size of files, RLIMIT_FSIZE."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if request.param == "limit":
        yield Disk(folder, errno.EFBIG)
        return
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a file system")
    yield Disk(folder, errno.ENOSPC)
    subprocess.run(["umount", str(folder)], check=True)  # noqa: S603, S607


@pytest.fixture
def photo(tmp_path, monkeypatch, china) -> bytes:
    """A photo of 400x500 pixels in the working directory."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(china[:400, :500]).save("photo.png")
    return Path("photo.png").read_bytes()


@pytest.fixture
def undisturbed(photo, tmp_path) -> bytes:
    """What comes out where nothing happens."""
    assert finish(paint(HUGE, tmp_path / "undisturbed.png")) == (0, "")
    return (tmp_path / "undisturbed.png").read_bytes()


def test_a_huge_picture_whose_painting_was_killed_is_gone_on_with_to_the_same_bytes(photo, undisturbed, tmp_path):
    output = tmp_path / "out.png"
    process = paint(HUGE, output, halt=THREE_TILES)
    wait_until_halted(process)
    os.kill(process.pid, signal.SIGKILL)
    assert finish(process) == (-signal.SIGKILL, "")
    assert not output.exists()
    assert Path("photo.png").read_bytes() == photo
    assert tiles_done(output) == 3
    process = paint(HUGE, output, "--resume", halt=("os.rename", "*/state.json", 2))
    wait_until_halted(process)
    assert tiles_done(output) == 4
    go_on(process)
    assert finish(process) == (0, "")
    assert output.read_bytes() == undisturbed
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png", "undisturbed.png", "out.png"}


def test_a_disk_that_fills_up_under_a_huge_picture_is_one_line_and_loses_nothing(disk, photo, undisturbed):
    output = disk.folder / "out.png"
    process = paint(HUGE, output, halt=THREE_TILES)
    wait_until_halted(process)
    disk.fill(process)
    go_on(process)
    status, said = finish(process)
    assert status == 2
    assert said.startswith(f"adain-rt: photo.png: {find_work(output)}")
    assert f"cannot be written ({os.strerror(disk.full)})" in said
    assert said.endswith("; when it can be, go on with --resume\n")
    assert said.count("\n") == 1
    assert not output.exists()
    assert Path("photo.png").read_bytes() == photo
    disk.make_room()
    assert finish(paint(HUGE, output, "--resume")) == (0, "")
    assert output.read_bytes() == undisturbed
    assert [path.name for path in disk.folder.iterdir()] == ["out.png"]


def test_a_disk_that_fills_up_under_an_ordinary_picture_in_tiles_is_one_line(disk, photo):
    output = disk.folder / "out.png"
    output.write_bytes(b"the result of the last run")
    process = paint(ORDINARY, output, "--overwrite", halt=("open", "photo.png", 1))
    wait_until_halted(process)
    disk.fill(process)
    go_on(process)
    status, said = finish(process)
    assert (status, said) == (2, f"adain-rt: {output}: cannot be written ({os.strerror(disk.full)})\n")
    disk.make_room()
    assert output.read_bytes() == b"the result of the last run"
    assert Path("photo.png").read_bytes() == photo
    assert [path.name for path in disk.folder.iterdir()] == ["out.png"]


@pytest.mark.parametrize("counts_as", [HUGE, ORDINARY])
@pytest.mark.parametrize("kind", ["png", "jpg", "tif"])
def test_a_truncated_input_is_one_line_and_stays_as_it_is(photo, tmp_path, counts_as, kind):
    path = Path(f"photo.{kind}")
    Image.open("photo.png").save(path, quality=95)
    path.write_bytes(path.read_bytes()[:-20_000])
    Path("photo.png").write_bytes(path.read_bytes())  # whatever it is called
    cut = path.read_bytes()
    status, said = finish(paint(counts_as, tmp_path / "out.png"))
    assert status == 2
    assert said.startswith("adain-rt: photo.png: ")
    assert said.count("\n") == 1
    assert Path("photo.png").read_bytes() == cut
    assert not (tmp_path / "out.png").exists()
