"""What moves with the scene of a clip: pictures that are blended with the one before, and tones under plain ground.

Every state here is of one shot: a cut begins anew, so that nothing of one shot shows in the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_models.underpainting import make_tones
from adain_rt.contract import Pixels
from adain_rt.pixels import compose
from adain_rt.steady import State
from adain_rt.underpainting import underpaint

__all__ = ["FlowBlend", "Motion", "MotionFinder", "MovingTones"]

_SIDE = 480
"""Pixels of the longer side at which motion is looked for."""

_CLOSE = 12.0
"""Levels of grey by which a pixel differs from what the flow says it was, before it counts as another thing's."""

_BLEND_SECONDS = 0.12
"""The time constant of the blend: at 25 frames a second the picture before has a share of 0.72."""

_TONES_SECONDS = 2.0
"""How long a layer of tones lasts: it fades in for half of it, and out."""

_SQUARE = 32, 32
"""Half as many pixels as in the frame: the squares in which tones are evened out."""

_LEAST = 1e-6
"""Of the energy of tones: what two layers that cancel each other out may have."""


@dataclass(frozen=True, eq=False)
class Motion:
    """How a frame came of the one before, at a small size.

    Attributes:
        flow: float32 (h, w, 2), from each pixel to where it was: pixels to the right, and down.
        held: float32 (h, w), 1 where the flow leads to the same grey, falling to 0 where it leads to something else.

    """

    flow: NDArray[np.float32]
    held: NDArray[np.float32]


class MotionFinder:
    """Finds the motion of each frame of a clip by DIS optical flow (Kroeger et al. 2016), of small grey frames."""

    def __init__(self) -> None:
        import cv2

        self._cv2 = cv2
        self._finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._before: Any = None

    def find(self, frame: Pixels, cut: bool) -> Motion | None:
        """Return the motion since the frame before; ``None`` at the beginning of a shot.

        Args:
            frame: uint8 (H, W, 3).
            cut: whether a shot begins.

        """
        cv2, here, before = self._cv2, self._shrink(frame), self._before
        self._before = here
        if cut or before is None or before.shape != here.shape:
            return None
        flow = self._finder.calc(here, before, None)
        difference = cv2.absdiff(here, _move(before, flow, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT))
        difference = cv2.blur(difference.astype(np.float32), (3, 3)) / _CLOSE
        return Motion(flow, np.exp(-(difference**2)))

    def save(self) -> State:
        """Return the state."""
        return {} if self._before is None else {"grey": self._before}

    def load(self, state: State) -> None:
        """Go on from a state."""
        self._before = state.get("grey")

    def _shrink(self, frame: Pixels) -> Any:
        """Return a frame small and grey, with sides that DIS takes."""
        height, width = frame.shape[:2]
        scale = min(1.0, _SIDE / max(height, width))
        size = max(16, round(width * scale)), max(16, round(height * scale))
        return self._cv2.cvtColor(
            self._cv2.resize(frame, size, interpolation=self._cv2.INTER_AREA), self._cv2.COLOR_RGB2GRAY
        )


class FlowBlend:
    """Blends each picture with the one before, moved along with the scene, where the flow holds.

    Ruder, Dosovitskiy and Brox 2016 ("Artistic Style Transfer for Videos") ask of an optimisation that a picture equals
    the one before along the flow, except where something was hidden. Here pictures are blended.
    """

    def __init__(self) -> None:
        self._before: Pixels | None = None

    def blend(self, painted: Pixels, motion: Motion | None, seconds: float) -> Pixels:
        """Return a picture, uint8 (H, W, 3), held steady.

        Args:
            painted: the picture that was painted of a frame.
            motion: of that frame.
            seconds: since the frame before.

        """
        before = self._before
        if motion is not None and before is not None and before.shape == painted.shape:
            painted = _blend(painted, before, motion, math.exp(-seconds / _BLEND_SECONDS))
        self._before = painted
        return painted

    def save(self) -> State:
        """Return the state."""
        return {} if self._before is None else {"painted": self._before}

    def load(self, state: State) -> None:
        """Go on from a state."""
        self._before = state.get("painted")


