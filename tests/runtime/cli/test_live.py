"""``adain-rt live``, as a person runs it, from a file."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runtime.media.clips.made import look_into, make_clip

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


def test_a_missing_screen_is_said(run, desk, monkeypatch):
    tkinter = pytest.importorskip("tkinter")

    def fail():
        raise tkinter.TclError("no display")

    monkeypatch.setattr(tkinter, "Tk", fail)
    make_clip(desk / "clip.mp4")
    run("live", "clip.mp4", *STYLES, "--window").refused("a window cannot be opened (no display); use --output")


def test_a_missing_virtual_camera_is_said(run, desk, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    make_clip(desk / "clip.mp4")
    run("live", "clip.mp4", *STYLES, "--virtual-camera").refused("pip install 'adain-rt[live]'")
