"""Reading a clip: its frames as upright RGB, and the packets of its other streams untouched."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np
from av.stream import Disposition
from av.video.reformatter import Interpolation

from adain_models.errors import AdainError
from adain_rt.media.clips.animations import AnimationReader, is_webp
from adain_rt.media.clips.filters import Filters, deinterlace, is_hdr, map_tones
from adain_rt.media.clips.formats import is_sequence
from adain_rt.media.clips.frame import RATE, ClipFacts, Color, Frame, Reading
from adain_rt.media.clips.upright import Turn
from adain_rt.media.pictures.geometry import plan_frame

__all__ = ["ClipReader", "OpenClip", "open_clip"]

_UNSPECIFIED = 2
_BT709, _BT601 = 1, 6
_HD_ROWS = 720
"""From this height on, a clip that does not say so is taken to have the colours of HD, as players take it."""

_RGB = 3

_CAMERAS = "/dev/video"

_PATIENCE = 10.0
"""Seconds for which a stream may be silent."""

_LATE = 1
"""Seconds. A clip that begins later than this was cut from a broadcast, whose clock does not matter."""

_INTERLEAVED = 1
"""Seconds of sound that a file may hold before the frames of the same time."""

_SHORT = 1.0
"""Seconds that the packets of an intact file may end before the length that its header gives."""

_EXACT_HEADERS = {"matroska", "mov"}
"""The containers whose header gives the length; others' is an estimate."""


