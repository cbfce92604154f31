"""Writing a clip: frames encoded, and the other streams of the clip that they come from copied."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags

from adain_models.errors import AdainError
from adain_rt.media.clips.copying import Copier
from adain_rt.media.clips.decoding import OpenClip
from adain_rt.media.clips.filters import Filters, reduce_colors
from adain_rt.media.clips.formats import Codec, Container
from adain_rt.media.clips.frame import Frame
from adain_rt.media.clips.packets import PacketFile
from adain_rt.media.clips.scheduling import keep_scheduling

__all__ = ["ClipWriter"]

os.environ.setdefault("SVT_LOG", "1")  # the AV1 encoder's library writes on stderr what else it does

_RGB = 3
_LIMITED = 1
"""The range of YUV that every player takes, in FFmpeg's numbers."""

_BT709 = 1
_SCALER_MATRICES = {_BT709: _BT709, 5: 5, 6: 5}
"""The matrices of clips that are kept, as FFmpeg's scaler numbers them; 5 and 6 are BT.601's."""

_MP4 = {"mp4", "mov"}

_TAGGED = {"libx265": "hvc1", "hevc_nvenc": "hvc1"}
"""The codes of codecs in MP4 by which Apple's players know them."""

_ASKED = (
    "width",
    "height",
    "pix_fmt",
    "time_base",
    "framerate",
    "sample_aspect_ratio",
    "flags",
    "colorspace",
    "color_range",
    "color_primaries",
    "color_trc",
    "codec_tag",
)
"""What an encoder is asked for, beside its options."""

_HUNDREDTHS = Fraction(1, 100)
"""The unit of time of GIF."""


