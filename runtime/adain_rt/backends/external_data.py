"""Where the data of an ONNX file are: read, and checked, before a library opens the file.

A file names the files that hold its weights, and whoever made it may name any. The libraries' own checks differ with
their versions, and OpenVINO takes one name for an address in memory. To let ONNX Runtime check a file for the others
would cost each start a session. So the names are read here, in a millisecond and without the package ``onnx``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from adain_models.errors import AdainError

__all__ = ["check_locations", "find_locations"]

_KEY = b"location"
_VARINT, _FIXED64, _PAYLOAD, _GROUP, _GROUP_END, _FIXED32 = range(6)
"""How a field is stored: https://protobuf.dev/programming-guides/encoding/"""

_DEEPEST = 100  # as far as protobuf's own readers go


class _NoMessageError(ValueError):
    """Bytes are not a message of protobuf's."""


def check_locations(path: Path) -> set[str]:
    """Return the names of the files that hold the data of an ONNX file. They may be missing.

    Raises:
        AdainError: the file cannot be read, or names something else than a file beside it.

    """
    try:
        names = find_locations(path.read_bytes())
    except OSError as error:
        raise AdainError(f"{path}: the graph cannot be read ({error.strerror})") from None
    for name in sorted(names):
        plain = Path(name).name == name and not {"\\", "\0"}.intersection(name)
        if not plain or _is_no_file(path.parent / name):
            raise AdainError(
                f"{path}: the graph's data must be in a file beside it, not in {name[:60]!r}", hint="export it again"
            )
    return names


def _is_no_file(path: Path) -> bool:
    """Whether something is there that is not a file."""
    return os.path.exists(path) and not os.path.isfile(path)  # noqa: PTH110, PTH113 - these raise nothing


def find_locations(data: bytes) -> set[str]:
    """Return every ``location`` of external data in an ONNX file.

    Whatever can be read as a message is, so that no place in the format where a tensor may be is forgotten. At worst a
    text that looks like such an entry counts as one.
    """
    return {location.decode("utf-8", "surrogateescape") for location in _find(data, 0, len(data), 0)}


def _find(data: bytes, start: int, end: int, depth: int) -> Iterator[bytes]:
    """Yield the values of each entry with the key ``location`` in a message, at any depth."""
    if depth > _DEEPEST or data.find(_KEY, start, end) < 0:
        return
    try:
        payloads = list(_payloads(data, start, end))
    except _NoMessageError:
        return
    if any(number == 1 and data[first:last] == _KEY for number, first, last in payloads):
        values = [data[first:last] for number, first, last in payloads if number == 2]  # noqa: PLR2004 - the value
        yield from values or [b""]
    for _, first, last in payloads:
        yield from _find(data, first, last, depth + 1)


def _payloads(data: bytes, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield the number, start and end of each field of a message that has a length."""
    while place < end:
        tag, place = _read_varint(data, place, end)
        kind = tag & 7
        if kind == _VARINT:
            _, place = _read_varint(data, place, end)
        elif kind == _FIXED64:
            place += 8
        elif kind == _FIXED32:
            place += 4
        elif kind == _PAYLOAD:
            size, start = _read_varint(data, place, end)
            place = start + size
            yield tag >> 3, start, place
        elif kind not in (_GROUP, _GROUP_END):  # the fields of a group are read as if they stood outside
            raise _NoMessageError
        if place > end:
            raise _NoMessageError


def _read_varint(data: bytes, place: int, end: int) -> tuple[int, int]:
    """Return a number of 32 bits, as tags and lengths are, and the place after it."""
    number = 0
    for shift in range(0, 70, 7):
        if place >= end:
            break
        byte = data[place]
        place += 1
        number |= (byte & 127) << shift
        if byte < 128:  # noqa: PLR2004 - the number ends
            return number & 0xFFFFFFFF, place
    raise _NoMessageError
