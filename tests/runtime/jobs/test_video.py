"""Clips that are gone on with after an interruption."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.runtime.media.clips.made import look_into, make_clip, moving, read_frames

from adain_rt.jobs.styles import parse
from adain_rt.jobs.video import Done, Painted, Video
from adain_rt.jobs.work import find_work

PART = 4


@pytest.fixture(autouse=True)
def _use_short_parts(monkeypatch):
    monkeypatch.setattr("adain_rt.jobs.video._PART", PART)


@pytest.fixture
def clip(desk: Path) -> Path:
    """A clip with sound, frames of uneven length, and a cut in it."""
    frames = [*moving(7), *(255 - frame for frame in moving(8))]
    times = np.cumsum([0, 4, 4, 1, 7, 4, 4, 4, 4, 4, 4, 9, 4, 4, 4, 4]).tolist()
    return make_clip(desk / "clip.mp4", frames=frames, times=times, time_base=Fraction(1, 100), sound="mono")


def paint(stylizer, output: str, stop: int | None = None, clips=("clip.mp4",), **options) -> list[Done]:
    """Paint a clip; stop, as a signal does, once so many frames are written. Return what is done."""
    run = Video([Path(clip) for clip in clips], [parse("painting.png")], output=output, **options).run(stylizer)
    done = []
    for outcome in run:
        if isinstance(outcome, Painted) and outcome.frames == stop:
            run.close()
        if isinstance(outcome, Done):
            done.append(outcome)
    return done


def is_same(one: Path, other: Path) -> bool:
    """Whether two clips have the same frames at the same times, and the same packets beside them."""
    before, after = look_into(one), look_into(other)
    return before == after and all(map(np.array_equal, read_frames(one), read_frames(other)))


@pytest.mark.parametrize("stop", [5, 11, 15])
@pytest.mark.parametrize("steady", ["off", "statistics", "flow"])
def test_an_interrupted_clip_becomes_what_an_undisturbed_one_is(stylizer, clip, steady, stop):
    paint(stylizer, "whole.mp4", steady=steady)
    assert not find_work(Path("whole.mp4")).exists()
    assert paint(stylizer, "out.mp4", stop, steady=steady) == []
    assert not Path("out.mp4").exists()
    (done,) = paint(stylizer, "out.mp4", steady=steady, resume=True)
    assert (done.frames, done.earlier) == (15, (stop - 1) // PART * PART)
    assert is_same(Path("whole.mp4"), Path("out.mp4"))
    assert not list(Path().glob(".*"))


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mkv", "h264"), (".mp4", "hevc"), (".mp4", "av1"), (".mkv", "vp9"), (".mov", "prores")],
)
def test_every_codec_is_joined(stylizer, clip, suffix, codec):
    paint(stylizer, f"whole{suffix}", codec=codec)
    paint(stylizer, f"out{suffix}", 10, codec=codec)
    (done,) = paint(stylizer, f"out{suffix}", codec=codec, resume=True)
    assert done.earlier == 8
    assert is_same(Path(f"whole{suffix}"), Path(f"out{suffix}"))


def test_a_clip_is_interrupted_more_than_once(stylizer, clip):
    paint(stylizer, "whole.mp4")
    paint(stylizer, "out.mp4", 6)
    paint(stylizer, "out.mp4", 6, resume=True)
    (done,) = paint(stylizer, "out.mp4", resume=True)
    assert done.earlier == 8
    assert is_same(Path("whole.mp4"), Path("out.mp4"))


def test_numbered_pictures_are_gone_on_with(stylizer, clip):
    paint(stylizer, "whole/%02d.png")
    paint(stylizer, "out/%02d.png", 10)
    Path("out/09.png").write_bytes(b"half")  # a picture after the last part may be half written
    (done,) = paint(stylizer, "out/%02d.png", resume=True)
    assert (done.frames, done.earlier) == (15, 8)
    for index in range(1, 16):
        assert Path(f"out/{index:02d}.png").read_bytes() == Path(f"whole/{index:02d}.png").read_bytes()
    assert paint(stylizer, "out/%02d.png", resume=True) == []


def test_a_mask_goes_on_where_the_clip_does(stylizer, clip):
    masks = [np.full((48, 64, 3), 255 * (index % 5 < 2), np.uint8) for index in range(15)]
    times = np.cumsum([0, 4, 4, 1, 7, 4, 4, 4, 4, 4, 4, 9, 4, 4, 4, 4]).tolist()
    make_clip(Path("mask.mkv"), frames=masks, times=times, time_base=Fraction(1, 100), codec="ffv1", options={})
    options = {"masks": [Path("mask.mkv")]}
    paint(stylizer, "whole.mp4", **options)
    paint(stylizer, "out.mp4", 10, **options)
    (done,) = paint(stylizer, "out.mp4", resume=True, **options)
    assert done.earlier == 8
    assert is_same(Path("whole.mp4"), Path("out.mp4"))


@pytest.mark.parametrize("other", [{"strength": 0.5}, {"crf": 30}, {"size": 24}, {"steady": "off"}])
def test_what_another_painting_left_is_not_taken(stylizer, clip, other):
    paint(stylizer, "whole.mp4", **other)
    paint(stylizer, "out.mp4", 10)
    (done,) = paint(stylizer, "out.mp4", resume=True, **other)
    assert done.earlier == 0
    assert is_same(Path("whole.mp4"), Path("out.mp4"))


def test_damaged_work_is_begun_anew(stylizer, clip):
    for name, data in (("state.npz", b"PK"), ("frames", b"")):
        paint(stylizer, "out.mp4", 10)
        (find_work(Path("out.mp4")) / name).write_bytes(data)
        (done,) = paint(stylizer, "out.mp4", resume=True)
        assert (done.frames, done.earlier) == (15, 0)
        Path("out.mp4").unlink()


def test_a_result_that_was_being_replaced_is_gone_on_with(stylizer, clip):
    Path("out.mp4").write_bytes(b"the result of the last run")
    paint(stylizer, "out.mp4", 10, overwrite=True)
    assert Path("out.mp4").read_bytes() == b"the result of the last run"
    (done,) = paint(stylizer, "out.mp4", resume=True)
    assert done.earlier == 8


def test_an_animation_has_no_parts(stylizer, clip):
    paint(stylizer, "out.gif", 10)
    assert not find_work(Path("out.gif")).exists()
    (done,) = paint(stylizer, "out.gif", resume=True)
    assert (done.frames, done.earlier) == (15, 0)
    with Image.open("out.gif") as picture:
        assert picture.n_frames == 15
