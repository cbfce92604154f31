"""``adain-rt video``, as a person runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.runtime.cli.halting import go_on, start, wait_until_halted
from tests.runtime.media.clips.made import look_into, make_clip, moving, read_frames

STYLE = ("--style", "painting.png", "--style-size", "0")


@pytest.fixture
def clip(desk: Path) -> Path:
    """A clip with sound on the desk."""
    return make_clip(desk / "clip.mp4", sound="mono")


def test_a_clip_keeps_its_times_and_its_sound(run, clip):
    result = run("video", "clip.mp4", *STYLE)
    assert (result.status, result.err) == (0, "")
    painted = Path("clip_stylized_painting.mp4")
    before, after = look_into(clip), look_into(painted)
    assert (after.times, after.packets, after.width) == (before.times, before.packets, before.width)
    assert np.abs(read_frames(painted)[3].astype(int) - read_frames(clip)[3]).mean() > 10
    assert not list(Path().glob(".adain-*"))


def test_a_report_counts_frames(run, clip):
    report = json.loads(run("video", "clip.mp4", *STYLE, "-o", "out.mkv", "--json").out)
    (output,) = report["outputs"]
    assert (output["frames"], output["width"], output["height"]) == (12, 64, 48)
    assert (output["output"], output["damage"]) == ("out.mkv", None)


def test_an_existing_result_is_kept_replaced_or_skipped(run, clip):
    Path("out.mp4").write_bytes(b"mine")
    run("video", "clip.mp4", *STYLE, "-o", "out.mp4").refused("out.mp4: exists already", "--overwrite")
    result = run("video", "clip.mp4", *STYLE, "-o", "out.mp4", "--resume")
    assert (result.status, result.err) == (0, "adain-rt: skipped what exists already; results: 1\n")
    assert Path("out.mp4").read_bytes() == b"mine"
    assert run("video", "clip.mp4", *STYLE, "-o", "out.mp4", "--overwrite").status == 0
    assert len(look_into(Path("out.mp4")).times) == 12
    run("video", "clip.mp4", *STYLE, "-o", "clip.mp4", "--overwrite").refused("clip.mp4: is an input")


def test_damage_is_said_and_what_is_before_it_is_painted(run, desk):
    clip = make_clip(desk / "whole.mkv", frames=moving(75), options={"preset": "ultrafast", "g": "10"})
    data = clip.read_bytes()
    (desk / "cut.mkv").write_bytes(data[: len(data) // 2])
    result = run("video", "cut.mkv", *STYLE, "-o", "out.mp4")
    assert result.status == 1
    assert "cut.mkv: is cut off; it ends at" in result.err
    assert 10 < len(look_into(Path("out.mp4")).times) < 75


def test_a_clip_that_fails_costs_no_other(run, clip):
    Path("broken.mp4").write_bytes(b"no clip")
    result = run("video", "broken.mp4", "clip.mp4", *STYLE)
    assert result.status == 1
    assert result.err.startswith("adain-rt: broken.mp4: is not a clip, or is damaged")
    assert Path("clip_stylized_painting.mp4").exists()
    assert run("video", "broken.mp4", *STYLE, "-o", "out.mp4").status == 2
    assert not Path("out.mp4").exists()


def test_masks_are_pictures_or_clips(run, clip):
    frames = []
    for index in range(12):
        frame = np.zeros((48, 64, 3), np.uint8)
        frame[:, 32 if index < 6 else 0 : 64 if index < 6 else 32] = 255
        frames.append(frame)
    make_clip(Path("mask.mkv"), frames=frames, codec="ffv1", options={})
    Image.fromarray(frames[0]).save("mask.png")
    changed = {}
    for mask in ("mask.mkv", "mask.png"):
        assert run("video", "clip.mp4", *STYLE, "--mask", mask, "-o", f"{mask}.mkv", "--crf", "1").status == 0
        changed[mask] = np.abs(np.subtract(read_frames(Path(f"{mask}.mkv")), read_frames(clip), dtype=int))
    for mask, index, painted, kept in (
        ("mask.png", 11, slice(36, None), slice(28)),
        ("mask.mkv", 2, slice(36, None), slice(28)),
        ("mask.mkv", 11, slice(28), slice(36, None)),
    ):
        frame = changed[mask][index]
        assert 3 * frame[:, kept].mean() < frame[:, painted].mean()


def test_a_mask_is_as_large_as_the_clip(run, clip):
    Image.new("L", (30, 30)).save("mask.png")
    run("video", "clip.mp4", *STYLE, "--mask", "mask.png", "-o", "o.mp4").refused(
        "mask mask.png: is 30x30 pixels and clip.mp4 is 64x48"
    )


def test_an_animation_comes_back_as_one(run, desk):
    frames = [Image.fromarray(frame) for frame in moving(4)]
    frames[0].save("anim.gif", save_all=True, append_images=frames[1:], duration=[100, 50, 200, 70], loop=0)
    assert run("video", "anim.gif", *STYLE).status == 0
    with Image.open("anim_stylized_painting.gif") as picture:
        lengths = []
        for index in range(picture.n_frames):
            picture.seek(index)
            lengths.append(picture.info["duration"])
    assert lengths == [100, 50, 200, 70]


def test_sequences_of_pictures_go_in_and_out(run, clip):
    assert run("video", "clip.mp4", *STYLE, "-o", "frames/f%03d.png").status == 0
    assert sorted(path.name for path in Path("frames").iterdir()) == [f"f{index:03d}.png" for index in range(1, 13)]
    run("video", "clip.mp4", *STYLE, "-o", "frames/f%03d.png").refused("frames/f001.png: exists already")
    result = run("video", "frames/f%03d.png", "--rate", "24000/1001", *STYLE, "-o", "back.mkv")
    assert (result.status, result.err) == (0, "")
    assert len(look_into(Path("back.mkv")).times) == 12


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.mp4"], "none.mp4: there is no such file"),
        (["clip.mp4", "-o", "out.xyz"], "the suffix .xyz names no format of clips"),
        (["clip.mp4", "-o", "out.webm", "--codec", "h264"], "webm does not hold h264; use another --codec"),
        (["clip.mp4", "-o", "out.webm"], "out.webm: webm does not hold sound in aac; use another --output"),
        (
            ["clip.mp4", "--codec", "h264_nvenc"],
            "by h264_nvenc (it needs an NVIDIA GPU",
        ),
        (["clip.mp4", "--rate", "fast"], "fast is not a number of frames a second"),
        (["clip.mp4", "--start", "nan"], "is not a finite number"),
        (["clip.mp4", "--start", "60"], "clip.mp4: has no frame that can be decoded at 60 s"),
        (["photo.jpg", "--mask", "a.png", "--steady", "statistics"], "steady statistics does not go with masks"),
        (["."], ".: is a folder"),
    ],
)
def test_a_refusal_is_one_line(run, clip, arguments, said):
    run("video", *arguments, *STYLE).refused(said)


@pytest.mark.slow
def test_a_missing_extra_is_named(clip):
    program = "import sys; sys.modules['av'] = None; from adain_rt.cli import main; main()"
    command = [sys.executable, "-c", program, "video", "clip.mp4", *STYLE]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert (ended.returncode, ended.stderr) == (2, "adain-rt: video needs av: pip install 'adain-rt[video]'\n")


@pytest.mark.slow
def test_clips_go_through_pipes(clip):
    command = [sys.executable, "-c", "from adain_rt.cli import main; main()", "video", "-", *STYLE]
    make_clip(Path("piped.mkv"), sound="mono")
    with Path("piped.mkv").open("rb") as given, Path("out.mkv").open("wb") as taken:
        ended = subprocess.run(command, stdin=given, stdout=taken, stderr=subprocess.PIPE, check=False)  # noqa: S603
    assert (ended.returncode, ended.stderr) == (0, b"")
    before, after = look_into(Path("piped.mkv")), look_into(Path("out.mkv"))
    assert (after.times, after.packets) == (before.times, before.packets)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_kill_leaves_nothing_half_written(desk, number):
    make_clip(desk / "long.mp4", frames=moving(60, 320, 240))
    Path("out.mp4").write_bytes(b"the result of the last run")
    options = (*STYLE, "--overwrite", "--backend", "onnxruntime", "--precision", "fp32")
    tell = """
