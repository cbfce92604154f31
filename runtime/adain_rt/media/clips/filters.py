"""FFmpeg's filters for what the network cannot take: interlaced frames, and colours brighter than a screen's white."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av

__all__ = ["Filters", "deinterlace", "is_hdr", "map_tones", "reduce_colors"]

_HDR_TRANSFERS = {16, 18}  # SMPTE ST 2084 (PQ) and ARIB STD-B67 (HLG)


class Filters:
    """A chain of filters. Frames may come out later than they went in."""

    def __init__(self, first: Any, time_base: Fraction, *filters: tuple[str, str]) -> None:
        self._graph = av.filter.Graph()
        chain = [_add_source(self._graph, first, time_base)]
        chain += [self._graph.add(name, arguments) for name, arguments in filters]
        chain.append(self._graph.add("buffersink"))
        self._graph.link_nodes(*chain).configure()

    def run(self, frame: Any) -> Iterator[Any]:
        """Yield the frames that are ready once ``frame`` went in; ``None`` is the end."""
        self._graph.vpush(frame)
        while True:
            try:
                yield self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return


class _Palette(Filters):
    """Finds a palette for each frame, and draws the frame in it."""

    def __init__(self, first: Any, time_base: Fraction) -> None:
        self._graph = av.filter.Graph()
        source, split = _add_source(self._graph, first, time_base), self._graph.add("split")
        find = self._graph.add("palettegen", "stats_mode=single")
        # A pattern of dots stays where it is from frame to frame, where errors that are passed on would crawl.
        use, sink = self._graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=3"), self._graph.add("buffersink")
        source.link_to(split)
        split.link_to(use, 0, 0)
        split.link_to(find, 1, 0)
        find.link_to(use, 0, 1)
        use.link_to(sink)
        self._graph.configure()


def _add_source(graph: Any, first: Any, time_base: Fraction) -> Any:
    return graph.add(
        "buffer",
        f"video_size={first.width}x{first.height}:pix_fmt={first.format.name}:time_base={time_base}"
        f":colorspace={first.colorspace}:range={first.color_range}",
    )


def deinterlace(first: Any, time_base: Fraction) -> Filters:
    """Return filters that make each interlaced frame one progressive frame, and leave the others as they are."""
    return Filters(first, time_base, ("bwdif", "mode=send_frame:deint=interlaced"))


def is_hdr(frame: Any) -> bool:
    """Whether a frame has colours brighter than the white of a picture."""
    return frame.color_trc in _HDR_TRANSFERS


def map_tones(first: Any, time_base: Fraction, width: int, height: int) -> Filters:
    """Return filters that bring HDR into the range and the primaries of BT.709, and resize it."""
    scale = f"{width}:{height}:out_primaries=bt709:out_transfer=bt709:intent=perceptual"
    return Filters(first, time_base, ("scale", scale), ("format", "rgb24"))


def reduce_colors(first: Any, time_base: Fraction) -> Filters:
    """Return filters that draw each frame in at most 256 colours of its own."""
    return _Palette(first, time_base)
