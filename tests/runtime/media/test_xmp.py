"""XMP: what is no longer true of the stylised picture is not kept."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from PIL import Image
from tests.runtime.media.files import encoded, photograph, read

from adain_rt.media.pictures import Picture

HEAD = (
    '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/jpeg" '
)
TAIL = "</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
TITLE = "<dc:title>harbour</dc:title>"
UNTRUE = {
    "gain map": (
        'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" hdrgm:GainMapMax="3"',
        "<hdrgm:Gamma>1</hdrgm:Gamma>",
    ),
    "container": (
        'xmlns:C="http://ns.google.com/photos/1.0/container/" xmlns:I="http://ns.google.com/photos/1.0/container/item/"',
        '<C:Directory><rdf:Seq><rdf:li><C:Item I:Length="9"/></rdf:li></rdf:Seq></C:Directory>',
    ),
    "motion photo": (
        'xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1" GCamera:MicroVideoOffset="9"',
        "",
    ),
    "depth": ('xmlns:GDepth="http://ns.google.com/photos/1.0/depthmap/" GDepth:Format="RangeInverse"', ""),
    "extended": ('xmlns:n="http://ns.adobe.com/xmp/note/" n:HasExtendedXMP="9F"', ""),
    "sizes": (
        'xmlns:exif="http://ns.adobe.com/exif/1.0/" exif:PixelXDimension="9"',
        '<tiff:ImageWidth xmlns:tiff="http://ns.adobe.com/tiff/1.0/">9</tiff:ImageWidth>',
    ),
}
PLACES = {
    "panorama": ('xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" GPano:FullPanoWidthPixels="90"', ""),
    "regions": (
        'xmlns:mwg="http://www.metadataworkinggroup.com/schemas/regions/"',
        '<mwg:Regions><mwg:AppliedToDimensions w="90" h="60"/></mwg:Regions>',
    ),
}


def packet(attributes: str, elements: str) -> bytes:
    return (HEAD + attributes + ">" + TITLE + elements + TAIL).encode()


def picture_with(xmp: bytes) -> Picture:
    return read(encoded(Image.fromarray(photograph()), "WEBP", lossless=True, xmp=xmp))


def names(xmp: bytes | None) -> set[str]:
    """The namespaces and names in a packet."""
    assert xmp is not None
    found = {name for element in ET.fromstring(xmp).iter() for name in (element.tag, *element.attrib)}  # noqa: S314
    return {name.removeprefix("{") for name in found}


@pytest.mark.parametrize("name", UNTRUE)
def test_what_describes_other_parts_of_the_file_is_dropped_and_the_rest_is_kept(name: str) -> None:
    xmp = picture_with(packet(*UNTRUE[name])).xmp
    assert names(xmp) == names(packet("", ""))
    assert b"harbour" in (xmp or b"")
    assert (xmp or b"").startswith(b"<?xpacket begin")


@pytest.mark.parametrize("name", PLACES)
def test_places_are_kept_at_the_same_size_and_dropped_at_another(name: str) -> None:
    picture = picture_with(packet(*PLACES[name]))
    assert names(picture.xmp) == names(packet(*PLACES[name]))
    assert picture.fit(0, crop=False).xmp == picture.xmp
    for other in (picture.fit(30, crop=False), picture.fit(0, crop=True)):
        assert names(other.xmp) == names(packet("", ""))


def test_a_panorama_outlives_a_container() -> None:
    both = tuple(" ".join(parts) for parts in zip(UNTRUE["container"], PLACES["panorama"], strict=True))
    assert names(picture_with(packet(*both)).xmp) == names(packet(*PLACES["panorama"]))


@pytest.mark.parametrize(
    "packed",
    [
        b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + packet(*UNTRUE["gain map"]),
        packet(*UNTRUE["gain map"])[:-40],
        packet(*UNTRUE["gain map"]).replace(b"harbour", b"\xff"),
    ],
    ids=["entities", "cut", "bytes"],
)
def test_a_broken_packet_with_something_untrue_is_dropped(packed: bytes) -> None:
    assert picture_with(packed).xmp is None


def test_a_packet_that_is_true_is_kept_byte_for_byte() -> None:
    assert picture_with(packet("", "")).xmp == packet("", "")


def test_a_gain_map_that_is_lost_is_told() -> None:
    remark = "has a gain map for HDR, which is left out; its SDR picture is stylised"
    data = encoded(Image.fromarray(photograph()), "JPEG", xmp=packet(*UNTRUE["gain map"]))
    assert read(data).remarks == (remark,)
    assert read(encoded(Image.fromarray(photograph()), "JPEG", xmp=packet(*UNTRUE["container"]))).remarks == ()
    iso = b"urn:iso:std:iso:ts:21496:-1\0" + bytes(4)
    marker = b"\xff\xe2" + (len(iso) + 2).to_bytes(2, "big") + iso
    plain = encoded(Image.fromarray(photograph()), "JPEG")
    assert read(plain[:2] + marker + plain[2:]).remarks == (remark,)


def test_avif_in_hdr_is_told() -> None:
    data = encoded(Image.fromarray(photograph()), "AVIF")
    at = data.index(b"colrnclx") + 10
    assert read(data).remarks == ()
    assert read(data[:at] + b"\0\x10" + data[at + 2 :]).remarks[0].startswith("is in HDR (PQ)")