from adain_rt.stream import Stream
paint = Stream.paint
Stream.paint = lambda *arguments: sys.audit("paint", "a frame") or paint(*arguments)
"""
    process = start("video", "long.mp4", *options, "-o", "out.mp4", halt=("paint", "a frame", 10), before=tell)
    wait_until_halted(process)
    process.send_signal(number)
    go_on(process)
    _, said = process.communicate(timeout=30)
    assert process.returncode in {-signal.SIGKILL, 128 + signal.SIGTERM, 128 + signal.SIGINT}
    assert Path("out.mp4").read_bytes() == b"the result of the last run"
    if number != signal.SIGKILL:
        assert said.strip() == "adain-rt: interrupted; 0 of 1 results are written"
        assert not list(desk.glob(".*"))


@pytest.mark.slow
def test_a_killed_run_is_gone_on_with(run, desk):
    make_clip(desk / "long.mp4", frames=moving(60, 160, 120), sound="mono")
    options = [*STYLE, "--codec", "prores", "--backend", "onnxruntime", "--precision", "fp32", "--threads", "1"]
    arguments = ("video", "long.mp4", *options, "-o", "out.mov")
    short_parts = "import adain_rt.jobs.video; adain_rt.jobs.video._PART = 10"
    process = start(*arguments, halt=("os.rename", "*/state.npz", 3), before=short_parts)
    wait_until_halted(process)
    process.kill()
    process.communicate()
    assert not Path("out.mov").exists()
    (output,) = json.loads(run(*arguments, "--resume", "--json").out)["outputs"]
    assert (output["frames"], output["earlier"]) == (60, 20)
    run("video", "long.mp4", *options, "-o", "whole.mov")
    assert look_into(Path("out.mov")) == look_into(Path("whole.mov"))
    assert np.array_equal(read_frames(Path("out.mov")), read_frames(Path("whole.mov")))
    assert not list(desk.glob(".out*"))


def test_an_interruption_says_the_way_on(run, clip, monkeypatch):
    monkeypatch.setattr("adain_rt.jobs.video._PART", 2)
    monkeypatch.setattr("adain_rt.media.clips.ClipWriter.finish", _interrupt)
    said = "interrupted; 0 of 1 results are written, and the same command with --resume goes on where it stopped"
    assert said in run("video", "clip.mp4", *STYLE, "-o", "out.mp4").err
    said = said.replace("--resume", "--resume in place of --overwrite")
    assert said in run("video", "clip.mp4", *STYLE, "-o", "out.mp4", "--overwrite").err


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
