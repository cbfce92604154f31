"""What holds frames steady."""

from __future__ import annotations

import numpy as np
import pytest

from adain_models.errors import AdainError
from adain_rt.steady import CutFinder, FlowBlend, OnePrecision, SmoothCode, check_steady
from adain_rt.style import Style


def pan(photo, count: int, step: int = 4):
    """Frames of a camera that moves over a photograph."""
    return [np.ascontiguousarray(photo[40:200, step * index : step * index + 240]) for index in range(count)]


def flicker(photo_like, seed: int):
    """A picture with another error at each pixel."""
    noise = np.random.default_rng(seed).normal(0, 20, photo_like.shape)
    return np.clip(photo_like + noise, 0, 255).astype(np.uint8)


def unsteadiness(pictures, frames) -> float:
    return float(
        np.mean([np.abs(each.astype(int) - frame).mean() for each, frame in zip(pictures, frames, strict=True)])
    )


def test_a_cut_is_found_and_motion_is_none(china, flower):
    finder = CutFinder()
    frames = [*pan(china, 4), *pan(flower, 4)]
    assert [finder.look(frame) for frame in frames] == [True, False, False, False, True, False, False, False]


def test_the_blend_follows_motion(china):
    frames = pan(china, 12)
    painted = [flicker(frame, seed) for seed, frame in enumerate(frames)]
    blend = FlowBlend()
    steady = [blend.blend(*each, 0.04, cut=False) for each in zip(frames, painted, strict=True)]
    assert unsteadiness(steady[4:], frames[4:]) < 0.65 * unsteadiness(painted[4:], frames[4:])


def test_a_cut_shows_nothing_of_the_shot_before(china, flower):
    blend = FlowBlend()
    blend.blend(china, china, 0.04, cut=True)
    assert (blend.blend(flower, flower, 0.04, cut=True) == flower).all()


def test_what_appears_is_not_blended_with_what_was_there(china):
    """A thing that moves leaves no trail: where it was, and where it is, the picture is of this frame."""
    blend = FlowBlend()
    before, after = china.copy(), china.copy()
    before[100:160, 100:160], after[100:160, 180:240] = 255, 255
    blend.blend(before, before, 0.04, cut=True)
    steady = blend.blend(after, after, 0.04, cut=False)
    assert np.abs(steady[104:156, 104:156].astype(int) - after[104:156, 104:156]).mean() < 6
    assert np.abs(steady[104:156, 184:236].astype(int) - after[104:156, 184:236]).mean() < 6


def test_the_share_of_the_picture_before_depends_on_time_alone(china):
    grey, white = np.full_like(china, 100), np.full_like(china, 200)

    def blend(seconds: float, steps: int) -> float:
        blender = FlowBlend()
        blender.blend(china, grey, 0.04, cut=True)
        for _ in range(steps):
            last = blender.blend(china, white, seconds / steps, cut=False)
        return float(last.mean())

    assert blend(0.08, 1) == pytest.approx(blend(0.08, 4), abs=2)


def test_pictures_of_any_size_are_blended():
    blend = FlowBlend()
    for size in [(1, 1), (5, 300), (300, 5), (700, 20)]:
        picture = np.full((*size, 3), 90, np.uint8)
        for _ in range(2):
            assert blend.blend(picture, picture, 0.04, cut=False).shape == picture.shape


def test_statistics_are_smoothed_by_time_alone():
    code = [Style(np.full(4, value, np.float32), np.ones(4, np.float32), "m", "0" * 64) for value in (0, 1)]

    def smooth(steps: int) -> float:
        smoother = SmoothCode()
        smoother.update(code[0], 0.04, cut=True)
        for _ in range(steps):
            last = smoother.update(code[1], 0.4 / steps, cut=False)
        return float(last.mean[0])

    assert smooth(1) == pytest.approx(smooth(10)) == pytest.approx(1 - np.exp(-1), abs=1e-6)
    smoother = SmoothCode()
    smoother.update(code[0], 0.04, cut=True)
    assert smoother.update(code[1], 0.04, cut=True) == code[1]


class Choosy:
    """A Stylizer that paints grey frames in fp32."""

    precision = "int8"

    def precision_for(self, frame) -> str:
        return "fp32" if frame.std() == 0 else "int8"


def test_frames_do_not_change_between_precisions(china):
    grey, choosy = np.full_like(china, 90), Choosy()
    one = OnePrecision(choosy, str)
    assert one.choose(china, 0.04, cut=True) is choosy
    assert one.choose(grey, 0.04, cut=False) == "fp32"
    assert [one.choose(china, 0.04, cut=False) for _ in range(20)] == ["fp32"] * 20
    assert one.choose(china, 1.0, cut=False) is choosy
    assert one.choose(grey, 0.04, cut=False) == "fp32"
    assert one.choose(china, 0.04, cut=True) is choosy


def test_an_unknown_mode_is_refused():
    with pytest.raises(AdainError, match="steady 'still' is unknown: there are off, statistics, flow"):
        check_steady("still")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(AdainError, match=r"steady flow needs OpenCV: pip install 'adain-rt\[video\]'"):
        check_steady("flow")
    check_steady("off")
