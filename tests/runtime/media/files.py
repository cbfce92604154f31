"""Picture files to read, made byte by byte where no library makes them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image
from tests.photos import sample

from adain_models.errors import AdainError
from adain_rt.media.pictures import Picture, read_picture

Pixels = NDArray[np.uint8]

EXTENSIONS = [".jpg", ".png", ".webp", ".tiff", ".bmp", ".avif"]
LOSSLESS = {".png", ".tiff", ".bmp"}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description dc:title="harbour"%s/></x:xmpmeta>'


def photograph(height: int = 60, width: int = 90) -> Pixels:
    """A smooth picture whose four corners differ."""
    china = Image.fromarray(sample("china.jpg"))
    return np.array(china.resize((width, height), Image.Resampling.LANCZOS))


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def read(data: bytes) -> Picture:
    return read_picture(io.BytesIO(data))


def refusal(data: bytes) -> str:
    with pytest.raises(AdainError) as caught:
        read(data)
    return str(caught.value)


def difference(one: Pixels, other: Pixels) -> int:
    return int(np.abs(one.astype(int) - other).max())


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    size: tuple[int, int], depth: int, color_type: int, rows: bytes, *, interlaced: int = 0, **chunks: bytes
) -> bytes:
    """A PNG file from its rows, each after its filter's byte, and from chunks that stand before them."""
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, interlaced))]
    parts += [chunk(name.encode(), data) for name, data in chunks.items()]
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def profile(space: bytes, connection: bytes, **tags: bytes) -> bytes:
    """An ICC version 2 input profile (ICC.1:2001-04) of the tags given and a D50 white."""
    tags["wtpt"] = xyz(0.9642, 1.0, 0.8249)
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += name.encode() + struct.pack(">II", 128 + 4 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4xI", 132 + 12 * len(tags) + len(body), 0x02400000)
    header += b"scnr" + space + connection + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + b"acsp"
    return header.ljust(128, b"\0") + table + body


def xyz(*values: float) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


LINEAR = b"curv" + bytes(8)
SRGB_D50 = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
DISPLAY_P3_D50 = np.array(
    [[0.515102, 0.291965, 0.157153], [0.241182, 0.692236, 0.066582], [-0.001049, 0.041882, 0.784378]]
)


def linear_profile(matrix: NDArray[np.float64]) -> bytes:
    primaries = {f"{name}XYZ": xyz(*matrix[:, i]) for i, name in enumerate("rgb")}
    return profile(b"RGB ", b"XYZ ", **primaries, rTRC=LINEAR, gTRC=LINEAR, bTRC=LINEAR)


def cmyk_profile() -> bytes:
    """A CMYK profile that knows one ink: full cyan is Lab (50, -40, -30)."""
    lab = [(50, 88, 98) if ink & 8 else (100, 128, 128) for ink in range(16)]
    cube = bytes(value for light, a, b in lab for value in (round(light * 2.55), a, b))
    identity = struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9)))
    ramp = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + cube + ramp * 3
    return profile(b"CMYK", b"Lab ", A2B0=table)


def srgb_encoded(linear: NDArray[np.float64]) -> NDArray[np.float64]:
    """IEC 61966-2-1, to 0..255."""
    linear = linear.clip(0, 1)
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def stored_with(orientation: int, upright: Pixels) -> Pixels:
    """What a camera stores so that the orientation shows ``upright`` (EXIF 2.32, tag 0x0112)."""
    turned = upright.transpose(1, 0, 2)
    return {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: turned,
        6: turned[::-1],
        7: turned[::-1, ::-1],
        8: turned[:, ::-1],
    }[orientation]


def exif_with(**tags: Any) -> Image.Exif:
    exif = Image.Exif()
    for name, value in tags.items():
        exif[ExifTags.Base[name]] = value
    return exif


def documented() -> Picture:
    exif = exif_with(Artist="me", Orientation=3)
    exif[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: "2020:02:03 04:05:06",
        ExifTags.Base.ColorSpace: 65535,
        ExifTags.Base.ExifImageWidth: 90,
        ExifTags.Base.MakerNote: b"secret preview",
    }
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    data = encoded(Image.fromarray(photograph()), "JPEG", exif=exif, xmp=XMP % b"", dpi=(300, 150))
    return read(data)
