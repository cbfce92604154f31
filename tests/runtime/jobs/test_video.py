"""Clips that are gone on with after an interruption."""

from __future__ import annotations

import errno
import os
import sys
from fractions import Fraction
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from PIL import Image
from tests.runtime.media.clips.made import look_into, make_clip, moving, read_frames

from adain_rt.jobs.stills import Failed, Remark
from adain_rt.jobs.styles import parse
from adain_rt.jobs.video import Began, Done, Painted, Repeated, Video
from adain_rt.jobs.work import WorkFolder, find_work

PART = 4
TIMES = np.cumsum([0, 4, 4, 1, 7, 4, 4, 4, 4, 4, 4, 9, 4, 4, 4, 4]).tolist()


@pytest.fixture(autouse=True)
def _use_short_parts(monkeypatch):
    monkeypatch.setattr("adain_rt.jobs.video._PART", PART)


@pytest.fixture
def clip(desk: Path) -> Path:
    """A clip with sound, frames of uneven length, and a cut in it."""
    frames = [*moving(7), *(255 - frame for frame in moving(8))]
    return make_clip(desk / "clip.mp4", frames=frames, times=TIMES, time_base=Fraction(1, 100), sound="mono")


def paint(stylizer, output: str, stop: int | None = None, clip: str = "clip.mp4", **options) -> list[Done]:
    """Paint a clip; stop, as a signal does, once so many frames are written. Return what is done."""
    run = Video([Path(clip)], [parse("@udnie")], output=output, **options).run(stylizer)
    done = []
    for outcome in run:
        if isinstance(outcome, Painted) and outcome.frames == stop:
            run.close()
        if isinstance(outcome, Done):
            done.append(outcome)
    return done


def compare(one: str, other: str) -> float:
    """Check that two clips have frames at the same times, and the same sound; return how far the frames are apart."""
    assert look_into(Path(one)) == look_into(Path(other))
    frames = np.array([read_frames(Path(one)), read_frames(Path(other))], float)
    return float(np.abs(frames[0] - frames[1]).max())


