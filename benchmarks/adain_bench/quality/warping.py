"""How much a clip flickers: the warping error of Lai et al. 2018, "Learning Blind Video Temporal Consistency".

A frame and the next one, brought back along the optical flow of the photographed frames, are compared where both show
the same things. What is left is flicker, and the error of the flow. The photographed clip has that error alone, and so
it is the floor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_rt.contract import Pixels

__all__ = ["Motion", "find_motion", "measure_warping"]


@dataclass(frozen=True, eq=False)
class Motion:
    """How a frame becomes the next one.

    Attributes:
        flow: float32 (H, W, 2), where each pixel is in the next frame: pixels to the right, and down.
        seen: bool (H, W), whether the next frame shows it.

    """

    flow: NDArray[np.float32]
    seen: NDArray[np.bool_]


def find_motion(frame: Pixels, following: Pixels) -> Motion:
    """Return the motion between two frames, uint8 (H, W, 3), by DIS optical flow in both directions.

    Hidden is what the flow back does not lead back to, and what is at the edge of a motion (Ruder et al. 2016,
    equations 4 and 5).
    """
    import cv2

    finder = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    here, there = (cv2.cvtColor(each, cv2.COLOR_RGB2GRAY) for each in (frame, following))
    flow, back = finder.calc(here, there, None), finder.calc(there, here, None)
    back_here = warp(back, flow)
    returned = ((flow + back_here) ** 2).sum(-1) <= 0.01 * ((flow**2).sum(-1) + (back_here**2).sum(-1)) + 0.5
    slopes = np.stack(np.gradient(flow, axis=(0, 1)))
    smooth = (slopes**2).sum((0, -1)) <= 0.01 * (flow**2).sum(-1) + 0.002
    rows, columns = np.indices(flow.shape[:2], np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    inside = (x >= 0) & (x <= flow.shape[1] - 1) & (y >= 0) & (y <= flow.shape[0] - 1)
    return Motion(flow, returned & smooth & inside)


def measure_warping(picture: Pixels, following: Pixels, motion: Motion) -> float:
    """Return the mean squared difference, of values from 0 to 1, of a picture and the next one brought back to it.

    Args:
        picture: uint8 (H, W, 3).
        following: the next picture.
        motion: of the frames that they were painted of.

    """
    difference = (picture.astype(np.float32) - warp(following.astype(np.float32), motion.flow)) / 255
    return float((difference[motion.seen] ** 2).mean()) if motion.seen.any() else 0.0


def warp(values: Any, flow: NDArray[np.float32]) -> Any:
    """Return values (H, W, C) taken from where the flow leads."""
    import cv2

    rows, columns = np.indices(flow.shape[:2], np.float32)
    return cv2.remap(values, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, None, cv2.BORDER_REPLICATE)
