"""Clips that tests make with FFmpeg's encoders, and what tests compare of clips."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from av.stream import Disposition
from PIL import Image

from adain_rt.contract import Pixels

RATES = {"25": Fraction(25), "24000/1001": Fraction(24000, 1001), "30": Fraction(30)}


def moving(count: int, width: int = 64, height: int = 48) -> list[Pixels]:
    """Frames of a textured ground that moves to the left, and a block that moves to the right."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(40, 216, (height // 4 + 2, (width + 4 * count) // 4 + 2, 3), np.uint8)
    ground = coarse.repeat(4, 0).repeat(4, 1)
    frames = []
    for index in range(count):
        frame = ground[:height, 2 * index : 2 * index + width].copy()
        frame[8:24, 4 + 2 * index : 20 + 2 * index] = 220, 60, 30
        frames.append(frame)
    return frames


@dataclass
class Making:
    """How a clip is made. Times are in units of ``time_base``."""

    frames: Sequence[Pixels] = field(default_factory=lambda: moving(12))
    times: Sequence[int] | None = None
    time_base: Fraction | None = None
    rate: Fraction = Fraction(25)
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast"})
    matrix: int = 5
    full_range: bool = False
    rotation: int = 0
    aspect: Fraction | None = None
    sound: str | None = None
    chapters: Sequence[dict[str, Any]] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    transfer: int | None = None


def make_clip(path: Path, **options: Any) -> Path:
    """Write a clip, and return its path."""
    making = Making(**options)
    height, width = making.frames[0].shape[:2]
    base = making.time_base or 1 / making.rate
    times = making.times or range(len(making.frames) + 1)
    with av.open(str(path), "w") as out:
        stream = out.add_stream(making.codec, rate=making.rate, options=making.options)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = width, height, making.pixel_format
        context.time_base = stream.time_base = base
        context.flags |= Flags.frame_duration
        context.color_range = 2 if making.full_range else 1
        context.colorspace = making.matrix
        if making.transfer:
            context.color_trc = making.transfer
        if making.aspect:
            context.sample_aspect_ratio = making.aspect
        if making.rotation:
            stream.set_display_rotation(making.rotation)
        sound = None
        if making.sound:
            sound = out.add_stream("aac", rate=48000, layout=making.sound)
            sound.metadata["language"] = "fra"
        out.metadata.update(making.metadata)
        if making.chapters:
            out.set_chapters(list(making.chapters))
        for index, pixels in enumerate(making.frames):
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(
                format=making.pixel_format, dst_colorspace=making.matrix, dst_color_range=context.color_range
            )
            frame.pts, frame.time_base = times[index], base
            if len(times) > index + 1:
                frame.duration = times[index + 1] - times[index]
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        if sound is not None:
            _add_sound(out, sound, float(times[len(making.frames)] * base))
    return path


def _add_sound(out: Any, stream: Any, seconds: float) -> None:
    channels = stream.codec_context.layout.nb_channels
    generator = np.random.default_rng(1)
    for start in range(0, int(seconds * 48000), 1024):
        samples = generator.normal(0, 0.1, (channels, 1024)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples, "fltp", stream.codec_context.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


@dataclass(frozen=True)
class Contents:
    """What is in a clip: when frames are shown, how long it is, and the packets of the other streams."""

    times: list[Fraction]
    width: int
    height: int
    sample_aspect: Fraction
    seconds: float
    kinds: list[str]
    packets: dict[str, list[tuple[Fraction | None, bytes]]]


def look_into(path: Path) -> Contents:
    """Return what is in a clip."""
    with av.open(str(path), metadata_errors="replace") as clip:
        video = clip.streams.video[0]
        seconds = (clip.duration or 0) / av.time_base
        aspect = Fraction(video.sample_aspect_ratio or 1)
        kinds = [stream.type for stream in clip.streams]
        times, packets = [], {}
        for packet in clip.demux():
            if packet.stream.index == video.index:
                times += [frame.pts * frame.time_base for frame in packet.decode()]
            elif packet.size:
                kind = f"{packet.stream.type} {packet.stream.codec_context.codec.canonical_name}"
                when = None if packet.pts is None else packet.pts * packet.time_base
                packets.setdefault(kind, []).append((when, bytes(packet)))
        return Contents(times, video.width, video.height, aspect, seconds, kinds, packets)


def read_frames(path: Path) -> list[Pixels]:
    """Return the frames of a clip as FFmpeg converts them."""
    with av.open(str(path), metadata_errors="replace") as clip:
        return [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]


def wrap(clip: Path, target: Path, kind: str) -> Path:
    """Write a clip with another stream, and return its path.

    Args:
        clip: the clip without.
        target: the clip with it.
        kind: ``subtitles``, a ``cover`` or a ``font``.

    """
    with av.open(str(clip)) as source, av.open(str(target), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream) for stream in source.streams}
        more = []
        if kind == "subtitles":
            stream = out.add_mux_stream("mov_text" if target.suffix == ".mp4" else "subrip")
            more = [_frame_subtitle(text, target.suffix) for text in (b"One", b"Two")]
        elif kind == "cover":
            stream = out.add_mux_stream("mjpeg", width=32, height=32)
            stream.disposition = Disposition.attached_pic
            picture = io.BytesIO()
            Image.new("RGB", (32, 32), (200, 0, 0)).save(picture, "JPEG")
            more = [picture.getvalue()]
        else:
            stream = out.add_attachment("font.ttf", "font/ttf", bytes(100))
        out.start_encoding()
        for index, data in enumerate(more):
            packet = av.Packet(data)
            packet.stream, packet.time_base, packet.duration = stream, Fraction(1, 1000), 150
            packet.pts = packet.dts = 200 * index
            out.mux(packet)
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    return target


def _frame_subtitle(text: bytes, suffix: str) -> bytes:
    return len(text).to_bytes(2, "big") + text if suffix == ".mp4" else text


def spoil(clip: Path, target: Path, packet: int) -> Path:
    """Write a clip of which the data of one packet are noise, and return its path."""
    with av.open(str(clip)) as source:
        data = [bytes(each) for each in source.demux(video=0) if each.size][packet]
    whole = clip.read_bytes()
    target.write_bytes(whole.replace(data, bytes(255 - byte for byte in data)))
    return target


def make_clip_unsaid(path: Path, frame: Pixels, matrix: int) -> Path:
    """Write a clip that does not say which matrix made its YUV."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = frame.shape[1], frame.shape[0], "yuv444p"
        picture = av.VideoFrame.from_ndarray(frame, "rgb24")
        picture = picture.reformat(format="yuv444p", dst_colorspace=matrix, dst_color_range=1)
        picture.colorspace, picture.pts = 2, 0
        out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    return path
