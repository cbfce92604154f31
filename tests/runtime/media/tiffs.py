"""TIFF files of any samples, made byte by byte (TIFF 6.0)."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
DEFLATE = 8
TILE = 16
_BYTE, _SHORT, _LONG, _LONG8 = 1, 3, 4, 16
_CODES = {_BYTE: "B", _SHORT: "H", _LONG: "I", _LONG8: "Q"}


def tiff(  # noqa: PLR0913 - a file has many properties
    samples: NDArray[Any],
    bits: int,
    kind: int = UNSIGNED,
    *,
    photometric: int = 1,
    order: str = "<",
    extra: tuple[int, ...] = (),
    compression: int = 1,
    predictor: int = 1,
    planar: bool = False,
    tiled: bool = False,
    rows: int = 0,
    big: bool = False,
) -> bytes:
    """A TIFF of (H, W, C) samples in strips of ``rows``, or in tiles of 16 x 16."""
    height, width, count = samples.shape
    planes = [samples[..., i : i + 1] for i in range(count)] if planar else [samples]
    rows = TILE if tiled else rows or height
    parts = [part for plane in planes for part in _parts(plane, rows, tiled)]
    packed = [_pack(part, bits, order, predictor) for part in parts]
    if compression == DEFLATE:
        packed = [zlib.compress(data) for data in packed]
    start = 16 if big else 8
    offsets = np.cumsum([start, *(len(data) for data in packed)])
    offsets_tag, counts_tag = (324, 325) if tiled else (273, 279)
    tags = {
        256: (_LONG, [width]),
        257: (_LONG, [height]),
        258: (_SHORT, [bits] * count),
        259: (_SHORT, [compression]),
        262: (_SHORT, [photometric]),
        277: (_SHORT, [count]),
        284: (_SHORT, [2 if planar else 1]),
        317: (_SHORT, [predictor]),
        339: (_SHORT, [kind] * count),
        offsets_tag: (_LONG, offsets[:-1].tolist()),
        counts_tag: (_LONG, [len(data) for data in packed]),
        **({322: (_LONG, [TILE]), 323: (_LONG, [TILE])} if tiled else {278: (_LONG, [rows])}),
        **({338: (_SHORT, list(extra))} if extra else {}),
    }
    body = b"".join(packed)
    where = start + len(body)
    mark = b"II" if order == "<" else b"MM"
    header = struct.pack(f"{order}HHHQ", 43, 8, 0, where) if big else struct.pack(f"{order}HI", 42, where)
    return mark + header + body + _directory(tags, where, order, big)


def _parts(plane: NDArray[Any], rows: int, tiled: bool) -> list[NDArray[Any]]:
    if not tiled:
        return [plane[top : top + rows] for top in range(0, len(plane), rows)]
    height, width, _ = plane.shape
    padded = np.pad(plane, ((0, -height % TILE), (0, -width % TILE), (0, 0)), mode="edge")
    return [
        padded[top : top + TILE, left : left + TILE] for top in range(0, height, TILE) for left in range(0, width, TILE)
    ]


def _pack(part: NDArray[Any], bits: int, order: str, predictor: int) -> bytes:
    height = len(part)
    if predictor == 3:  # floating point: the bytes in planes, the first bytes first, and each less the one before
        planes = part.reshape(height, -1, 1).astype(f">f{bits // 8}").view(np.uint8).swapaxes(1, 2)
        together = planes.reshape(height, -1, part.shape[2])
        return np.diff(together, axis=1, prepend=np.zeros_like(together[:, :1])).tobytes()
    if part.dtype.kind == "f":
        part = np.ascontiguousarray(part, f"f{bits // 8}").view(f"u{bits // 8}")
    words = part.astype(np.int64).astype(np.uint64)
    if predictor == 2:
        words = np.diff(words, axis=1, prepend=np.zeros_like(words[:, :1]))
    if bits in {8, 16, 32, 64}:
        return words.astype(f"{order}u{bits // 8}").tobytes()
    if bits % 8 == 0:
        data = words.reshape(-1, 1).astype(">u8").view(np.uint8)[:, 8 - bits // 8 :]
        return (data if order == ">" else data[:, ::-1]).tobytes()
    single = np.unpackbits(words.reshape(-1, 1).astype(">u8").view(np.uint8), axis=1)[:, 64 - bits :]
    return np.packbits(single.reshape(height, -1), axis=1).tobytes()


def _directory(tags: dict[int, tuple[int, list[int]]], where: int, order: str, big: bool) -> bytes:
    room, number, address = (8, "Q", "Q") if big else (4, "H", "I")
    after = where + struct.calcsize(f"={number}{address}") + len(tags) * (12 + 2 * (room - 4))
    entries, rest = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        data = struct.pack(f"{order}{len(values)}{_CODES[kind]}", *values)
        if len(data) > room:
            data, rest = struct.pack(f"{order}{address}", after + len(rest)), rest + data
        entries += struct.pack(f"{order}HH{address}", tag, kind, len(values)) + data.ljust(room, b"\0")
    return struct.pack(f"{order}{number}", len(tags)) + entries + bytes(room) + rest
