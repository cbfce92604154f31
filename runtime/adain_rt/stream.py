"""Frames in, pictures out: a clip painted frame by frame, with the state that keeps it steady."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from adain_rt import color
from adain_rt.contract import Pixels
from adain_rt.motion import FlowBlend, MotionFinder, MovingTones
from adain_rt.pixels import as_pictures, mask_visible
from adain_rt.steady import CutFinder, OnePrecision, SmoothCode, SmoothFit, State, check_steady
from adain_rt.strokes import STROKES, check_strokes, find_sizes, keep_bare, paint_sizes
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import Transfer
from adain_rt.underpainting import UNDERPAINTING, check_underpainting

__all__ = ["Stream"]

Styles = Style | Sequence[Style]
_RATE = 25.0


class Stream:
    """Paints the frames of one clip, in their order, so that they do not flicker.

    ::

        stream = Stream(stylizer, style)
        for picture in stream.run(frames, rate=30):
            ...

    It carries a state from frame to frame, which begins anew at each cut: the last picture, small copies of the last
    frame to find motion and cuts, the underpainting, what fitting added to the styles, and for each size at which
    frames are painted the statistics of the content over time and the precision. So a Stream is for one clip, and for
    one thread at a time. Make another for another clip; they can share a Stylizer.

    Args:
        stylizer: runs the network.
        style: a style; several, one for each mask; or a function that returns them for the first frame of each shot.
        strength: the paper's α, from 0 to 1.
        strokes: how large they are, as for ``paint``.
        fit: whether styles are fitted to the frames (``adain_rt.fit``): to the first of a shot, and to another every
            0.4 seconds, smoothly.
        underpainting: the deviation of the tones under frames, as for ``paint``. With ``flow`` they move with the
            scene; without, they stand still.
        steady: ``off`` paints each frame by itself. ``statistics`` smooths the content's statistics over time, which
            masks do not go with. ``flow`` blends each picture with the one before along the motion; it needs OpenCV.
        keep_chroma: whether the frames keep their colours, and only their brightness is painted.

    Attributes:
        style: may be changed between frames.
        strength: may be changed between frames.

    Raises:
        AdainError: there are no such strokes, or no such underpainting, or the mode is unknown or needs a package that
            is missing.

    """

    def __init__(
        self,
        stylizer: Stylizer,
        style: Styles | Callable[[Pixels], Styles],
        *,
        strength: float = 1.0,
        strokes: int = STROKES,
        fit: bool = True,
        underpainting: float = UNDERPAINTING,
        steady: str = "flow",
        keep_chroma: bool = False,
    ) -> None:
        check_strokes(strokes)
        check_underpainting(underpainting)
        check_steady(steady)
        self.style, self.strength = style, strength
        self._stylizer, self._strokes, self._keep_chroma = stylizer, strokes, keep_chroma
        self._transfer = Transfer(stylizer, strokes=strokes, fit=fit, underpainting=underpainting)
        self._fit = SmoothFit()
        self._threads = stylizer.settings.own_threads
        self._cuts = CutFinder()
        self._smooth = steady == "statistics"
        self._sizes: list[_OneSize] = []
        self._finder = MotionFinder() if steady == "flow" else None
        self._tones, self._blend = MovingTones(), FlowBlend()
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
        motion = None if self._finder is None else self._finder.find(frame, cut)
        styles = self._now

        def paint_once(place: int, own: Pixels, strength: float, covers: Pixels | None) -> Pixels:
            nonlocal styles
            if place == 0:
                styles = self._fit_styles(own, covers, seconds, cut)
                own = self._tones.lay(own, self._transfer.underpainting * strength, covers, motion, seconds)
            style = styles[0] if covers is None and len(styles) == 1 else styles
            return self._at(place).paint(own, style, strength, covers, seconds, cut)

        sizes = find_sizes(frame.shape[0], frame.shape[1], self._strokes)
        painted = paint_sizes(frame, masks, sizes, self.strength, paint_once, self._threads)
        painted = self._blend.blend(painted, motion, seconds)
        if masks is not None and motion is not None:
            painted = keep_bare(painted, frame, masks)
        return color.keep_chroma(frame, painted) if self._keep_chroma else painted

    def _fit_styles(self, frame: Pixels, masks: Pixels | None, seconds: float, cut: bool) -> list[Style]:
        """Return the styles of the moment, fitted if that is asked for."""
        if not self._transfer.fit or not self.strength:
            return self._now
        covers = () if masks is None else list(masks)
        return self._fit.update(self._now, lambda: self._transfer.fit_styles(frame, self._now, covers), seconds, cut)

    def save(self) -> State:
        """Return what is carried to the next frame, as arrays by name; ``numpy.savez`` writes them to a file."""
        state = {f"style{place:04}": np.frombuffer(each.to_bytes(), np.uint8) for place, each in enumerate(self._now)}
        for each in self._states():
            state |= each.save()
        for place, size in enumerate(self._sizes):
            state |= {f"{place}.{name}": value for name, value in size.save().items()}
        return state

    def load(self, state: State) -> None:
        """Go on where another Stream, made alike, was when it was saved: with the frame after its last one.

        Raises:
            AdainError: the state is damaged.

        """
        styles = [state[name] for name in sorted(state) if name.startswith("style")]
        self._now = [Style.from_bytes(style.tobytes()) for style in styles]
        for each in self._states():
            each.load(state)
        for place in {name.partition(".")[0] for name in state if "." in name}:
            own = {name.partition(".")[2]: value for name, value in state.items() if name.startswith(f"{place}.")}
            self._at(int(place)).load(own)

    def _states(self) -> Iterator[CutFinder | SmoothFit | MotionFinder | MovingTones | FlowBlend]:
        """Yield what carries a state of its own, whatever the sizes."""
        yield from (self._cuts, self._fit)
        if self._finder is not None:
            yield from (self._finder, self._tones, self._blend)

    def _at(self, place: int) -> _OneSize:
        """Return what holds one of the sizes steady, counted from the smallest."""
        while len(self._sizes) <= place:
            self._sizes.append(_OneSize(OnePrecision(self._stylizer), SmoothCode() if self._smooth else None))
        return self._sizes[place]


class _OneSize:
    """Holds the frames of a clip steady at one of the sizes at which they are painted."""

    def __init__(self, precision: OnePrecision, code: SmoothCode | None) -> None:
        self._precision, self._code = precision, code

    def paint(
        self, frame: Pixels, style: Styles, strength: float, masks: Pixels | None, seconds: float, cut: bool
    ) -> Pixels:
        """Return the picture of the next frame, so many seconds after the one before."""
        stylizer = self._precision.choose(frame, seconds, cut)
        code = None
        if self._code is not None and masks is None:
            code = self._code.update(stylizer.encode(frame), seconds, cut)
        return stylizer.stylize(frame, style, strength=strength, masks=masks, content_code=code)

    def save(self) -> State:
        """Return the state."""
        return self._precision.save() | ({} if self._code is None else self._code.save())

    def load(self, state: State) -> None:
        """Go on from a state."""
        self._precision.load(state)
        if self._code is not None:
            self._code.load(state)
