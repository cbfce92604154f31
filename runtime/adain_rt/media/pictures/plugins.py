"""HEIC and JPEG XL, which Pillow reads by plug-ins: ``pip install 'adain-rt[photos]'``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO, cast

from PIL import Image, ImageFile

from adain_models.errors import AdainError
from adain_rt.media.pictures.formats import MAX_PIXELS

__all__ = ["find_plugin", "read_jxl_size"]

_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_CODESTREAM = b"\xff\x0a"
_CONTAINER = b"\0\0\0\x0cJXL \r\n\x87\n"
_LONGEST_SIZE = 16  # bytes
_JXL_SIZES = ((9, 1), (13, 1), (18, 1), (30, 1))
_JXL_RATIOS = (None, (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))

Opener = Callable[[BinaryIO, str], ImageFile.ImageFile]


def find_plugin(head: bytes) -> Opener | None:
    """Return what opens a file that begins with ``head``, if this is a format of a plug-in."""
    if head[4:8] == b"ftyp":
        length = int.from_bytes(head[:4], "big")
        brands = {head[8:12], *(head[at : at + 4] for at in range(16, min(length, len(head)), 4))}
        if brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS:
            return _open_heif
    return _open_jxl if head.startswith((_CODESTREAM, _CONTAINER)) else None


def _open_heif(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    try:
        from pillow_heif import HeifImageFile
    except ImportError:
        raise _missing(name, "HEIC") from None
    return cast(ImageFile.ImageFile, HeifImageFile(file))


def _open_jxl(file: BinaryIO, name: str) -> ImageFile.ImageFile:
    """Open a JPEG XL. The plug-in decodes it at once, so that its size is read before."""
    try:
        from pillow_jxl.JpegXLImagePlugin import JXLImageFile
    except ImportError:
        raise _missing(name, "JPEG XL") from None
    width, height = read_jxl_size(file.read())
    if width * height > MAX_PIXELS:
        raise Image.DecompressionBombError
    file.seek(0)
    return cast(ImageFile.ImageFile, JXLImageFile(file))


def _missing(name: str, kind: str) -> AdainError:
    return AdainError(f"{name}: is a {kind} picture, which needs a plug-in", hint="pip install 'adain-rt[photos]'")


def read_jxl_size(data: bytes) -> tuple[int, int]:
    """Return the width and height that a JPEG XL states (ISO/IEC 18181-1, SizeHeader), or others if it is broken."""
    start = data.find(_CODESTREAM) + len(_CODESTREAM)
    bits = _split_bits(data[start : start + _LONGEST_SIZE].ljust(_LONGEST_SIZE, b"\0"))

    def take(count: int) -> int:
        return sum(next(bits) << place for place in range(count))

    small = take(1)

    def side() -> int:
        if small:
            return 8 * (take(5) + 1)
        count, least = _JXL_SIZES[take(2)]
        return take(count) + least

    height = side()
    ratio = _JXL_RATIOS[take(3)]
    return (side() if ratio is None else height * ratio[0] // ratio[1]), height


def _split_bits(data: bytes) -> Iterator[int]:
    """Yield bits, the lowest of each byte first."""
    for byte in data:
        yield from (byte >> place & 1 for place in range(8))
