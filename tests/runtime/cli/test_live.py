"""``adain-rt live``, as a person runs it, from a file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock, Mock

import pytest
from tests.runtime.media.clips.made import look_into, make_clip, moving

from adain_rt.cli.live import _watch_keys
from adain_rt.media.screens import Window

STYLES = ("--style", "painting.png", "--style", "photo.jpg", "--size", "0")


@pytest.fixture(autouse=True)
def _keep_signals(monkeypatch):
    monkeypatch.setattr("signal.signal", lambda *_: None)


def test_a_file_is_painted_while_it_plays(run, desk):
    make_clip(desk / "clip.mp4")
    result = run("live", "clip.mp4", *STYLES, "-o", "live.mkv")
    assert result.status == 0
    assert "ms from a frame to its picture" in result.err
    assert 1 <= len(look_into(Path("live.mkv")).times) <= 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["clip.mp4"], "there is nothing to show the pictures on; use --window, --virtual-camera or an --output"),
        (["none.mp4", "-o", "live.mkv"], "none.mp4: there is no such file"),
        (["/dev/video99", "-o", "live.mkv"], "/dev/video99: there is no such file"),
        (["clip.mp4", "-o", "clip.mp4"], "clip.mp4: is an input"),
    ],
)
def test_a_refusal_is_one_line(run, desk, arguments, said):
    make_clip(desk / "clip.mp4")
    run("live", *arguments, *STYLES).refused(said)


def test_damage_is_said(run, desk):
    data = make_clip(desk / "clip.mkv", frames=moving(50), options={"preset": "ultrafast", "g": "5"}).read_bytes()
    (desk / "cut.mkv").write_bytes(data[: len(data) // 2])
    result = run("live", "cut.mkv", *STYLES, "-o", "live.mkv")
    assert result.status == 1
    assert "cut.mkv: is cut off" in result.err
    assert look_into(Path("live.mkv")).times


class Job:
    """Notes what keys ask of a job."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def turn(self, steps: int) -> None:
        self.asked.append(("turn", steps))

    def choose(self, number: int) -> None:
        self.asked.append(("choose", number))

    def stop(self) -> None:
        self.asked.append("stop")


def test_keys_change_the_style_and_end(monkeypatch):
    keys = iter("np39x0\x1b²q")
    monkeypatch.setattr("click.getchar", lambda: next(keys))
    job = Job()
    _watch_keys(job)
    assert job.asked == [("turn", 1), ("turn", -1), ("choose", 2), ("choose", 8), "stop"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, EOFError])
def test_ctrl_c_and_ctrl_d_on_the_terminal_end(monkeypatch, error):
    monkeypatch.setattr("click.getchar", Mock(side_effect=error))
    job = Job()
    _watch_keys(job)
    assert job.asked == ["stop"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="its terminals are of another kind")
@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_a_key_on_a_terminal_ends_and_leaves_the_terminal_as_it_was(desk, key):
    import termios

    make_clip(desk / "clip.mp4", frames=moving(200))
    command = [sys.executable, "-c", "from adain_rt.cli import main; main()", "live", "clip.mp4", *STYLES]
    ours, theirs = os.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen([*command, "-o", "live.mkv"], stdin=theirs, stderr=subprocess.PIPE)  # noqa: S603
    while termios.tcgetattr(theirs) == before:  # until it waits for a key
        time.sleep(0.01)
        assert process.poll() is None
    time.sleep(1)
    os.write(ours, key)
    process.communicate(timeout=30)
    assert (process.returncode, termios.tcgetattr(theirs)) == (0, before)
    assert 1 <= len(look_into(Path("live.mkv")).times) < 200
    os.close(ours)
    os.close(theirs)


def test_keys_in_the_window_and_its_closing_count_too(monkeypatch):
    tkinter = pytest.importorskip("tkinter")
    root = MagicMock()
    monkeypatch.setattr(tkinter, "Tk", lambda: root)
    monkeypatch.setattr(tkinter, "Label", MagicMock())
    pressed: list[str] = []
    window = Window(pressed.append)
    window.open(SimpleNamespace(width=64, height=48))
    root.bind.call_args.args[1](SimpleNamespace(char="n"))
    root.protocol.call_args.args[1]()
    assert pressed == ["n", "q"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_file_that_plays(desk, number):
    make_clip(desk / "clip.mp4", frames=moving(200))
    command = [sys.executable, "-c", "from adain_rt.cli import main; main()", "live", "clip.mp4", *STYLES]
    process = subprocess.Popen([*command, "-o", "live.mkv"], stderr=subprocess.PIPE)  # noqa: S603
    while not list(desk.glob(".adain-*.part")):
        time.sleep(0.01)
        assert process.poll() is None
    time.sleep(1)
    process.send_signal(number)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, b"ms from a frame to its picture" in said) == (0, True)
    assert 1 <= len(look_into(Path("live.mkv")).times) < 200


def test_a_missing_screen_is_said(run, desk, monkeypatch):
    tkinter = pytest.importorskip("tkinter")

    def fail():
        raise tkinter.TclError("no display")

    monkeypatch.setattr(tkinter, "Tk", fail)
    make_clip(desk / "clip.mp4")
    run("live", "clip.mp4", *STYLES, "--window").refused("a window cannot be opened (no display); use --output")


def test_a_missing_virtual_camera_is_said(run, desk, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    make_clip(desk / "clip.mp4")
    run("live", "clip.mp4", *STYLES, "--virtual-camera").refused("pip install 'adain-rt[live]'")
