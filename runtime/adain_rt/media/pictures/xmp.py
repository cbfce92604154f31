"""XMP: what is kept of a packet is what stays true of the stylised picture."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["GAIN_MAPS", "drop_geometry", "keep_xmp"]

GAIN_MAPS = ("http://ns.adobe.com/hdr-gain-map/", "http://ns.apple.com/HDRGainMap/")
"""The namespaces of what describes a gain map, which lifts a picture to HDR."""

_LONGEST_XMP = 1 << 16  # what a JPEG can carry; a longer packet is dropped, not searched
_ORIENTATION = re.compile(
    rb"""tiff:Orientation\s{0,9}=\s{0,9}["'][^"'<>]{0,20}["']|<tiff:Orientation>[^<]{0,20}</tiff:Orientation>"""
)
_THUMBNAILS = (b"<xmp:Thumbnails>", b"</xmp:Thumbnails>"), (b"<xap:Thumbnails>", b"</xap:Thumbnails>")

_GOOGLE = "http://ns.google.com/photos/"
_PANORAMA = f"{_GOOGLE}1.0/panorama/"
# Gain maps, films, depth maps and sounds that stand in the file beside the picture, and more XMP elsewhere in it.
_BESIDE = (*GAIN_MAPS, _GOOGLE, "http://ns.adobe.com/xmp/note/")
_SIZES = ("PixelXDimension", "PixelYDimension", "ImageWidth", "ImageLength")
_SIZED = ("http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/tiff/1.0/")
_PLACES = (_PANORAMA, "http://www.metadataworkinggroup.com/schemas/regions/", "http://ns.microsoft.com/photo/1.2/")


def keep_xmp(xmp: object) -> bytes | None:
    """Return an XMP packet without orientation, thumbnails, sizes, and what describes other parts of the file."""
    if not isinstance(xmp, bytes) or len(xmp) > _LONGEST_XMP:
        return None
    for start, end in _THUMBNAILS:
        before, found, rest = xmp.partition(start)
        if found:
            xmp = before + rest.partition(end)[2]
    xmp = _ORIENTATION.sub(b"", xmp)
    stale = any(name.encode() in xmp for name in (*_BESIDE, *_SIZES))
    return (_drop(xmp, _is_untrue) if stale else xmp) or None


def drop_geometry(xmp: bytes) -> bytes | None:
    """Return an XMP packet without panoramas and regions, which are elsewhere in a picture of another size."""
    return _drop(xmp, _is_geometry) if any(name.encode() in xmp for name in _PLACES) else xmp


def _is_untrue(namespace: str, name: str) -> bool:
    beside = namespace.startswith(_BESIDE) and namespace != _PANORAMA
    return beside or (namespace in _SIZED and name in _SIZES)


def _is_geometry(namespace: str, name: str) -> bool:  # noqa: ARG001 - as _is_untrue
    return namespace.startswith(_PLACES)


def _drop(xmp: bytes, unwanted: Any) -> bytes | None:
    """Return a packet without the properties that are unwanted, by namespace and name; ``None`` if it is broken."""
    from xml.dom import minidom
    from xml.parsers.expat import ExpatError

    if b"<!" in xmp:  # a packet declares nothing; entities could make it grow without end
        return None
    try:
        document = minidom.parseString(xmp.strip(b"\0"))  # noqa: S318 - short, and without entities
    except ExpatError:
        return None
    for element in document.getElementsByTagName("*"):
        for attribute in list(element.attributes.values()):
            if unwanted(attribute.namespaceURI or "", attribute.localName or ""):
                element.removeAttributeNode(attribute)
        if element.parentNode is not None and unwanted(element.namespaceURI or "", element.localName):
            element.parentNode.removeChild(element)
    return "".join(node.toxml() for node in document.childNodes).encode()