class ClipWriter:
    """Writes one clip. Without ``finish`` the file is not whole; ``close`` comes last in any case.

    Args:
        path: the file, or ``None`` for standard output.
        name: of the file in errors.
        container: what it is written in.
        codec: what its frames are encoded by.
        reader: the clip that the frames are from. Its times, colours, other streams, chapters and metadata are kept.
        crf: the quality; ``None`` is the codec's default.
        packets: a file that takes the encoded frames too, for ``repeat`` of another run.

    Attributes:
        remarks: what is lost, each as the end of a sentence that begins with the file's name.

    Raises:
        AdainError: the encoder is missing or refuses the frames, or the container cannot hold the clip's sound.

    """

    def __init__(
        self,
        path: Path | None,
        name: str,
        container: Container,
        codec: Codec,
        reader: OpenClip,
        crf: int | None,
        packets: PacketFile | None = None,
    ) -> None:
        color = reader.facts.color
        self._name, self._codec, self._packets = name, codec, packets
        self._color = color if color.matrix in _SCALER_MATRICES else replace(color, matrix=_BT709)
        self._frame_base = reader.facts.time_base
        self._time_base = _HUNDREDTHS if codec.encoder == "gif" else self._frame_base
        self._first: int | None = None
        self._last: int | None = None
        self._until = 0
        self._held: Any = None
        self._began = 0
        self._palette: Filters | None = None
        self.remarks: list[str] = []
        self._options = dict(codec.options)
        if codec.quality is not None:
            self._options[codec.quality] = str(codec.crf if crf is None else crf)
        try:
            self._out = av.open(
                "pipe:1" if path is None else str(path), "w", container.muxer, options=container.options
            )
        except av.FFmpegError as error:
            raise AdainError(f"{name}: cannot be written ({error.strerror})") from None
        try:
            self._stream = self._add_video(reader)
            self._encoder = self._stream.codec_context
            self._copier = Copier(self._out, reader, container, name)
            self._copier.add_streams()
            with keep_scheduling():
                self._out.start_encoding()
        except (av.FFmpegError, ValueError) as error:
            self.close()
            raise _explain_refusal(error, name, codec) from None
        except BaseException:
            self.close()
            raise
        self.remarks += self._copier.remarks

    def write(self, frame: Frame) -> None:
        """Encode a frame, which is as large as the reader's.

        Raises:
            AdainError: it cannot be encoded or written.
            BrokenPipeError: nobody reads standard output any more.

        """
        with self._explaining():
            self._encode(self._to_picture(frame))

    def begin_part(self) -> None:
        """Encode what follows without a look at what was before, so that another run can begin with it.

        Raises:
            AdainError: what was before cannot be written.
            BrokenPipeError: nobody reads standard output any more.

        """
        with self._explaining():
            self._encode(None)
            self._encoder = self._clone_encoder()

    def repeat(self, packet: Any) -> None:
        """Write the next packet of another run's frames, of which this one writes the rest.

        Raises:
            AdainError: it cannot be written.

        """
        self._first = packet.pts if self._first is None else self._first
        self._last = packet.pts if self._last is None else max(self._last, packet.pts)
        with self._explaining():
            self._write(packet)

    def copy(self, packets: Iterable[Any]) -> None:
        """Write packets of the clip's other streams, as ``ClipReader.take_packets`` returns them.

        Raises:
            AdainError: they cannot be written.
            BrokenPipeError: nobody reads standard output any more.

        """
        with self._explaining():
            self._copier.copy(packets)

    def finish(self) -> None:
        """Write what is left of the file, and close it.

        Raises:
            AdainError: it cannot be written.
            BrokenPipeError: nobody reads standard output any more.

        """
        with self._explaining():
            self._encode(None)
            if self._held is not None:  # a damaged clip may have no frame
                self._lengthen_held()
                self._out.mux(self._held)
            self._out.close()

    def close(self) -> None:
        """Close the file, which is not whole unless it was finished."""
        with suppress(av.FFmpegError, OSError, ValueError):
            self._out.close()

    def _add_video(self, reader: OpenClip) -> Any:
        """Add the stream of the frames, with the times, the shape and the colours of the reader's."""
        facts, codec = reader.facts, self._codec
        stream = self._out.add_stream(codec.encoder, rate=facts.rate, options=self._options)
        context = stream.codec_context
        context.width, context.height = self._pad_side(facts.width), self._pad_side(facts.height)
        if (context.width, context.height) != (facts.width, facts.height):
            self.remarks.append(f"is {context.width}x{context.height} pixels, since this codec takes even sides only")
        context.pix_fmt = codec.pixel_format
        context.time_base = stream.time_base = self._time_base
        context.sample_aspect_ratio = facts.sample_aspect
        context.flags |= Flags.frame_duration
        if codec.pixel_format.startswith("yuv"):
            context.colorspace, context.color_range = self._color.matrix, _LIMITED
            context.color_primaries, context.color_trc = self._color.primaries, self._color.transfer
        if codec.encoder in _TAGGED and self._out.format.name in _MP4:
            context.codec_tag = _TAGGED[codec.encoder]
        stream.metadata.update(reader.video_metadata)
        return stream

    def _clone_encoder(self) -> Any:
        """Return another encoder like the stream's, opened."""
        first: Any = self._stream.codec_context
        clone: Any = av.CodecContext.create(self._codec.encoder, "w")
        for name in _ASKED:
            setattr(clone, name, getattr(first, name))
        clone.options = dict(self._options)
        with keep_scheduling():
            clone.open()
        return clone

    def _pad_side(self, side: int) -> int:
        return side + side % 2 if self._codec.even else side

    def _to_picture(self, frame: Frame) -> Any:
        """Return a frame as the encoder takes it."""
        pixels = frame.pixels
        if self._codec.alpha and frame.alpha is not None:
            pixels = np.dstack([pixels, frame.alpha])
        rows, columns = self._stream.height - pixels.shape[0], self._stream.width - pixels.shape[1]
        if rows or columns:
            pixels = np.pad(pixels, ((0, rows), (0, columns), (0, 0)), mode="edge")
        raw = av.VideoFrame.from_ndarray(pixels, "rgba" if pixels.shape[2] > _RGB else "rgb24")
        picture = self._convert(raw)
        # Two frames of one time cannot be encoded; GIF counts in hundredths.
        pts = round(frame.pts * self._frame_base / self._time_base)
        self._last = picture.pts = pts if self._last is None else max(pts, self._last + 1)
        picture.time_base = self._time_base
        picture.duration = round(frame.duration * self._frame_base / self._time_base)
        self._first = picture.pts if self._first is None else self._first
        self._until = picture.pts + picture.duration - self._first
        return picture

    def _convert(self, raw: Any) -> Any:
        """Return RGB in the encoder's format."""
        wanted = self._codec.pixel_format
        if wanted == "pal8":
            self._palette = self._palette or reduce_colors(raw, self._time_base)
            return next(self._palette.run(raw))
        if not wanted.startswith("yuv"):
            return raw.reformat(format=wanted)
        color = self._color
        picture = raw.reformat(format=wanted, dst_colorspace=_SCALER_MATRICES[color.matrix], dst_color_range=_LIMITED)
        picture.colorspace, picture.color_primaries, picture.color_trc = color.matrix, color.primaries, color.transfer
        return picture

    def _encode(self, picture: Any) -> None:
        """Encode a picture, and write the packets that are ready; ``None`` is the end of the encoder."""
        for packet in self._encoder.encode(picture):
            if self._packets is not None:
                self._packets.append(packet)
            self._write(packet)

    def _write(self, packet: Any) -> None:
        """Write the packet before, whose length is known now, and hold this one."""
        packet.stream = self._stream
        if self._held is None:
            self._began = packet.dts
        else:
            # An encoder guesses the time at which its first frames are to be decoded. It knows no encoder before it.
            packet.dts = max(packet.dts, self._held.dts + 1)
            self._out.mux(self._held)
        self._held = packet

    def _lengthen_held(self) -> None:
        """Make the packet that is decoded last as long as the whole needs it to be.

        MP4 has the length of a clip from when its packets end, and from their lengths in the order of decoding. With
        frames of uneven length, the last of them may not be the frame that is shown last.
        """
        if self._out.format.name in _MP4:
            end = (self._first or 0) + self._until
            self._held.duration = max(1, end - self._held.pts, self._until - (self._held.dts - self._began))

    @contextmanager
    def _explaining(self) -> Iterator[None]:
        """Turn an error of FFmpeg into one that names the file."""
        try:
            yield
        except BrokenPipeError:
            raise
        except (av.FFmpegError, OSError) as error:
            raise AdainError(f"{self._name}: cannot be written ({error.strerror})") from error


def _explain_refusal(error: Exception, name: str, codec: Codec) -> AdainError:
    """Return the error for an encoder that cannot be opened."""
    if codec.encoder.endswith("_nvenc"):  # FFmpeg's own words are of permissions, or of its code
        why = "it needs an NVIDIA GPU that has this encoder, and its driver"
    else:
        why = getattr(error, "strerror", None) or str(error)
    return AdainError(f"{name}: cannot be encoded by {codec.encoder} ({why})", hint="use another `codec`")