class ClipReader:
    """Reads one clip. It is a context manager, which closes the file.

    Args:
        path: a file, an image sequence such as ``frames/%05d.png``, a camera of Linux such as ``/dev/video0``, the
            address of a stream, or ``None`` for standard input.
        reading: what is read of it, and how.

    Attributes:
        facts: what the clip says of itself.
        metadata: the title and the like, which can be copied.
        video_metadata: the same of the stream that is decoded.
        others: the streams beside the one that is decoded, which can be copied.
        remarks: what a user should know of the clip, each as the end of a sentence that begins with its name.
        damage: what is wrong with the clip, known once its frames have been read; ``None`` if nothing is.

    Raises:
        AdainError: there is no such file, or it has no frame that can be decoded.

    """

    def __init__(self, path: Path | str | None, reading: Reading | None = None) -> None:
        reading = reading or Reading()
        self.name = "stdin" if path is None else str(path)
        self._container = _open(path, self.name, reading.rate)
        try:
            self._video = _find_video(self._container, self.name)
            self.others = [each for each in self._container.streams if each is not self._video]
            self.metadata: dict[str, str] = dict(self._container.metadata)
            self.video_metadata: dict[str, str] = dict(self._video.metadata)
            self.remarks: list[str] = []
            self.damage: str | None = None
            self._time_base = Fraction(self._video.time_base)
            self._packets: deque[Any] = deque()
            self._undecoded = 0
            self._reached = 0.0
            self._seek(reading.start, reading.duration)
            self._decoded = self._decode()
            self._first = self._decode_first(reading.start)
            self._turn = Turn.read(self._first)
            self.facts = self._measure(reading.size, reading.max_size)
        except BaseException:
            self._container.close()
            raise

    def frames(self) -> Iterator[Frame]:
        """Yield the frames, once, in the order in which they are shown."""
        try:
            yield from self._convert()
        except av.FFmpegError as error:  # such as frames that change their format where a filter does not expect it
            self.damage = f"is damaged, and was read up to {self._reached:.1f} s ({error.strerror})"
        if self.damage is None and self._undecoded:
            self.damage = f"is damaged; packets that cannot be decoded: {self._undecoded}"

    def _convert(self) -> Iterator[Frame]:
        """Yield the frames in RGB, at increasing times."""
        tick = round(1 / (self.facts.rate * self._time_base)) or 1
        tones: Filters | None = None
        last: int | None = None
        for raw in self._progressive():
            if raw.pts is None:
                pts = 0 if last is None else last + tick
            else:
                pts = round((raw.pts * Fraction(raw.time_base) - self._begin) / self._time_base)
            # Encoders take no two frames of one time, which only damaged files have.
            last = pts = pts if last is None else max(pts, last + 1)
            length = round(raw.duration * Fraction(raw.time_base) / self._time_base)
            if is_hdr(raw):
                tones = tones or map_tones(raw, self._time_base, *self._stored)
            pixels = self._to_rgb(next(tones.run(raw)) if tones else raw)
            alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] > _RGB else None
            yield Frame(np.ascontiguousarray(pixels[..., :_RGB]), pts, length, alpha)

    def take_packets(self) -> list[Any]:
        """Return the packets of the other streams that were read since the last call, in their order."""
        return [self._packets.popleft() for _ in range(len(self._packets))]

    def chapters(self) -> list[Any]:
        """Return the chapters as PyAV has them, with their times counted from the beginning."""
        found = []
        for chapter in self._container.chapters():
            base = Fraction(chapter["time_base"])
            start, end = (each * base - self._begin for each in (chapter["start"], chapter["end"]))
            if end > 0 and (self._end is None or start < self._end):
                start, end = max(start, Fraction(0)), end if self._end is None else min(end, self._end)
                found.append({**chapter, "start": round(start / base), "end": round(end / base)})
        return found

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def __enter__(self) -> ClipReader:  # noqa: PYI034 - Self needs Python 3.11
        """Return the reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def _seek(self, start: float, duration: float | None) -> None:
        """Settle which second is the beginning and which the end, and go to the beginning."""
        first = Fraction(self._container.start_time or 0, av.time_base)
        self._begin = (first if start or first > _LATE else 0) + Fraction(start).limit_denominator(av.time_base)
        self._end = None if duration is None else Fraction(duration)
        self._cut = start > 0
        if start:
            with suppress(av.FFmpegError):  # what cannot be sought is read from its beginning
                self._container.seek(int(self._begin * av.time_base))

    def _decode_first(self, start: float) -> Any:
        """Return the first frame."""
        first = next(self._decoded, None)
        if first is None:
            where = f" at {start:g} s" if start else ""
            raise AdainError(f"{self.name}: has no frame that can be decoded{where}")
        return first

    def _decode(self) -> Iterator[Any]:
        """Yield the frames as PyAV decodes them; keep the packets of other streams."""
        try:
            for packet in self._container.demux(self._video, *self.others):
                seconds = self._locate(packet)
                if self._end is not None and seconds is not None and seconds > self._end + _INTERLEAVED:
                    return
                if packet.stream.index == self._video.index:
                    yield from self._decode_packet(packet)
                else:
                    self._keep(packet, seconds)
        except av.FFmpegError as error:
            self.damage = f"is damaged, and was read up to {self._reached:.1f} s ({error.strerror})"
        else:
            self._check_length()

    def _decode_packet(self, packet: Any) -> Iterator[Any]:
        """Yield the frames of a packet that are asked for."""
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            self._undecoded += 1
            return
        for frame in frames:
            if frame.pts is None or self._is_asked_for(frame.pts * self._time_base - self._begin):
                yield frame

    def _is_asked_for(self, seconds: Fraction) -> bool:
        """Whether something of this time is read. Sound may begin before 0, with what its decoder needs first."""
        return (seconds >= 0 or not self._cut) and (self._end is None or seconds < self._end)

    def _locate(self, packet: Any) -> Fraction | None:
        """Return the second at which a packet begins, and note how far the file was read."""
        at = packet.pts if packet.pts is not None else packet.dts
        if at is None:
            return None
        base = Fraction(packet.time_base)
        self._reached = max(self._reached, float((at + (packet.duration or 0)) * base))
        return Fraction(at * base - self._begin)

    def _keep(self, packet: Any, seconds: Fraction | None) -> None:
        """Keep a packet of another stream, with its time counted from the beginning."""
        if not packet.size or (seconds is not None and not self._is_asked_for(seconds)):
            return
        if self._begin:
            shift = round(self._begin / Fraction(packet.time_base))
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
        self._packets.append(packet)

    def _check_length(self) -> None:
        """Note whether the file ended before the length that its header gives."""
        exact = not _EXACT_HEADERS.isdisjoint(self._container.format.name.split(","))
        length = (self._container.duration or 0) / av.time_base
        if exact and self._reached + _SHORT < length:
            self.damage = f"is cut off; it ends at {self._reached:.1f} s of {length:.1f} s"

    def _progressive(self) -> Iterator[Any]:
        """Yield PyAV's frames, interlaced ones made progressive."""
        filters: Filters | None = None
        for raw in chain([self._first], self._decoded):
            if raw.colorspace == _UNSPECIFIED and not raw.format.is_rgb:
                raw.colorspace = self.facts.color.matrix
            if raw.interlaced_frame and filters is None:
                filters = deinterlace(raw, self._time_base)
                self.remarks.append("is interlaced; its frames are made progressive")
            yield from [raw] if filters is None else filters.run(raw)
        if filters is not None:
            yield from filters.run(None)

    def _to_rgb(self, raw: Any) -> Any:
        """Return a frame's pixels, uint8 (H, W, 3), or (H, W, 4) with transparency, upright and resized."""
        width, height = self._stored
        has_alpha = any(component.is_alpha for component in raw.format.components) or raw.format.has_palette
        converted = raw.reformat(
            width,
            height,
            "rgba" if has_alpha else "rgb24",
            interpolation=Interpolation.LANCZOS if self._resized else None,
        )
        return self._turn.apply(converted.to_ndarray())

    def _measure(self, size: int, max_size: int) -> ClipFacts:
        """Return the facts of the streams and the first frame."""
        first, video, turn = self._first, self._video, self._turn
        height, width = plan_frame(first.height, first.width, size, crop=False, max_size=max_size)
        self._stored = width, height
        self._resized = self._stored != (first.width, first.height)
        width, height = self._stored[::-1] if turn.transpose else self._stored
        aspect = Fraction(video.sample_aspect_ratio or 1) or Fraction(1)
        rate = video.average_rate or video.guessed_rate or RATE
        length = (
            float(video.duration * self._time_base)
            if video.duration
            else (self._container.duration or 0) / av.time_base
        )
        asked = [each for each in (length - float(self._begin), self._end) if each is not None]
        seconds = float(max(0, min(asked))) if length else None
        whole = self._end is None and not self._begin
        frames = video.frames if whole and video.frames else None if seconds is None else round(seconds * rate)
        matrix = first.colorspace
        if matrix == _UNSPECIFIED:
            matrix = _BT709 if min(first.width, first.height) >= _HD_ROWS else _BT601
        hdr = is_hdr(first)
        color = Color(*(_BT709,) * 3) if hdr else Color(matrix, first.color_primaries, first.color_trc)
        if hdr:
            self.remarks.append("is HDR; it is brought into the range of ordinary screens")
        return ClipFacts(
            width,
            height,
            self._time_base,
            Fraction(rate),
            1 / aspect if turn.transpose else aspect,
            color,
            seconds,
            frames,
        )


