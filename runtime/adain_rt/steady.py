"""What holds the frames of a clip steady: statistics over time, optical flow, and one precision.

Every state here is of one shot: a cut begins anew, so that nothing of one shot shows in the next.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer

__all__ = ["STEADY", "CutFinder", "FlowBlend", "OnePrecision", "SmoothCode", "State", "check_steady"]

State = dict[str, NDArray[Any]]
"""What is carried from frame to frame, as arrays that a file can hold. Each class below has names of its own."""

STEADY = ("off", "statistics", "flow")

_THUMBNAIL = (64, 36)
_CUT = 25.0
"""Levels of grey by which the thumbnails on both sides of a cut differ, as their mean."""

_CODE_SECONDS = 0.4
"""The time constant of the content's statistics."""

_BLEND_SECONDS = 0.078
"""The time constant of the blend: at 25 frames a second the picture before has a share of 0.6."""

_FLOW_SIDE = 480
"""Pixels of the longer side at which motion is looked for."""

_CLOSE = 12.0
"""Levels of grey by which a pixel differs from what the flow says it was, before it counts as another thing's."""

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
        in_precision: gives one that paints in a precision.

    """

    def __init__(self, stylizer: Stylizer, in_precision: Callable[[str], Stylizer]) -> None:
        self._stylizer, self._in_precision = stylizer, in_precision
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
            self._fine = self._in_precision(precision)
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
            self._fine = self._in_precision(str(state["fine_precision"]))
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


class FlowBlend:
    """Blends each picture with the one before, moved along the optical flow of the frames, where the flow holds.

    Ruder, Dosovitskiy and Brox 2016 ("Artistic Style Transfer for Videos") ask of an optimisation that a picture equals
    the one before along the flow, except where something was hidden. Here pictures are blended, and the flow holds
    where it leads to the same grey. It is DIS (Kroeger et al. 2016), of small grey frames.
    """

    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2
        self._finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: tuple[Any, Pixels] | None = None

    def blend(self, frame: Pixels, painted: Pixels, seconds: float, cut: bool) -> Pixels:
        """Return a picture, uint8 (H, W, 3), held steady.

        Args:
            frame: the frame.
            painted: the picture that was painted of it.
            seconds: since the frame before.
            cut: whether a shot begins.

        """
        grey = self._shrink(frame)
        if self._before is not None and not cut and self._before[1].shape == painted.shape:
            painted = self._blend(grey, painted, *self._before, math.exp(-seconds / _BLEND_SECONDS))
        self._before = grey, painted
        return painted

    def save(self) -> State:
        """Return the state."""
        return {} if self._before is None else dict(zip(("grey", "painted"), self._before, strict=True))

    def load(self, state: State) -> None:
        """Go on from a state."""
        if "grey" in state:
            self._before = state["grey"], state["painted"]

    def _shrink(self, frame: Pixels) -> Any:
        """Return a frame small and grey, with sides that DIS takes."""
        height, width = frame.shape[:2]
        scale = min(1.0, _FLOW_SIDE / max(height, width))
        size = max(16, round(width * scale)), max(16, round(height * scale))
        return self._cv2.cvtColor(
            self._cv2.resize(frame, size, interpolation=self._cv2.INTER_AREA), self._cv2.COLOR_RGB2GRAY
        )

    def _blend(self, grey: Any, painted: Pixels, grey_before: Any, painted_before: Pixels, most: float) -> Pixels:
        """Return a picture with the share of the one before that the flow allows, ``most`` where it holds."""
        cv2 = self._cv2
        height, width = painted.shape[:2]
        flow = self._finder.calc(grey, grey_before, None)  # from here to where each pixel was
        difference = cv2.absdiff(grey, self._move(grey_before, flow, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT))
        difference = cv2.blur(difference.astype(np.float32), (3, 3)) / _CLOSE
        share = cv2.resize(np.exp(-(difference**2)) * most, (width, height))
        flow = cv2.resize(flow, (width, height)) * np.array([width / grey.shape[1], height / grey.shape[0]], np.float32)
        # Cubic: what is moved again from frame to frame would blur.
        moved = self._move(painted_before, flow, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        blended: Pixels = cv2.blendLinear(painted, moved, 1 - share, share)
        return blended

    def _move(self, picture: Any, flow: Any, interpolation: int, border: int) -> Any:
        """Return a picture taken from where the flow leads."""
        height, width = flow.shape[:2]
        x = flow[..., 0] + np.arange(width, dtype=np.float32)
        y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
        return self._cv2.remap(picture, x, y, interpolation, borderMode=border)
