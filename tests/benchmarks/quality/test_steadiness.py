"""How flicker is measured. No time is asserted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from tests.runtime.media.clips.made import make_clip, moving

from adain_bench.cli import command
from adain_bench.quality.steadiness import measure_clip, read_moving
from adain_bench.quality.warping import Motion, find_motion, measure_warping
from adain_rt.jobs.styles import preset_path
from adain_rt.stream import Stream
from adain_rt.style import Style


def move(photo, columns: int):
    return np.ascontiguousarray(photo[40:200, 40 + columns : 280 + columns])


def test_the_motion_between_frames_is_found(china):
    motion = find_motion(move(china, 0), move(china, 5))
    assert np.median(motion.flow[motion.seen], axis=0) == pytest.approx([-5, 0], abs=0.1)
    assert motion.seen.mean() > 0.6
    assert not motion.seen[:, :3].any()  # what has left the picture


def test_what_moves_with_the_motion_has_no_error_and_what_flickers_has(china):
    flow = np.zeros((160, 240, 2), np.float32)
    flow[..., 0] = -5
    motion = Motion(flow, np.arange(240)[None].repeat(160, 0) >= 5)
    assert measure_warping(move(china, 0), move(china, 5), motion) == 0
    brighter = np.clip(move(china, 5).astype(int) + 10, 0, 255).astype(np.uint8)
    assert measure_warping(move(china, 0), brighter, motion) == pytest.approx((10 / 255) ** 2, rel=0.2)


def test_the_motion_over_a_picture_is_the_true_one(china, tmp_path):
    Image.fromarray(china).save(tmp_path / "photo.png")
    frames = list(read_moving(tmp_path / "photo.png", 4, 180))
    assert [motion is None for _, motion in frames] == [True, False, False, False]
    (before, _), (after, motion) = frames[1:3]
    found = find_motion(before, after)
    apart = np.linalg.norm(found.flow - motion.flow, axis=-1)[found.seen]
    assert np.median(apart) < 0.2
    noise = 2 * 2.0**2 / 255**2  # of two frames; the interpolation takes a part of it
    assert measure_warping(before, after, motion) < 3 * noise


def test_flow_takes_at_least_half_of_the_flicker(stylizer, china, tmp_path):
    Image.fromarray(china).save(tmp_path / "photo.png")
    style = Style.load(preset_path("starry-night", stylizer))
    frames = read_moving(tmp_path / "photo.png", 8, 180)
    steadiness = measure_clip(frames, lambda mode: Stream(stylizer, style, steady=mode))
    assert steadiness.pairs == 7
    assert 0 < steadiness.added("flow") < 0.5 * steadiness.added("off")


def test_the_command_tells_every_mode(tmp_path):
    clip = make_clip(tmp_path / "clip.mkv", frames=moving(4, 96, 64))
    arguments = ["video", str(clip), "--frames", "4", "--size", "0", "--no-speed"]
    said = CliRunner().invoke(command, arguments)
    assert said.exit_code == 0, said.output
    assert [line.split("|")[2].strip() for line in said.stdout.splitlines() if "clip.mkv" in line] == [
        "photo",
        "off",
        "statistics",
        "flow",
    ]
    found = json.loads(CliRunner().invoke(command, [*arguments, "--json"]).stdout)
    assert found["steadiness"][str(clip)]["pairs"] == 3


@pytest.mark.slow
def test_rates_are_of_every_step(stylizer, tmp_path):
    from adain_bench.measure.video import make_clip as make_panned
    from adain_bench.measure.video import measure_rates
    from adain_rt.jobs.styles import parse

    make_panned(tmp_path / "clip.mp4", 64, 48, 5)
    rates = measure_rates(tmp_path / "clip.mp4", stylizer, parse("@udnie"), "flow")
    assert min(rates.decode, rates.paint, rates.encode, rates.whole) > 0
