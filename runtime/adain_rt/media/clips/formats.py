"""The containers and codecs that clips are written in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path

from adain_models.errors import AdainError

__all__ = [
    "CODECS",
    "CONTAINERS",
    "PIPED",
    "Codec",
    "Container",
    "choose_codec",
    "find_container",
    "is_sequence",
    "list_numbered",
]

_PATTERN = re.compile(r"%0?\d*d")
"""The number in the name of an image sequence, as ``printf`` writes it."""


@dataclass(frozen=True)
class Codec:
    """A codec, and how FFmpeg's encoder for it is used.

    Attributes:
        encoder: FFmpeg's name of it.
        pixel_format: FFmpeg's name of the pixels that it is given.
        quality: the encoder's option for constant quality, or ``None`` if it has none.
        crf: the quality that is asked for unless a user says otherwise; lower is better.
        options: the encoder's other options.
        even: whether sides must be even.
        alpha: whether it keeps transparency.

    """

    encoder: str
    pixel_format: str = "yuv420p"
    quality: str | None = "crf"
    crf: int | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    even: bool = True
    alpha: bool = False


# The presets are those that encode 640x360 several times faster than it is painted on the same two cores.
CODECS = {
    "h264": Codec("libx264", crf=20, options={"preset": "veryfast"}),
    "hevc": Codec("libx265", crf=24, options={"preset": "ultrafast", "x265-params": "log-level=none"}),
    "av1": Codec("libsvtav1", crf=30, options={"preset": "8"}),
    "vp9": Codec(
        "libvpx-vp9",
        crf=32,
        options={"b": "0", "deadline": "realtime", "cpu-used": "7", "row-mt": "1"},
        even=False,
    ),
    "prores": Codec("prores_ks", "yuv422p10le", quality=None, options={"profile": "3"}),
    "h264_nvenc": Codec("h264_nvenc", quality="cq", crf=22),
    "hevc_nvenc": Codec("hevc_nvenc", quality="cq", crf=26),
    "av1_nvenc": Codec("av1_nvenc", quality="cq", crf=30),
    "gif": Codec("gif", "pal8", quality=None, even=False, alpha=True),
    "webp": Codec("libwebp_anim", "bgra", quality=None, options={"quality": "85"}, even=False, alpha=True),
    "apng": Codec("apng", "rgba", quality=None, even=False, alpha=True),
}


@dataclass(frozen=True)
class Container:
    """A container, and what it holds.

    Attributes:
        muxer: FFmpeg's name of it.
        codecs: those it is written with, the default first.
        options: the muxer's options.
        animation: whether it is an animated picture, which has no sound.

    """

    muxer: str
    codecs: tuple[str, ...]
    options: Mapping[str, str] = field(default_factory=dict)
    animation: bool = False


_COMMON = ("h264", "hevc", "av1", "vp9", "h264_nvenc", "hevc_nvenc", "av1_nvenc")
_MP4 = Container("mp4", _COMMON, {"movflags": "+faststart"})  # the index first, so that it plays while it loads

CONTAINERS = {
    ".mp4": _MP4,
    ".m4v": _MP4,
    ".mov": Container("mov", ("h264", "hevc", "prores", "h264_nvenc", "hevc_nvenc"), {"movflags": "+faststart"}),
    ".mkv": Container("matroska", (*_COMMON, "prores")),
    ".webm": Container("webm", ("vp9", "av1", "av1_nvenc")),
    ".gif": Container("gif", ("gif",), animation=True),
    ".webp": Container("webp", ("webp",), animation=True),
    ".apng": Container("apng", ("apng",), animation=True),
}
"""By the suffix of a file."""

PIPED = ".mkv"
"""The suffix of what is written to a pipe: MP4 cannot be written where nothing can be rewritten."""


def is_sequence(path: Path) -> bool:
    """Whether a path is an image sequence, such as ``frames/%05d.png``."""
    return _PATTERN.search(path.name) is not None


def list_numbered(pattern: Path) -> list[Path]:
    """Return the files whose names are those of an image sequence with whatever in place of the number, sorted."""
    return sorted(pattern.parent.glob(_PATTERN.sub("*", escape(pattern.name))))


def find_container(path: Path) -> Container:
    """Return the container for the suffix of a file.

    Raises:
        AdainError: the suffix is no container's.

    """
    container = CONTAINERS.get(path.suffix.lower())
    if container is None:
        raise AdainError(
            f"{path}: the suffix {path.suffix or '(none)'} names no format of clips that can be written",
            hint=f"use one of {', '.join(CONTAINERS)}, or a sequence such as frames/%05d.png",
        )
    return container


def choose_codec(path: Path, container: Container, name: str | None) -> Codec:
    """Return the codec for a file: the one that is named, or its container's default.

    Raises:
        AdainError: the container does not hold the codec.

    """
    if name is not None and name not in container.codecs:
        holders = [suffix for suffix, each in CONTAINERS.items() if name in each.codecs]
        raise AdainError(
            f"{path}: {container.muxer} does not hold {name}",
            hint=f"use another `codec` ({', '.join(container.codecs)}) or an `output` that ends with "
            f"{' or '.join(holders)}",
        )
    return CODECS[name or container.codecs[0]]
