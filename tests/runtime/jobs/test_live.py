"""Frames that are painted while they are new, from a file that plays at its own speed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from PIL import Image
from tests.runtime.media.clips.made import look_into, make_clip, moving

from adain_models.errors import AdainError
from adain_rt.jobs.live import Live


class Wall:
    """A screen that keeps what it showed, and takes a while for it."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.shown, self.is_open = seconds, [], None

    def open(self, facts) -> None:
        self.is_open = True

    def show(self, pixels) -> None:
        time.sleep(self.seconds)
        self.shown.append(pixels)

    def close(self) -> None:
        self.is_open = False


@pytest.fixture(scope="module")
def styles(stylizer, flower, china):
    return [stylizer.encode(flower[100:164, 200:264]), stylizer.encode(china[100:164, 200:264])]


@pytest.fixture
def clip(tmp_path):
    return make_clip(tmp_path / "clip.mp4", frames=moving(20), sound="mono")


def test_a_file_plays_at_its_own_speed(stylizer, styles, clip):
    wall = Wall()
    started = time.monotonic()
    shown = list(Live(str(clip), styles, screens=[wall]).run(stylizer))
    assert time.monotonic() - started > 19 / 25
    assert shown[-1].frames == len(wall.shown) == 20 - shown[-1].dropped
    assert wall.is_open is False
    assert all(each.latency > 0 for each in shown)


def test_old_frames_are_left_out_for_new_ones(stylizer, styles, clip):
    wall = Wall(seconds=0.2)
    shown = list(Live(str(clip), styles, screens=[wall], steady="off").run(stylizer))
    assert shown[-1].dropped > 8
    assert shown[-1].latency < 1.5  # one after the other the last would be 3 seconds late


def test_the_colours_can_be_kept(stylizer, styles, clip):
    def mean_chroma(pictures):
        return np.mean([np.asarray(Image.fromarray(each).convert("YCbCr"))[..., 1:] for each in pictures], (0, 1, 2))

    kept, painted = Wall(), Wall()
    list(Live(str(clip), styles, screens=[kept], keep_chroma=True).run(stylizer))
    list(Live(str(clip), styles, screens=[painted]).run(stylizer))
    own = mean_chroma(moving(20))
    assert np.abs(mean_chroma(kept.shown) - own).max() < 3 < np.abs(mean_chroma(painted.shown) - own).max()


def test_the_style_passes_over_into_another(stylizer, styles, clip, monkeypatch):
    now = [0.0]
    live = Live(str(clip), styles, screens=[Wall()])
    monkeypatch.setattr("adain_rt.jobs.live.time.monotonic", lambda: now[0])
    assert live._passing.now() == styles[0]
    live.turn(-1)  # the one before the first is the last
    now[0] = 0.5
    half = live._passing.now()
    assert half.mean == pytest.approx((styles[0].mean + styles[1].mean) / 2)
    now[0] = 1.0
    assert live._passing.now() == styles[1]
    live.choose(2)
    now[0] = 3.0
    assert live._passing.now() == styles[0]


def test_what_was_written_before_a_stop_plays(stylizer, styles, clip, tmp_path):
    live = Live(str(clip), styles, tmp_path / "live.mp4")
    for shown in live.run(stylizer):
        if shown.frames == 3:
            live.stop()
    after = look_into(tmp_path / "live.mp4")
    assert len(after.times) == 3
    assert np.diff(np.array(after.times, float)).min() > 0.03


def test_a_live_file_has_the_sound_of_its_source(stylizer, styles, clip, tmp_path):
    list(Live(str(clip), styles, tmp_path / "live.mp4").run(stylizer))
    assert look_into(tmp_path / "live.mp4").packets == look_into(clip).packets


def test_refusals_come_first(styles, clip, tmp_path):
    with pytest.raises(AdainError, match="nothing to show the pictures on"):
        Live(str(clip), styles)
    with pytest.raises(AdainError, match="is an input"):
        Live(str(clip), styles, clip, overwrite=True)
    with pytest.raises(AdainError, match="names no format"):
        Live(str(clip), styles, tmp_path / "x.txt")
