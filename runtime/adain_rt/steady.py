"""What holds the frames of a clip steady over time: statistics, what fitting adds to styles, and one precision.

Every state here is of one shot: a cut begins anew, so that nothing of one shot shows in the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer

__all__ = ["STEADY", "CutFinder", "OnePrecision", "SmoothCode", "SmoothFit", "State", "check_steady"]

State = dict[str, NDArray[Any]]
"""What is carried from frame to frame, as arrays that a file can hold. Each class below has names of its own."""

STEADY = ("off", "statistics", "flow")

_THUMBNAIL = (64, 36)
_CUT = 25.0
"""Levels of grey by which the thumbnails on both sides of a cut differ, as their mean."""

_CODE_SECONDS = 0.4
"""The time constant of the content's statistics."""

_FIT_SECONDS = 0.4
"""How often styles are fitted anew, and the time constant with which they pass over to what was found."""

_FINE_SECONDS = 1.0
"""How long the finer precision is kept after the last frame that needs it."""


def check_steady(mode: str) -> None:
    """Refuse a mode that there is not, or whose package is missing.

    Raises:
        AdainError: the mode is unknown, or OpenCV is not installed.

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

    def save(self) -> State:
        """Return the state."""
        return {} if self._before is None else {"thumbnail": self._before}

    def load(self, state: State) -> None:
        """Go on from a state."""
        self._before = state.get("thumbnail")


class OnePrecision:
    """Keeps frames from changing between precisions, where ``auto`` looks at each picture by itself.

    A smooth frame is painted in fp32, and so is what follows within a second. A shot may begin in either.

    Args:
        stylizer: what paints the frames.

    """

    def __init__(self, stylizer: Stylizer) -> None:
        self._stylizer = stylizer
        self._fine: Stylizer | None = None
        self._left = 0.0

    def choose(self, frame: Pixels, seconds: float, cut: bool) -> Stylizer:
        """Return the Stylizer for a frame.

        Args:
            frame: uint8 (H, W, 3).
            seconds: since the frame before.
            cut: whether a shot begins.

        """
        precision = self._stylizer.precision_for(frame)
        if precision != self._stylizer.precision:
            self._left = _FINE_SECONDS
            self._fine = self._stylizer.in_precision(precision)
        else:
            self._left = 0.0 if cut else self._left - seconds
        return self._fine if self._fine is not None and self._left > 0 else self._stylizer

    def save(self) -> State:
        """Return the state."""
        if self._fine is None or self._left <= 0:
            return {}
        return {"fine_precision": np.array(self._fine.precision), "fine_seconds": np.array(self._left)}

    def load(self, state: State) -> None:
        """Go on from a state."""
        if "fine_precision" in state:
            self._fine = self._stylizer.in_precision(str(state["fine_precision"]))
            self._left = float(state["fine_seconds"])


class SmoothCode:
    """The content's statistics as an exponential mean over time, whose weights depend on seconds alone."""

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

    def save(self) -> State:
        """Return the state."""
        return {} if self._code is None else {"content_code": np.frombuffer(self._code.to_bytes(), np.uint8)}

    def load(self, state: State) -> None:
        """Go on from a state."""
        if "content_code" in state:
            self._code = Style.from_bytes(state["content_code"].tobytes())


class SmoothFit:
    """What fitting adds to styles (``adain_rt.fitting``), found anew now and then, and passed over to over time.

    A shot's first frame may be black, and say nothing of what follows.
    """

    def __init__(self) -> None:
        self._goal: NDArray[np.float32] | None = None
        self._added: NDArray[np.float32] | None = None
        self._age = 0.0

    def update(
        self, styles: Sequence[Style], fit: Callable[[], Sequence[Style]], seconds: float, cut: bool
    ) -> list[Style]:
        """Return styles with what fitting adds to them.

        Args:
            styles: those that were asked for; as many in each frame of a shot.
            fit: returns them fitted to this frame.
            seconds: since the frame before.
            cut: whether a shot begins.

        """
        self._age += seconds
        if self._goal is None or cut or self._age >= _FIT_SECONDS:
            self._goal, self._age = _find_added(styles, fit()), 0.0
        if self._added is None or cut:
            self._added = self._goal
        kept = math.exp(-seconds / _FIT_SECONDS)
        self._added = kept * self._added + (1 - kept) * self._goal
        return [
            replace(style, mean=style.mean + mean, std=style.std * std)
            for style, (mean, std) in zip(styles, self._added, strict=True)
        ]

    def save(self) -> State:
        """Return the state."""
        if self._goal is None or self._added is None:
            return {}
        return {"fit_goal": self._goal, "fit_added": self._added, "fit_age": np.array(self._age)}

    def load(self, state: State) -> None:
        """Go on from a state."""
        if "fit_goal" in state:
            self._goal, self._added, self._age = state["fit_goal"], state["fit_added"], float(state["fit_age"])


def _find_added(styles: Sequence[Style], fitted: Sequence[Style]) -> NDArray[np.float32]:
    """Return what fitting did to each of R styles: by how much the means, and the deviations as a ratio, (R, 2, C)."""
    pairs = zip(styles, fitted, strict=True)
    return np.array([(after.mean - before.mean, after.std / before.std) for before, after in pairs], np.float32)
