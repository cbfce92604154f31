"""EXIF, XMP and resolution, from file to file."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from tests.runtime.media.files import (
    EXTENSIONS,
    XMP,
    difference,
    documented,
    encoded,
    exif_with,
    photograph,
    read,
)

from adain_rt.media.pictures import (
    Picture,
    encode_picture,
    read_picture,
    write_picture,
)


@pytest.mark.parametrize("extension", sorted(set(EXTENSIONS) - {".bmp"}))
def test_exif_and_xmp_are_kept(extension: str, tmp_path: Path) -> None:
    write_picture(tmp_path / f"out{extension}", documented())
    with Image.open(tmp_path / f"out{extension}") as image:
        image.load()
        exif = image.getexif()
        details = exif.get_ifd(ExifTags.IFD.Exif)
        assert exif[ExifTags.Base.Artist] == "me"
        assert details[ExifTags.Base.DateTimeOriginal] == "2020:02:03 04:05:06"
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"
        assert b"harbour" in image.info["xmp"]
        assert details[ExifTags.Base.ColorSpace] == 1  # sRGB, as the pixels now are
        assert ExifTags.Base.MakerNote not in details
        assert ExifTags.Base.ExifImageWidth not in details


@pytest.mark.parametrize("extension", [".jpg", ".png", ".tiff", ".bmp"])
def test_the_resolution_is_kept(extension: str, tmp_path: Path) -> None:
    write_picture(tmp_path / f"out{extension}", documented())
    assert read_picture(tmp_path / f"out{extension}").dpi == pytest.approx((300, 150), abs=0.02)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_tiffs_tags_of_storage_do_not_reach_the_output(extension: str, tmp_path: Path) -> None:
    exif = exif_with(Artist="me", Copyright="mine", XPTitle="a title".encode("utf-16-le"), Rating=4)
    data = encoded(Image.fromarray(photograph()), "TIFF", compression="tiff_lzw", exif=exif)
    picture = read(data)
    write_picture(tmp_path / f"out{extension}", picture)
    kept = Image.Exif()
    kept.load(picture.exif or b"")
    assert set(kept) == {
        ExifTags.Base.Artist,
        ExifTags.Base.Copyright,
        ExifTags.Base.XPTitle,
        ExifTags.Base.Rating,
    }
    assert difference(read_picture(tmp_path / f"out{extension}").pixels[::59, ::89], photograph()[::59, ::89]) < 40


def test_the_thumbnails_are_dropped() -> None:
    # Big-endian TIFF: a main directory of no entries, then one that points to a thumbnail.
    thumbnail = struct.pack(">H", 2) + struct.pack(">HHII", 0x201, 4, 1, 44) + struct.pack(">HHII", 0x202, 4, 1, 5)
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HI", 0, 14) + thumbnail + bytes(4) + b"THUMB"
    xmp = XMP % b"><xmp:Thumbnails><rdf:Alt>THUMB</rdf:Alt></xmp:Thumbnails><x"
    picture = read(encoded(Image.fromarray(photograph()), "WEBP", exif=exif, xmp=xmp))
    assert picture.exif is None
    assert picture.xmp is not None
    assert b"THUMB" not in picture.xmp


@pytest.mark.parametrize("dpi", [(0, 0), (0.2, 72)])
def test_an_absurd_resolution_is_left_out(dpi: tuple[float, float]) -> None:
    data = encoded(Image.fromarray(photograph()), "TIFF", dpi=dpi)
    assert read(data).dpi is None


def test_metadata_too_long_for_a_jpeg_is_left_out_of_it_and_kept_elsewhere() -> None:
    exif = exif_with(ImageDescription="long " * 20_000).tobytes()
    picture = Picture(photograph(), None, "PNG", exif=exif, xmp=XMP % (b" " * 65_100))
    jpeg, webp = (read(encode_picture(picture, name)) for name in ("JPEG", "WEBP"))
    assert (jpeg.exif, jpeg.xmp) == (None, None)
    assert (webp.exif, webp.xmp) == (picture.exif, picture.xmp)


@pytest.mark.parametrize("repeated", [b"<tiff:Orientation>", b"tiff:Orientation='", b"<xmp:Thumbnails>"])
def test_an_xmp_packet_made_to_be_slow_to_search_is_read_at_once(repeated: bytes) -> None:
    for times in (3_000, 100_000):
        picture = Picture(photograph(), None, "WEBP", xmp=repeated * times)
        started = time.perf_counter()
        read(encode_picture(picture, "WEBP"))
        assert time.perf_counter() - started < 5  # it took minutes where the search was quadratic


def test_a_tiff_without_a_resolution_stays_without(tmp_path: Path) -> None:
    write_picture(tmp_path / "a.tif", Picture(photograph(), None, "TIFF"))
    assert read_picture(tmp_path / "a.tif").dpi is None
