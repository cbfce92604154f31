"""What makes the frames of a clip flicker, and what holds them steady: shots, statistics over time, and optical flow.

Every state here is of one shot: a cut begins anew, so that nothing of one shot shows in the next.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.style import Style

__all__ = ["STEADY", "CutFinder", "FlowBlend", "SmoothCode", "check_steady"]

STEADY = ("off", "statistics", "flow")

_THUMBNAIL = (64, 36)
_CUT = 25.0
"""Levels of grey, as the mean over a thumbnail, by which frames on both sides of a cut differ at least."""

_CODE_SECONDS = 0.4
"""The time constant of the content's statistics."""

_BLEND_SECONDS = 0.058
"""The time constant of the blend with the frame before: at 25 frames a second it has a share of one half."""

_FLOW_SIDE = 320
"""Pixels of the longer side at which motion is looked for: far larger than what moves unseen, and fast."""

_CLOSE = 12.0
"""Levels by which a pixel may differ from the one that the flow says it was, before it counts as another thing's."""


def check_steady(mode: str) -> None:
    """Refuse a mode that there is not, or whose package is missing.

    Raises:
        AdainError: it is no mode, or OpenCV is not installed.

    """
    if mode not in STEADY:
        raise AdainError(f"steady {mode!r} is unknown: there are {', '.join(STEADY)}")
    if mode == "flow":
        try:
            import cv2  # noqa: F401
        except ModuleNotFoundError:
            raise AdainError(
                "steady flow needs OpenCV: pip install 'adain-rt[video]'", hint="or use another `steady`"
            ) from None


class CutFinder:
    """Says of each frame whether another shot begins with it."""

    def __init__(self) -> None:
        self._before: NDArray[np.int16] | None = None

    def look(self, frame: Pixels) -> bool:
        """Return whether a frame, uint8 (H, W, 3), begins a shot; the first does."""
        thumbnail = Image.fromarray(frame).resize(_THUMBNAIL, Image.Resampling.BOX, reducing_gap=2.0).convert("L")
        seen = np.asarray(thumbnail, np.int16)
        before, self._before = self._before, seen
        return before is None or float(np.abs(seen - before).mean()) > _CUT


class SmoothCode:
    """The content's statistics, smoothed over time: an exponential mean whose weight depends on seconds alone."""

    def __init__(self) -> None:
        self._code: Style | None = None

    def update(self, code: Style, seconds: float, cut: bool) -> Style:
        """Return the smoothed code.

        Args:
            code: of this frame.
            seconds: since the frame before.
            cut: whether a shot begins.

        """
        if self._code is None or cut:
            self._code = code
        else:
            kept = math.exp(-seconds / _CODE_SECONDS)
            self._code = Style.mix([self._code, code], [kept, 1 - kept])
        return self._code


class FlowBlend:
    """Blends each picture with the one before, moved along the optical flow of the frames, where the flow holds.

    After Ruder, Dosovitskiy and Brox 2016, "Artistic Style Transfer for Videos", who ask the same of an optimisation:
    that a picture equals the one before along the flow, except where something was hidden. The flow is DIS (Kroeger et
    al. 2016), of small grey frames.
    """

    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2
        self._flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: tuple[Any, Pixels] | None = None
        self._grid: NDArray[np.float32] | None = None

    def blend(self, frame: Pixels, painted: Pixels, seconds: float, cut: bool) -> Pixels:
        """Return a picture, uint8 (H, W, 3), held steady.

        Args:
            frame: the frame.
            painted: the picture that was painted of it.
            seconds: since the frame before.
            cut: whether a shot begins.

        """
        cv2 = self._cv2
        height, width = frame.shape[:2]
        scale = min(1.0, _FLOW_SIDE / max(height, width))
        small = (max(16, round(width * scale)), max(16, round(height * scale)))
        grey = cv2.cvtColor(cv2.resize(frame, small, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        if self._before is None or cut:
            self._before = grey, painted
            return painted
        grey_before, painted_before = self._before
        back = self._flow.calc(grey, grey_before, None)
        if self._grid is None or self._grid.shape[:2] != (height, width):
            self._grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(np.float32)
            self._small_grid = np.stack(np.meshgrid(np.arange(small[0]), np.arange(small[1])), axis=-1).astype(np.float32)
        moved_grey = cv2.remap(grey_before, self._small_grid + back, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
        difference = cv2.blur(cv2.absdiff(grey, moved_grey).astype(np.float32), (3, 3))
        share = np.exp(-((difference / _CLOSE) ** 2)) * math.exp(-seconds / _BLEND_SECONDS)
        share = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
        flow = cv2.resize(back, (width, height), interpolation=cv2.INTER_LINEAR) * np.float32(
            [width / small[0], height / small[1]]
        )
        moved = cv2.remap(painted_before, self._grid + flow, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        steady = cv2.blendLinear(painted, moved, 1 - share, share)
        self._before = grey, steady
        return steady
