"""Copying clips without painting them, which tests reading and writing together."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adain_rt.contract import Pixels
from adain_rt.media.clips import ClipFacts, ClipWriter, Frame, Reading, choose_codec, find_container, open_clip


@dataclass(frozen=True)
class Copied:
    """What came of a copy."""

    frames: list[Frame]
    facts: ClipFacts
    remarks: list[str]
    damage: str | None

    @property
    def pixels(self) -> list[Pixels]:
        return [frame.pixels for frame in self.frames]


@pytest.fixture
def copy() -> Callable[..., Copied]:
    """Copy a clip frame by frame."""

    def copy(source: Path, target: Path, codec: str | None = None, crf: int | None = None, **reading: Any) -> Copied:
        container = find_container(target)
        encoder = choose_codec(target, container, codec)
        with open_clip(source, Reading(**reading)) as reader:
            frames = []
            with closing(ClipWriter(target, str(target), container, encoder, reader, crf)) as writer:
                for frame in reader.frames():
                    writer.copy(reader.take_packets())
                    writer.write(frame)
                    frames.append(frame)
                writer.copy(reader.take_packets())
                writer.finish()
            return Copied(frames, reader.facts, [*reader.remarks, *writer.remarks], reader.damage)

    return copy
