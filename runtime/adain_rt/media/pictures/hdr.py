"""HDR that is lost: what a user should know of it."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image

from adain_rt.media.pictures.xmp import GAIN_MAPS

__all__ = ["describe_lost_hdr", "describe_transfer"]

_TRANSFERS = {16: "PQ", 18: "HLG"}  # the transfer functions of HDR, as ITU-T H.273 numbers them
_GAIN_MAP = "has a gain map for HDR, which is left out; its SDR picture is stylised"
_ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1"  # in a JPEG's second kind of application marker
_APPLE_GAIN_MAP = b":aux:hdrgainmap"  # the type of an auxiliary image in HEIC
_COLOURS = b"colrnclx"  # ISO/IEC 14496-12: a box of coded colours: primaries, then transfer, of two bytes each
_BOXES = 1 << 16  # the bytes at the start of a file that are searched for boxes


def describe_lost_hdr(image: Image.Image, file: BinaryIO) -> str | None:
    """Return a remark if an opened picture is, or can become, one in HDR. It is stylised as if it were not."""
    xmp = image.info.get("xmp")
    if isinstance(xmp, bytes) and any(name.encode() in xmp for name in GAIN_MAPS):
        return _GAIN_MAP
    if any(name == "APP2" and data.startswith(_ISO_GAIN_MAP) for name, data in getattr(image, "applist", ())):
        return _GAIN_MAP
    if image.format in {"AVIF", "HEIF"}:
        place = file.tell()
        file.seek(0)
        head = file.read(_BOXES)
        file.seek(place)
        found = head.find(_COLOURS)
        transfer = int.from_bytes(head[found + 10 : found + 12], "big") if found >= 0 else 0
        return describe_transfer(transfer) or (_GAIN_MAP if _APPLE_GAIN_MAP in head else None)
    return None


def describe_transfer(transfer: int) -> str | None:
    """Return a remark if a transfer function is one of HDR."""
    if transfer not in _TRANSFERS:
        return None
    return f"is in HDR ({_TRANSFERS[transfer]}) and is not tone-mapped; its colours may look dull"
