"""What holds frames steady."""

from __future__ import annotations

import numpy as np
import pytest

from adain_models.errors import AdainError
from adain_rt.steady import CutFinder, OnePrecision, SmoothCode, SmoothFit, check_steady
from adain_rt.style import Style


def pan(photo, count: int, step: int = 4):
    """Frames of a camera that moves over a photograph."""
    return [np.ascontiguousarray(photo[40:200, step * index : step * index + 240]) for index in range(count)]


def test_a_cut_is_found_and_motion_is_none(china, flower):
    finder = CutFinder()
    frames = [*pan(china, 4), *pan(flower, 4)]
    assert [finder.look(frame) for frame in frames] == [True, False, False, False, True, False, False, False]


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


def code_of(value: float) -> Style:
    return Style(np.full(4, value, np.float32), np.full(4, 2.0, np.float32), "m", "0" * 64)


def test_what_fitting_adds_is_smoothed_by_time_alone():
    asked, found = code_of(0), [code_of(1)]

    def smooth(steps: int) -> float:
        smoother = SmoothFit()
        smoother.update([asked], lambda: [asked], 0.04, cut=True)
        smoother.update([asked], lambda: found, 0.4, cut=False)
        for _ in range(steps):
            (last,) = smoother.update([asked], lambda: found, 0.4 / steps, cut=False)
        return float(last.mean[0])

    assert smooth(1) == pytest.approx(smooth(10)) == pytest.approx(1 - np.exp(-2), abs=1e-6)


def test_styles_are_fitted_at_a_cut_and_then_now_and_then():
    smoother, asked, times = SmoothFit(), [code_of(0), code_of(3)], []
    for frame in range(25):

        def fit(frame: int = frame) -> list[Style]:
            times.append(frame)
            return [code_of(1), code_of(5)]

        first, second = smoother.update(asked, fit, 0.1, cut=frame in {0, 11})
        np.testing.assert_allclose([*first.mean, *second.mean], [*[1] * 4, *[5] * 4], rtol=1e-6)
    assert times == [0, 4, 8, 11, 15, 19, 23]


def test_what_fitting_adds_is_added_to_the_style_of_the_moment():
    smoother = SmoothFit()
    fitted = Style(np.full(4, 1.0, np.float32), np.full(4, 3.0, np.float32), "m", "0" * 64)
    smoother.update([code_of(0)], lambda: [fitted], 0.04, cut=True)
    (other,) = smoother.update([code_of(10)], lambda: pytest.fail("it is too early"), 0.04, cut=False)
    np.testing.assert_allclose([other.mean, other.std], [[11.0] * 4, [3.0] * 4])


class Choosy:
    """A Stylizer that paints grey frames in fp32."""

    precision = "int8"

    def precision_for(self, frame) -> str:
        return "fp32" if frame.std() == 0 else "int8"

    def in_precision(self, precision: str) -> str:
        return precision


def test_frames_do_not_change_between_precisions(china):
    grey, choosy = np.full_like(china, 90), Choosy()
    one = OnePrecision(choosy)
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
