"""Frames in, pictures out: a clip painted frame by frame, with the state that keeps it steady."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from adain_rt import color
from adain_rt.contract import Pixels
from adain_rt.pixels import as_pictures, mask_visible
from adain_rt.steady import CutFinder, FlowBlend, OnePrecision, SmoothCode, State, check_steady
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer

__all__ = ["Stream"]

Styles = Style | Sequence[Style]
_RATE = 25.0


class Stream:
    """Paints the frames of one clip, in their order, so that they do not flicker.

    ::

        stream = Stream(stylizer, style)
        for picture in stream.run(frames, rate=30):
            ...

    It carries a state from frame to frame, which begins anew at each cut: the last frame and the last picture, small
    copies of them to find motion and cuts, the statistics of the content over time, and the precision. So a Stream is
    for one clip, and for one thread at a time. Make another for another clip; they can share a Stylizer.

    Args:
        stylizer: runs the network.
        style: a style; several, one for each mask; or a function that returns them for the first frame of each shot.
        strength: the paper's α, from 0 to 1.
        steady: ``off`` paints each frame by itself. ``statistics`` smooths the content's statistics over time, which
            masks do not go with. ``flow`` blends each picture with the one before along the motion; it needs OpenCV.
        keep_chroma: whether the frames keep their colours, and only their brightness is painted.

    Attributes:
        style: may be changed between frames.

    Raises:
        AdainError: the mode is unknown, or needs a package that is missing.

    """

    def __init__(
        self,
        stylizer: Stylizer,
        style: Styles | Callable[[Pixels], Styles],
        *,
        strength: float = 1.0,
        steady: str = "flow",
        keep_chroma: bool = False,
    ) -> None:
        check_steady(steady)
        self.style = style
        self._strength, self._keep_chroma = strength, keep_chroma
        self._cuts = CutFinder()
        self._precision = OnePrecision(stylizer)
        self._code = SmoothCode() if steady == "statistics" else None
        self._blend = FlowBlend() if steady == "flow" else None
        self._parts = [each for each in (self._cuts, self._precision, self._code, self._blend) if each is not None]
        self._now: list[Style] = []

    def run(self, frames: Iterable[Pixels], rate: float = _RATE) -> Iterator[Pixels]:
        """Yield the picture of each frame, at so many frames a second; see ``paint``."""
        for frame in frames:
            yield self.paint(frame, 1 / rate)

    def paint(
        self,
        frame: Pixels,
        seconds: float = 1 / _RATE,
        masks: Pixels | None = None,
        alpha: Pixels | None = None,
    ) -> Pixels:
        """Return the picture of the next frame.

        Args:
            frame: uint8 (H, W, 3), sRGB; as for ``Stylizer.encode``.
            seconds: since the frame before.
            masks: uint8 (R, H, W), one for each style, as for ``Stylizer.stylize``.
            alpha: uint8 (H, W), 255 where opaque. What is wholly transparent stays as it is.

        Raises:
            AdainError: any reason that ``Stylizer.stylize`` has.

        """
        frame = as_pictures(frame, (3,))
        cut = self._cuts.look(frame)
        if cut or not callable(self.style):
            given = self.style(frame) if callable(self.style) else self.style
            self._now = [given] if isinstance(given, Style) else list(given)
        masks = mask_visible(masks, alpha)
        stylizer = self._precision.choose(frame, seconds, cut)
        code = None
        if self._code is not None and masks is None:
            code = self._code.update(stylizer.encode(frame), seconds, cut)
        style = self._now[0] if masks is None and len(self._now) == 1 else self._now
        painted = stylizer.stylize(frame, style, strength=self._strength, masks=masks, content_code=code)
        if self._blend is not None:
            painted = self._blend.blend(frame, painted, seconds, cut)
            if masks is not None:
                painted = np.where(masks.max(axis=0)[..., None] > 0, painted, frame)
        return color.keep_chroma(frame, painted) if self._keep_chroma else painted

    def save(self) -> State:
        """Return what is carried to the next frame, as arrays by name; ``numpy.savez`` writes them to a file."""
        state = {f"style{place:04}": np.frombuffer(each.to_bytes(), np.uint8) for place, each in enumerate(self._now)}
        for part in self._parts:
            state |= part.save()
        return state

    def load(self, state: State) -> None:
        """Go on where another Stream, made alike, was when it was saved: with the frame after its last one.

        Raises:
            AdainError: the state is damaged.

        """
        styles = [state[name] for name in sorted(state) if name.startswith("style")]
        self._now = [Style.from_bytes(style.tobytes()) for style in styles]
        for part in self._parts:
            part.load(state)
