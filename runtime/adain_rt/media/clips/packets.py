"""Encoded packets in a file of their own, from which they are written into a clip again without encoding."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any
from zlib import crc32

import av

__all__ = ["PacketFile"]

_HEAD = struct.Struct("<IqqqB")
"""Before the data of each packet: their bytes, its two times and its length, and whether it is a key frame.

No container keeps these numbers as they are: Matroska rounds times, and MP4 the time of the first frame.
"""

_BLOCK = 1 << 20


class PacketFile:
    """The packets of one stream, one behind the other.

    Args:
        path: the file, which is made if it does not exist.
        size: the bytes of it that are kept; the file goes on after them.

    Attributes:
        checksum: CRC-32 of what is kept and appended.

    Raises:
        OSError: the file cannot be written.

    """

    def __init__(self, path: Path, size: int = 0) -> None:
        path.touch()
        self._file = path.open("r+b")
        self._file.truncate(size)
        self.checksum = 0
        while block := self._file.read(_BLOCK):
            self.checksum = crc32(block, self.checksum)

    def append(self, packet: Any) -> None:
        """Write a packet, whose times are known.

        Raises:
            OSError: the disk is full.

        """
        head = _HEAD.pack(packet.size, packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe)
        record = head + bytes(packet)
        self._file.write(record)
        self.checksum = crc32(record, self.checksum)

    def save(self) -> int:
        """Let what was written reach the disk, and return the file's size.

        Raises:
            OSError: the disk is full.

        """
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def read(self, time_base: Fraction) -> Iterator[Any]:
        """Yield the packets from the beginning. Nothing is appended meanwhile.

        Args:
            time_base: the unit of their times, in seconds.

        """
        self._file.seek(0)
        while head := self._file.read(_HEAD.size):
            size, pts, dts, duration, is_keyframe = _HEAD.unpack(head)
            packet = av.Packet(self._file.read(size))
            packet.pts, packet.dts, packet.duration, packet.time_base = pts, dts, duration, time_base
            packet.is_keyframe = bool(is_keyframe)
            yield packet

    def close(self) -> None:
        """Close the file. What was not saved may be lost."""
        with suppress(OSError):  # the disk is full; who appends and who saves has heard of it
            self._file.close()
