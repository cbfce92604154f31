"""The clips that CLIP arguments name, the masks that go with them, and the files that results go to."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import numpy as np
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.jobs.inputs import STDIN
from adain_rt.jobs.outputs import OutputKind
from adain_rt.media.clips import (
    CONTAINERS,
    Frame,
    OpenClip,
    Reading,
    find_container,
    is_sequence,
    open_clip,
)
from adain_rt.media.pictures import READABLE, check_writable, read_mask
from adain_rt.media.pictures import frame as frame_picture

__all__ = ["CLIPS", "Masks", "expand_clips"]

_SUFFIX = ".mp4"


def expand_clips(arguments: Iterable[str]) -> list[Path]:
    """Return the clips that arguments name, in their order, each once: files, globs, image sequences, or ``-``.

    Raises:
        AdainError: an argument matches no file.

    """
    found: list[Path] = []
    for argument in arguments:
        path = Path(argument)
        if path == STDIN or path.exists() or is_sequence(path):
            found.append(path)
        elif glob.has_magic(argument):
            matches = [Path(match) for match in sorted(glob.glob(argument))]  # noqa: PTH207 - any pattern
            if not matches:
                raise AdainError(f"{argument}: matches no file")
            found += matches
        else:
            raise AdainError(f"{argument}: there is no such file")
    return list(dict.fromkeys(found))


def choose_suffix(clip: Path) -> str:
    """Return the suffix of a result without a name: the clip's own if it can be written, or MP4's."""
    return clip.suffix if clip.suffix.lower() in CONTAINERS else _SUFFIX


def check_clip_writable(path: Path) -> None:
    """Check that a result can be written.

    Raises:
        AdainError: the suffix names no format.

    """
    if is_sequence(path):
        check_writable(path)
    else:
        find_container(path)


CLIPS = OutputKind(choose_suffix, check_clip_writable, "clips")


class Masks:
    """The masks of each frame: pictures that stay, or clips that go along. It is a context manager, which closes them.

    Args:
        paths: pictures or clips, one for each style.
        clip: the clip that is painted; each mask is as large.
        reading: how the clip is read.

    Raises:
        AdainError: a mask cannot be read, or is not as large as the clip.

    """

    def __init__(self, paths: Sequence[Path], clip: OpenClip, reading: Reading) -> None:
        self._clip = clip
        with ExitStack() as stack:
            self._tracks = [self._open(path, reading, stack) for path in paths]
            self._stack = stack.pop_all()

    def at(self, frame: Frame) -> Pixels | None:
        """Return the masks, uint8 (R, H, W), of a frame; frames come in their order. ``None`` without masks."""
        if not self._tracks:
            return None
        seconds = frame.pts * self._clip.facts.time_base
        return np.stack([track(seconds) for track in self._tracks])

    def __enter__(self) -> Masks:  # noqa: PYI034 - Self needs Python 3.11
        """Return the masks themselves."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the clips."""
        self._stack.close()

    def _open(self, path: Path, reading: Reading, stack: ExitStack) -> Callable[[Fraction], Pixels]:
        """Return a function from a second to the mask of that time."""
        if path.suffix.lower() in READABLE.keys() - CONTAINERS.keys():
            still = frame_picture(read_mask(path), reading.size, crop=False, max_size=reading.max_size)
            self._check_size(path, *still.shape[::-1])
            return lambda _: still
        reader = open_clip(path, reading)
        stack.callback(reader.close)
        self._check_size(path, reader.facts.width, reader.facts.height)
        return _follow(reader)

    def _check_size(self, path: Path, width: int, height: int) -> None:
        facts = self._clip.facts
        if (width, height) != (facts.width, facts.height):
            raise AdainError(
                f"mask {path}: is {width}x{height} pixels and {self._clip.name} is {facts.width}x{facts.height}; make "
                "the mask as large as the clip"
            )


def _follow(reader: OpenClip) -> Callable[[Fraction], Pixels]:
    """Return a function from a second, later at each call, to the mask that a clip shows then."""
    frames = reader.frames()
    shown, coming = next(frames), next(frames, None)

    def show(seconds: Fraction) -> Pixels:
        nonlocal shown, coming
        while coming is not None and coming.pts * reader.facts.time_base <= seconds:
            shown, coming = coming, next(frames, None)
        return np.array(Image.fromarray(shown.pixels).convert("L"))

    return show
