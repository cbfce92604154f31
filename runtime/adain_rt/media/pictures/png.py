"""What Pillow needs help with in a PNG: long or misleading chunks, and colour keys (PNG, third edition)."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image, PngImagePlugin

from adain_rt.media.pictures.hdr import describe_transfer

__all__ = ["SIGNATURE", "apply_color_key", "screen"]

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
# Pillow keeps what it knows of a picture under these names, and texts under their own.
_MISLEADING = frozenset(
    b"aspect bbox blend chromaticity default_image disposal dpi duration exif gamma icc_profile interlace loop srgb "
    b"transparency xmp".split()
)
_DEPTH_AT, _COLOR_TYPE_AT = 24, 25  # in the file: the header chunk is the first
_GREY, _RGB = 0, 2  # colour types
_SIXTEEN = 16


class _Chunk(NamedTuple):
    name: bytes
    start: int  # of its length, in the file
    length: int  # of its data

    @property
    def end(self) -> int:
        """Where the next begins: length, name and checksum take four bytes each."""
        return self.start + self.length + 12


def screen(file: BinaryIO) -> tuple[BinaryIO, tuple[str, ...]]:
    """Take the chunks out of a PNG that would stop Pillow: it limits how long profiles and texts may be.

    A chunk that is a bomb is not unpacked to its end.

    Returns:
        the file, or a copy without those chunks, and what a user should know.

    """
    remarks: list[str] = []
    dropped: list[_Chunk] = []
    room = PngImagePlugin.MAX_TEXT_MEMORY
    for chunk in _chunks(file):
        if chunk.name == b"cICP":
            remark = describe_transfer(int.from_bytes(_read(file, chunk)[1:2], "big"))  # primaries come before
            remarks += [remark] if remark else []
        elif chunk.name == b"iCCP":
            if _unpacked_length(_read(file, chunk).partition(b"\0")[2][1:]) is None:
                dropped.append(chunk)
                remarks.append("has a colour profile that is too long, which is left out; its colours may be off")
        elif chunk.name in _TEXTS:
            keyword, length = _measure_text(chunk.name, _read(file, chunk))
            if length is None or length > room:
                dropped.append(chunk)
                remarks.append("has texts that are too long, which are left out")
            elif keyword in _MISLEADING:
                dropped.append(chunk)
            else:
                room -= length
    return _without(file, dropped) if dropped else file, tuple(dict.fromkeys(remarks))


def apply_color_key(image: Image.Image, file: BinaryIO) -> None:
    """Make a colour key of a decoded PNG one of the depth that its pixels have in memory, or an alpha.

    A key has the depth of the file. Pillow's pixels have 8 bits, and 16 only where they are grey.
    """
    key = image.info.get("transparency")
    file.seek(_DEPTH_AT)
    depth, color_type = file.read(2)
    if isinstance(key, int) and color_type == _GREY and 1 < depth < _SIXTEEN:
        most = (1 << depth) - 1
        image.info["transparency"] = (key & most) * 255 // most
    elif isinstance(key, tuple) and color_type == _RGB and depth < _SIXTEEN:
        image.info["transparency"] = tuple(value & 255 for value in key)
    elif isinstance(key, tuple) and color_type == _RGB:
        file.seek(0)
        again = Image.open(file, formats=["PNG"])
        again.tile = [tile._replace(args="RGB;16L") for tile in again.tile]  # the low bytes in place of the high ones
        high, low = np.array(key).astype(">u2").view(np.uint8).reshape(3, 2).T
        hidden = ((np.asarray(image) == high) & (np.asarray(again) == low)).all(axis=2)
        del image.info["transparency"]
        image.putalpha(Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8)))


def _chunks(file: BinaryIO) -> Iterator[_Chunk]:
    """Yield the chunks as far as the file goes."""
    start = len(SIGNATURE)
    while True:
        file.seek(start)
        head = file.read(8)
        if len(head) < 8:  # noqa: PLR2004 - a length and a name
            return
        chunk = _Chunk(head[4:], start, int.from_bytes(head[:4], "big"))
        yield chunk
        start = chunk.end


def _read(file: BinaryIO, chunk: _Chunk) -> bytes:
    file.seek(chunk.start + 8)
    return file.read(chunk.length)


def _measure_text(name: bytes, data: bytes) -> tuple[bytes, int | None]:
    """Return a text's keyword, and its length in bytes; ``None`` if it is longer than Pillow reads."""
    keyword, _, rest = data.partition(b"\0")
    if name == b"zTXt":
        return keyword, _unpacked_length(rest[1:])
    if name == b"iTXt":
        packed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[-1]
        return keyword, _unpacked_length(text) if packed else _bounded(len(text))
    return keyword, _bounded(len(rest))


def _bounded(length: int) -> int | None:
    return length if length <= PngImagePlugin.MAX_TEXT_CHUNK else None


def _unpacked_length(packed: bytes) -> int | None:
    """Return the length of compressed data, 0 if it is broken; ``None`` if it is longer than Pillow reads."""
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(packed, PngImagePlugin.MAX_TEXT_CHUNK)
    except zlib.error:  # as for Pillow, which goes on without it
        return 0
    return None if stream.unconsumed_tail else len(unpacked)


def _without(file: BinaryIO, dropped: list[_Chunk]) -> BinaryIO:
    """Return a copy of a file without some of its chunks."""
    file.seek(0)
    data = file.read()
    parts, start = [], 0
    for chunk in dropped:
        parts.append(data[start : chunk.start])
        start = chunk.end
    return io.BytesIO(b"".join([*parts, data[start:]]))