@pytest.mark.parametrize(("stop", "earlier"), [(5, 4), (11, 8), (15, 12)])
@pytest.mark.parametrize("steady", ["statistics", "flow"])
def test_an_interrupted_clip_becomes_what_an_undisturbed_one_is(stylizer, clip, steady, stop, earlier):
    options = {"steady": steady, "codec": "prores"}  # x264 does not encode the same frames to the same bytes each time
    paint(stylizer, "whole.mov", **options)
    assert not find_work(Path("whole.mov")).exists()
    assert paint(stylizer, "out.mov", stop, **options) == []
    assert not Path("out.mov").exists()
    (done,) = paint(stylizer, "out.mov", resume=True, **options)
    assert (done.frames, done.earlier) == (15, earlier)
    assert compare("whole.mov", "out.mov") == 0
    assert not list(Path().glob(".*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "h264"), (".mkv", "h264"), (".mp4", "hevc"), (".mp4", "av1"), (".mkv", "vp9")]
)
def test_every_codec_is_joined(stylizer, clip, suffix, codec):
    options = {"codec": codec, "steady": "off"}
    paint(stylizer, f"whole{suffix}", **options)
    paint(stylizer, f"out{suffix}", 6, **options)
    paint(stylizer, f"out{suffix}", 6, resume=True, **options)
    (done,) = paint(stylizer, f"out{suffix}", resume=True, **options)
    assert (done.frames, done.earlier) == (15, 8)
    assert compare(f"whole{suffix}", f"out{suffix}") < 100  # one pixel of one frame, as these encoders vary


@pytest.mark.skipif(sys.platform != "linux", reason="policies of threads are Linux's")
def test_no_encoder_puts_the_process_under_a_real_time_policy(stylizer, clip):
    """SVT-AV1 does, where root runs it: threads that spin then stop the program, and the machine."""
    paint(stylizer, "out.mkv", codec="av1", steady="off")
    policies = {os.sched_getscheduler(int(thread.name)) for thread in Path("/proc/self/task").iterdir()}
    assert not policies & {os.SCHED_FIFO, os.SCHED_RR}


@pytest.mark.slow
def test_numbered_pictures_are_gone_on_with(stylizer, clip):
    paint(stylizer, "whole/%02d.png")
    paint(stylizer, "out/%02d.png", 10)
    Path("out/09.png").write_bytes(b"half")  # a picture after the last part may be half written
    (done,) = paint(stylizer, "out/%02d.png", resume=True)
    assert (done.frames, done.earlier) == (15, 8)
    for index in range(1, 16):
        assert Path(f"out/{index:02d}.png").read_bytes() == Path(f"whole/{index:02d}.png").read_bytes()
    assert paint(stylizer, "out/%02d.png", resume=True) == []
    paint(stylizer, "early/%02d.png", 2)
    (done,) = paint(stylizer, "early/%02d.png", resume=True)
    assert (done.frames, done.earlier) == (15, 0)


def test_the_longest_name_has_room_for_its_folder(stylizer, clip):
    (done,) = paint(stylizer, "x" * 251 + ".mov", steady="off", codec="prores")
    assert done.frames == 15


def test_a_mask_goes_on_where_the_clip_does(stylizer, clip):
    masks = [np.full((48, 64, 3), 255 * (index % 5 < 2), np.uint8) for index in range(15)]
    make_clip(Path("mask.mkv"), frames=masks, times=TIMES, time_base=Fraction(1, 100), codec="ffv1", options={})
    options = {"masks": [Path("mask.mkv")], "codec": "prores"}
    paint(stylizer, "whole.mov", **options)
    paint(stylizer, "out.mov", 10, **options)
    (done,) = paint(stylizer, "out.mov", resume=True, **options)
    assert done.earlier == 8
    assert compare("whole.mov", "out.mov") == 0


@pytest.mark.parametrize("other", [{"strength": 0.5}, {"crf": 30}, {"size": 24}, {"steady": "off"}])
def test_what_another_painting_left_is_not_taken(stylizer, clip, other):
    paint(stylizer, "out.mp4", 6)
    job = Video([Path("clip.mp4")], [parse("@udnie")], output="out.mp4", resume=True, **other)
    remark, *_, done = job.run(stylizer)
    assert remark == Remark("out.mp4: is begun anew, since nothing is done of this clip with these styles and options")
    assert (done.frames, done.earlier) == (15, 0)


def test_other_pictures_of_a_sequence_are_another_clip(stylizer, desk):
    Path("frames").mkdir()
    for number, frame in enumerate(moving(10), 1):
        Image.fromarray(frame).save(f"frames/{number:02d}.png")

    options = {"clip": "frames/%02d.png", "codec": "prores"}
    paint(stylizer, "out.mov", 6, **options)
    assert [done.earlier for done in paint(stylizer, "out.mov", resume=True, **options)] == [4]
    Path("out.mov").unlink()
    paint(stylizer, "out.mov", 6, **options)
    Image.fromarray(255 - frame).save("frames/02.png")
    assert [done.earlier for done in paint(stylizer, "out.mov", resume=True, **options)] == [0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_clip_from_a_named_pipe_has_no_parts(stylizer, clip):
    data = make_clip(Path("clip.mkv"), frames=moving(8)).read_bytes()
    os.mkfifo("pipe")
    done = []
    for output, stop in (("out.mov", None), ("other.mov", 6)):
        feeder = Thread(target=Path("pipe").write_bytes, args=[data])
        feeder.start()
        done += paint(stylizer, output, stop, clip="pipe", codec="prores")
        feeder.join()
    assert [each.frames for each in done] == [8]
    assert not list(Path().glob(".*"))


def _compress_otherwise(data: bytes) -> bytes:
    """Return a ZIP file whose first entry is said to be compressed in a way that nobody knows."""
    place = data.index(b"PK\x01\x02") + 10
    return data[:place] + b"\x63" + data[place + 1 :]


def test_every_frame_of_a_resumed_clip_is_told_of(stylizer, clip):
    paint(stylizer, "out.mp4", 10)
    job = Video([Path("clip.mp4")], [parse("@udnie")], output="out.mp4", resume=True)
    began, *frames, done = (outcome for outcome in job.run(stylizer) if not isinstance(outcome, Remark))
    assert isinstance(done, Done)
    assert began == Began(Path("out.mp4"), 15)
    assert frames[:8] == [Repeated(Path("out.mp4"), count) for count in range(1, 9)]
    assert frames[8:] == [Painted(Path("out.mp4"), count) for count in range(1, 8)]


def test_damaged_work_is_begun_anew(stylizer, clip):
    for name, damage in (
        ("state.npz", lambda _: b"PK"),
        ("state.npz", _compress_otherwise),
        ("frames", lambda _: b""),
        ("frames", lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:]),
    ):
        paint(stylizer, "out.mp4", 10)
        path = find_work(Path("out.mp4")) / name
        path.write_bytes(damage(path.read_bytes()))
        (done,) = paint(stylizer, "out.mp4", resume=True)
        assert (done.frames, done.earlier) == (15, 0)
        Path("out.mp4").unlink()


def test_what_others_put_in_place_of_the_folder_is_left_alone(stylizer, clip):
    paint(stylizer, "out.mp4", 10)
    folder = find_work(Path("out.mp4"))
    folder.rename("elsewhere")
    folder.symlink_to("elsewhere")
    before = {path: path.read_bytes() for path in Path("elsewhere").iterdir()}
    (outcome,) = Video([Path("clip.mp4")], [parse("@udnie")], output="out.mp4", resume=True).run(stylizer)
    assert isinstance(outcome, Failed)
    assert str(outcome.error) == ".out.mp4.adain-work: is in the way; remove it"
    assert before == {path: path.read_bytes() for path in Path("elsewhere").iterdir()}


def test_two_runs_do_not_paint_one_result(stylizer, clip):
    paint(stylizer, "out.mp4", 10)
    job = Video([Path("clip.mp4")], [parse("@udnie")], output="out.mp4", resume=True)
    other = WorkFolder(Path("out.mp4"))
    (outcome,) = job.run(stylizer)
    assert isinstance(outcome, Failed)
    assert str(outcome.error) == "out.mp4: another run is painting it; wait for it, or choose another `output`"
    with pytest.raises(RuntimeError), other:
        raise RuntimeError  # it is interrupted too
    (done,) = paint(stylizer, "out.mp4", resume=True)
    assert done.earlier == 8


@pytest.mark.parametrize("place", ["adain_rt.jobs.clipwork.PacketFile", "adain_rt.jobs.work.FileLock.acquire"])
def test_no_folder_is_left_where_the_disk_has_no_room_to_begin(stylizer, clip, monkeypatch, place):
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(place, full)
    before = set(Path.cwd().iterdir())
    (outcome,) = Video([Path("clip.mp4")], [parse("@udnie")], output="out.mp4").run(stylizer)
    assert isinstance(outcome, Failed)
    assert str(outcome.error) == "out.mp4: cannot be written (No space left on device)"
    assert set(Path.cwd().iterdir()) == before


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