OpenClip = ClipReader | AnimationReader


def open_clip(path: Path | None, reading: Reading) -> OpenClip:
    """Return a reader for a clip; see ``ClipReader``."""
    return AnimationReader(path, reading) if path is not None and is_webp(path) else ClipReader(path, reading)


def _open(path: Path | str | None, name: str, rate: Fraction) -> Any:
    """Return PyAV's container of a path.

    Raises:
        AdainError: there is no such file, or FFmpeg does not know what it is.

    """
    try:
        if path is not None and Path(path).is_dir():
            raise AdainError(f"{name}: is a folder", hint="name a clip, or an image sequence such as frames/%05d.png")
        options: dict[str, Any] = {"metadata_errors": "replace"}  # titles may be in any encoding
        if name.startswith(_CAMERAS):
            options["format"] = "v4l2"
        elif path is not None and is_sequence(Path(path)):
            options["format"] = "image2"
            options["options"] = {"framerate": str(rate), "start_number_range": "100000"}
        elif "://" in name:
            options["timeout"] = _PATIENCE
        return av.open("pipe:0" if path is None else name, **options)
    except FileNotFoundError:
        raise AdainError(f"{name}: there is no such file") from None
    except av.ExitError:
        raise AdainError(f"{name}: nothing came for {_PATIENCE:g} seconds") from None
    except av.FFmpegError as error:
        raise AdainError(f"{name}: is not a clip, or is damaged ({error.strerror})") from None
    except OSError as error:
        raise AdainError(f"{name}: cannot be read ({error.strerror})") from None


def _find_video(container: Any, name: str) -> Any:
    """Return the first stream of moving pictures; cover art is none."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            return stream
    raise AdainError(f"{name}: has no moving pictures, only {_list_kinds(container)}")


def _list_kinds(container: Any) -> str:
    return ", ".join(sorted({each.type for each in container.streams})) or "nothing"
