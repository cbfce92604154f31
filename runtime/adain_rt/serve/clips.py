"""Clips whose frames come one by one, each in a request of its own, and what is carried from frame to frame."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from adain_rt.contract import Pixels
from adain_rt.media.pictures import Picture
from adain_rt.serve.forms import Order
from adain_rt.serve.refusals import Refusal
from adain_rt.stream import Stream
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer

__all__ = ["Clips"]

_MOST_PIXELS = 1 << 23
"""Of the frames of all clips. What is carried takes some 20 bytes a pixel."""

_LEAST_PIXELS = 1 << 16
"""What a clip counts as at least: small frames have a state too."""


@dataclass(eq=False)
class _Clip:
    """A clip: what all of its frames have in common, what paints them, and when the last of them was."""

    common: tuple[object, ...]
    stream: Stream
    pixels: int
    last: float | None = None
    lock: Lock = field(default_factory=Lock)


class Clips:
    """Paints frames, each as the next of its clip, as ``Stream`` does. It may be used from several threads.

    The clips whose last frame is longest ago are forgotten when the frames of all have more than 8 megapixels. A clip
    that was forgotten begins anew, and so does one whose frames change their size, or whose order changes anything but
    the styles, their weights and the strength.
    """

    def __init__(self, stylizer: Stylizer) -> None:
        self._stylizer = stylizer
        self._clips: OrderedDict[str, _Clip] = OrderedDict()
        self._lock = Lock()

    def paint(self, order: Order, frame: Picture, styles: list[Style], masks: Pixels | None) -> Picture:
        """Return the picture of the next frame of the clip that an order names.

        Args:
            order: what is asked for.
            frame: the frame.
            styles: one, or one for each mask.
            masks: uint8 (R, H, W), as for ``Stream.paint``.

        Raises:
            Refusal: the frame has more pixels than all clips may have.
            AdainError: it cannot be painted; see ``Stream``.

        """
        clip = self._find(order, frame, styles)
        with clip.lock:
            now = time.monotonic()
            seconds = 0.0 if clip.last is None else now - clip.last
            clip.last, clip.stream.style, clip.stream.strength = now, styles, order.alpha
            return frame.with_pixels(clip.stream.paint(frame.pixels, seconds, masks, frame.alpha))

    def _find(self, order: Order, frame: Picture, styles: list[Style]) -> _Clip:
        """Return the clip that an order names; it counts as the last that was painted."""
        pixels = max(frame.width * frame.height, _LEAST_PIXELS)
        if pixels > _MOST_PIXELS:
            raise Refusal(
                422,
                f"{order.content.name}: a frame of a clip has at most {_MOST_PIXELS:,} pixels, not {pixels:,}",
                hint="use a smaller `size`, or leave out `clip`",
            )
        options: dict[str, Any] = {
            "strokes": order.strokes,
            "fit": order.fit,
            "underpainting": order.underpainting,
            "keep_chroma": order.color == "luma",
        }
        common = (frame.pixels.shape, len(styles), options)
        with self._lock:
            clip = self._clips.pop(order.clip, None)
            if clip is None or clip.common != common:
                clip = _Clip(common, Stream(self._stylizer, styles, **options), pixels)
            self._clips[order.clip] = clip
            while sum(each.pixels for each in self._clips.values()) > _MOST_PIXELS:
                self._clips.popitem(last=False)
            return clip
