"""The job of ``adain-rt live``: frames as they come, painted while they are new."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Condition, Event, Thread
from typing import Protocol

from adain_models.errors import AdainError
from adain_models.files import replacing
from adain_rt.contract import Pixels
from adain_rt.jobs.outputs import check_free
from adain_rt.media.clips import ClipFacts, ClipReader, ClipWriter, Frame, Reading, choose_codec, find_container
from adain_rt.stream import Stream
from adain_rt.strokes import STROKES, check_strokes
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.underpainting import UNDERPAINTING, check_underpainting

__all__ = ["Live", "Screen", "Shown"]

_PASSING = 1.0
"""Seconds in which one style passes over into the next."""

_LOOK = 0.1
"""Seconds after which a wait looks whether it has been stopped."""


class Screen(Protocol):
    """What shows pictures: a window, or a virtual camera."""

    def open(self, facts: ClipFacts) -> None:
        """Get ready for pictures of a clip."""

    def show(self, pixels: Pixels) -> None:
        """Show a picture, uint8 (H, W, 3)."""

    def close(self) -> None:
        """Stop showing."""


@dataclass(frozen=True)
class Shown:
    """A picture that was shown.

    Attributes:
        frames: how many there were so far.
        dropped: how many frames were passed over so far, because newer ones had come.
        latency: seconds from when the frame came to when its picture was shown.

    """

    frames: int
    dropped: int
    latency: float


@dataclass
class Live:
    """Paints what a camera, a stream or a file shows, the newest frame first. A file plays at its own speed.

    Attributes:
        source: a file, a camera such as ``/dev/video0``, or the address of a stream.
        styles: at least one; the first is shown first.
        output: a file for the pictures, with the sound of the source, or ``None``.
        screens: what else shows them.
        strength: the paper's α, from 0 to 1.
        strokes: how large they are, as for ``paint``.
        fit: whether styles are fitted to the frames, as for ``Stream``.
        underpainting: the deviation of the tones under them, as for ``Stream``.
        steady: how frames are kept from flickering, as for ``Stream``.
        keep_chroma: whether they keep their colours, as for ``Stream``.
        size: pixels of the frames' shorter side; 0 keeps the size.
        overwrite: whether an existing file may be replaced.
        damage: what is wrong with the source, known at the end; ``None`` if nothing is.

    Raises:
        AdainError: there are no such strokes, or no such underpainting; the output's suffix names no format, or it
            exists; or there is nothing to show the pictures on.

    """

    source: str
    styles: Sequence[Style]
    output: Path | None = None
    screens: Sequence[Screen] = ()
    strength: float = 1.0
    strokes: int = STROKES
    fit: bool = True
    underpainting: float = UNDERPAINTING
    steady: str = "flow"
    keep_chroma: bool = False
    size: int = 0
    overwrite: bool = False
    damage: str | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        check_strokes(self.strokes)
        check_underpainting(self.underpainting)
        if self.output is None and not self.screens:
            raise AdainError(
                "there is nothing to show the pictures on", hint="use `window`, `virtual_camera` or an `output`"
            )
        if self.output is not None:
            find_container(self.output)
            check_free([self.output], [Path(self.source)], self.overwrite)
        self._passing = _Passing(self.styles)
        self._stopped = Event()

    def choose(self, number: int) -> None:
        """Pass over to another style, counted from 0 and round and round."""
        self._passing.choose(number)

    def turn(self, steps: int) -> None:
        """Pass over to the style so many further on."""
        self._passing.choose(self._passing.chosen + steps)

    def stop(self) -> None:
        """End after the picture that is being painted. What was written is finished."""
        self._stopped.set()

    def run(self, stylizer: Stylizer) -> Iterator[Shown]:
        """Do the job, and yield each picture that was shown.

        Raises:
            AdainError: the source cannot be read, a frame cannot be painted, or a picture cannot be written.

        """
        with ExitStack() as stack:
            reader = stack.enter_context(ClipReader(self.source, Reading(size=self.size)))
            for screen in self.screens:
                screen.open(reader.facts)
                stack.callback(screen.close)
            writer = None if self.output is None else self._open_writer(self.output, reader, stack)
            style = self._passing.now()
            stream = Stream(
                stylizer,
                style,
                strength=self.strength,
                strokes=self.strokes,
                fit=self.fit,
                underpainting=self.underpainting,
                steady=self.steady,
                keep_chroma=self.keep_chroma,
            )
            newest = stack.enter_context(_Newest(reader, self._stopped))
            before, frames = 0, 0
            while (taken := newest.take()) is not None:
                frame, came = taken
                stream.style = self._passing.now()
                seconds = float((frame.pts - before) * reader.facts.time_base)
                before = frame.pts
                pixels = stream.paint(frame.pixels, seconds)
                for screen in self.screens:
                    screen.show(pixels)
                if writer is not None:
                    writer.copy(reader.take_packets())
                    writer.write(replace(frame, pixels=pixels))
                frames += 1
                yield Shown(frames, newest.dropped, time.monotonic() - came)
            self.damage = reader.damage
            if writer is not None:
                writer.copy(reader.take_packets())
                writer.finish()

    def _open_writer(self, output: Path, reader: ClipReader, stack: ExitStack) -> ClipWriter:
        container = find_container(output)
        aside = stack.enter_context(replacing(output))
        writer = ClipWriter(aside, str(output), container, choose_codec(output, container, None), reader, None)
        stack.callback(writer.close)
        return writer


class _Passing:
    """The style of the moment: one of several, or a mixture of two on the way from one to the other."""

    def __init__(self, styles: Sequence[Style]) -> None:
        self._styles = styles
        self.chosen = 0
        self._from = styles[0]
        self._since = -_PASSING

    def choose(self, number: int) -> None:
        self._from = self.now()
        self._since = time.monotonic()
        self.chosen = number % len(self._styles)

    def now(self) -> Style:
        passed = (time.monotonic() - self._since) / _PASSING
        if passed >= 1:
            return self._styles[self.chosen]
        return Style.mix([self._from, self._styles[self.chosen]], [1 - passed, passed])


class _Newest:
    """Reads frames in a thread, each when it is due, and hands over the newest. It is a context manager."""

    def __init__(self, reader: ClipReader, stopped: Event) -> None:
        self.dropped = 0
        self._reader, self._stopped = reader, stopped
        self._ready = Condition()
        self._waiting: tuple[Frame, float] | None = None
        self._ended = False
        self._error: BaseException | None = None
        self._thread = Thread(target=self._read, name="adain-rt-live", daemon=True)

    def __enter__(self) -> _Newest:  # noqa: PYI034 - Self needs Python 3.11
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def take(self) -> tuple[Frame, float] | None:
        """Return the newest frame and when it came, once there is one; ``None`` after the last."""
        with self._ready:
            while self._waiting is None and not self._ended and not self._stopped.is_set():
                self._ready.wait(_LOOK)
            if self._error is not None:
                raise self._error
            taken, self._waiting = self._waiting, None
            return None if self._stopped.is_set() else taken

    def _read(self) -> None:
        began = time.monotonic()
        try:
            for frame in self._reader.frames():
                if self._stopped.wait(
                    max(0.0, began + float(frame.pts * self._reader.facts.time_base) - time.monotonic())
                ):
                    break
                self._put(frame)
        except BaseException as error:
            self._error = error
        with self._ready:
            self._ended = True
            self._ready.notify()

    def _put(self, frame: Frame) -> None:
        with self._ready:
            self.dropped += self._waiting is not None
            self._waiting = frame, time.monotonic()
            self._ready.notify()