class MovingTones:
    """An underpainting (``adain_rt.underpainting``) that moves with the scene of a clip.

    Tones that stand still look like dirt on the lens where the scene moves. Tones that move for long are drawn out
    where the scene grows. So there are two layers, as Neyret 2003 ("Advected Textures") has them: each moves, fades in
    and out, and begins anew where it stood, while the other is strongest. Their sum is evened out to the strength of
    one: where nothing moves both are the same, and elsewhere they are not.
    """

    def __init__(self) -> None:
        self._moved: Any = None  # (h, w, 4), as for _draw, of both layers
        self._seconds = 0.0

    def lay(self, frame: Pixels, levels: float, masks: Pixels | None, motion: Motion | None, seconds: float) -> Pixels:
        """Return a frame with its underpainting; without a motion, as ``underpaint`` does it.

        Args:
            frame: uint8 (H, W, 3), of any size.
            levels: the deviation of the tones, in levels of 256.
            masks: uint8 (R, H, W): the tones lie where one is.
            motion: of the frame.
            seconds: since the frame before.

        """
        if motion is None or not levels:
            self._moved, self._seconds = None, 0.0
            return underpaint(frame, levels, masks)
        import cv2

        height, width = frame.shape[:2]
        tones = np.float32(levels) * self._mix(height, width, motion, seconds)
        laid: Pixels = cv2.add(frame, cv2.merge([tones] * 3), dtype=cv2.CV_8U)
        return laid if masks is None else compose(laid[None], frame[None], masks)[0]

    def save(self) -> State:
        """Return the state."""
        return {} if self._moved is None else {"tones_moved": self._moved, "tones_seconds": np.array(self._seconds)}

    def load(self, state: State) -> None:
        """Go on from a state."""
        if "tones_moved" in state:
            self._moved, self._seconds = state["tones_moved"], float(state["tones_seconds"])

    def _mix(self, height: int, width: int, motion: Motion, seconds: float) -> Any:
        """Return the tones of a frame, of deviation 1, float32 (height, width)."""
        import cv2

        self._move(motion, seconds)
        first, second = (_draw(height, width, self._moved[..., layer]) for layer in (slice(0, 2), slice(2, 4)))
        share = 1 - abs(2 * (self._seconds / _TONES_SECONDS % 1) - 1)  # of the first layer: it begins anew at 0
        mixed = share * first + (1 - share) * second
        wanted = cv2.blur(share * first**2 + (1 - share) * second**2, _SQUARE)
        mixed *= cv2.sqrt(wanted / np.maximum(cv2.blur(mixed**2, _SQUARE), _LEAST))
        return cv2.resize(mixed, (width, height), interpolation=cv2.INTER_CUBIC)

    def _move(self, motion: Motion, seconds: float) -> None:
        """Move both layers, and let each begin anew when it has faded out."""
        import cv2

        moved = np.zeros((*motion.held.shape, 4), np.float32) if self._moved is None else self._moved
        self._moved = _move(moved, motion.flow, cv2.INTER_LINEAR, cv2.BORDER_REPLICATE)
        self._moved += np.concatenate([motion.flow, motion.flow], -1)
        turns, self._seconds = self._seconds / _TONES_SECONDS, self._seconds + seconds
        for layer, phase in ((slice(0, 2), 0.0), (slice(2, 4), 0.5)):
            if int(turns + phase) != int(self._seconds / _TONES_SECONDS + phase):
                self._moved[..., layer] = 0


def _draw(height: int, width: int, moved: Any) -> Any:
    """Return tones that have moved, of half of a frame's pixels each way: their waves are long.

    Args:
        height: of the frame.
        width: of the frame.
        moved: float32 (h, w, 2), from each pixel to where its tone stood, in pixels of that size.

    """
    import cv2

    rows, columns = moved.shape[:2]
    flow = cv2.resize(moved, (-(-width // 2), -(-height // 2)))
    x = flow[..., 0] * (width / columns) + np.arange(0.5, width, 2, dtype=np.float32)
    y = flow[..., 1] * (height / rows) + np.arange(0.5, height, 2, dtype=np.float32)[:, None]
    return cv2.remap(make_tones(), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _blend(painted: Pixels, before: Pixels, motion: Motion, most: float) -> Pixels:
    """Return a picture with the share of the one before that the flow allows, ``most`` where it holds."""
    import cv2

    height, width = painted.shape[:2]
    rows, columns = motion.held.shape
    share = cv2.resize(most * motion.held, (width, height))
    flow = cv2.resize(motion.flow, (width, height)) * np.array([width / columns, height / rows], np.float32)
    # Cubic: what is moved again from frame to frame would blur.
    moved = _move(before, flow, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
    blended: Pixels = cv2.blendLinear(painted, moved, 1 - share, share)
    return blended


def _move(picture: Any, flow: Any, interpolation: int, border: int) -> Any:
    """Return a picture taken from where the flow leads."""
    import cv2

    height, width = flow.shape[:2]
    x = flow[..., 0] + np.arange(width, dtype=np.float32)
    y = flow[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    return cv2.remap(picture, x, y, interpolation, borderMode=border)
