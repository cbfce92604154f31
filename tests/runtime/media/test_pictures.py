from __future__ import annotations

import errno
import io
import struct
import subprocess
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageOps
from tests.photos import sample

from adain_models.errors import AdainError
from adain_rt.media.pictures import (
    MAX_PIXELS,
    READABLE,
    WRITABLE,
    Picture,
    center_square,
    check_writable,
    encode_picture,
    read_mask,
    read_picture,
    resize_to,
    write_picture,
)

Pixels = NDArray[np.uint8]

FORMATS = sorted(set(READABLE.values()))
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


# -- building files -----------------------------------------------------------------------------------------


def png(size: tuple[int, int], depth: int, color_type: int, rows: bytes, **chunks: bytes) -> bytes:
    """A PNG file from its rows, each after its filter's byte."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, color_type, 0, 0, 0))]
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


# -- orientation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("file_format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}, 4),
        ("PNG", {}, 0),
        ("TIFF", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 6),
    ],
)
def test_the_exif_orientation_is_applied(
    orientation: int, file_format: str, options: dict[str, Any], tolerance: int
) -> None:
    upright = photograph()
    stored = Image.fromarray(np.ascontiguousarray(stored_with(orientation, upright)))
    picture = read(encoded(stored, file_format, exif=exif_with(Orientation=orientation), **options))
    assert picture.pixels.shape == upright.shape
    assert difference(picture.pixels, upright) <= tolerance
    assert picture.pixels.flags.c_contiguous


@pytest.mark.parametrize("attribute", [b' tiff:Orientation="6"', b"><tiff:Orientation>6</tiff:Orientation><x"])
def test_an_orientation_in_xmp_is_applied_and_taken_out(attribute: bytes) -> None:
    stored = Image.fromarray(np.ascontiguousarray(stored_with(6, photograph())))
    picture = read(encoded(stored, "WEBP", lossless=True, xmp=XMP % attribute))
    assert np.array_equal(picture.pixels, photograph())
    assert picture.xmp is not None
    assert b"Orientation" not in picture.xmp
    assert b"harbour" in picture.xmp


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_what_is_written_is_not_turned_again(extension: str, tmp_path: Path) -> None:
    stored = Image.fromarray(np.ascontiguousarray(stored_with(6, photograph())))
    exif, xmp = exif_with(Orientation=6, Artist="me"), XMP % b' tiff:Orientation="6"'
    picture = read(encoded(stored, "JPEG", exif=exif, xmp=xmp))
    write_picture(tmp_path / f"out{extension}", picture)
    with Image.open(tmp_path / f"out{extension}") as image:
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        assert ImageOps.exif_transpose(image).size == (90, 60)
    assert read_picture(tmp_path / f"out{extension}").pixels.shape == (60, 90, 3)


# -- colours ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("matrix", [SRGB_D50, DISPLAY_P3_D50, SRGB_D50[:, ::-1]], ids=["srgb", "p3", "swapped"])
def test_a_profile_of_primaries_is_converted_to_srgb(matrix: NDArray[np.float64]) -> None:
    soft = photograph() // 2 + 60  # colours that exist in sRGB
    expected = srgb_encoded(soft / 255 @ matrix.T @ np.linalg.inv(SRGB_D50).T)
    picture = read(encoded(Image.fromarray(soft), "PNG", icc_profile=linear_profile(matrix)))
    assert np.abs(picture.pixels - expected).max() <= 1.5


@pytest.mark.parametrize("mode", ["L", "LA"])
def test_a_grey_profile_is_converted_to_srgb(mode: str) -> None:
    ramp = np.arange(256, dtype=np.uint8)[None]
    gamma = b"curv" + struct.pack(">4xIH2x", 1, round(2.2 * 256))
    data = encoded(Image.fromarray(ramp).convert(mode), "PNG", icc_profile=profile(b"GRAY", b"XYZ ", kTRC=gamma))
    assert np.abs(read(data).pixels[..., 1] - srgb_encoded((ramp / 255) ** 2.2)).max() <= 1


def test_a_profile_leaves_the_alpha_alone() -> None:
    rgba = np.dstack([photograph(), np.full((60, 90), 255, np.uint8)])
    rgba[:10, :, 3] = 128
    picture = read(encoded(Image.fromarray(rgba), "PNG", icc_profile=linear_profile(SRGB_D50)))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, rgba[..., 3])
    assert np.abs(picture.pixels[20:] - srgb_encoded(rgba[20:, :, :3] / 255)).max() <= 1.5


@pytest.mark.parametrize(
    "damaged",
    [b"no profile", linear_profile(SRGB_D50)[:200], profile(b"GRAY", b"XYZ ", kTRC=LINEAR), cmyk_profile()],
    ids=["text", "truncated", "grey", "cmyk"],
)
def test_a_profile_that_is_broken_or_for_other_channels_is_ignored(damaged: bytes) -> None:
    picture = read(encoded(Image.fromarray(photograph()), "PNG", icc_profile=damaged))
    assert np.array_equal(picture.pixels, photograph())


def test_cmyk_without_a_profile_is_read_with_inks_the_right_way_round() -> None:
    inks = {(0, 0, 0, 0): (255, 255, 255), (255, 0, 0, 0): (0, 255, 255), (0, 0, 0, 255): (0, 0, 0)}
    for ink, color in inks.items():
        picture = read(encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100))
        assert difference(picture.pixels, np.full((16, 16, 3), color, np.uint8)) <= 2
        assert picture.format == "JPEG"


def test_cmyk_is_converted_by_its_profile() -> None:
    options = {"quality": 100, "icc_profile": cmyk_profile()}
    cyan = read(encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), "JPEG", **options))
    white = read(encoded(Image.new("CMYK", (16, 16)), "JPEG", **options))
    # CIE Lab (50, -40, -30) lies at about (0, 136, 168) in sRGB, and plain cyan at (0, 255, 255).
    assert difference(cyan.pixels, np.full((16, 16, 3), (0, 136, 168), np.uint8)) <= 8
    assert difference(white.pixels, np.full((16, 16, 3), 255, np.uint8)) <= 2


@pytest.mark.parametrize("mode", ["YCbCr", "LAB"])
def test_a_tiff_of_other_channels_is_read_as_rgb(mode: str) -> None:
    picture = read(encoded(Image.fromarray(photograph()).convert(mode), "TIFF", compression="tiff_lzw"))
    assert np.abs(picture.pixels.astype(int) - photograph()).mean() < 2  # 8-bit YCbCr and Lab round


@pytest.mark.parametrize(
    ("mode", "file_format"),
    [("L", "PNG"), ("L", "JPEG"), ("1", "PNG"), ("1", "TIFF"), ("L", "JPEG2000"), ("L", "PPM"), ("L", "GIF")],
)
def test_grey_and_bilevel_pictures_are_read_as_rgb(mode: str, file_format: str) -> None:
    grey = Image.fromarray(photograph()).convert(mode)
    options = {"quality": 100} if file_format == "JPEG" else {}
    picture = read(encoded(grey, file_format, **options))
    assert difference(picture.pixels, np.array(grey.convert("RGB"))) <= (2 if file_format == "JPEG" else 0)
    assert np.array_equal(picture.pixels[..., 0], picture.pixels[..., 2])


@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_is_scaled_and_rounded(file_format: str) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = read(encoded(Image.fromarray(values), file_format))
    assert np.array_equal(picture.pixels[..., 0], np.rint(values / 65535 * 255))
    assert picture.alpha is None


def test_16_bit_rgb_is_reduced_to_8_bits() -> None:
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, 3))
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    picture = read(png((7, 5), 16, 2, rows))
    assert np.abs(picture.pixels - values / 257).max() <= 1  # Pillow keeps the high byte


@pytest.mark.parametrize("array", [np.full((3, 4), 0.5, np.float32), np.full((3, 4), 70_000, np.int32)])
def test_floats_and_wide_integers_are_refused_with_the_way_out(array: NDArray[Any]) -> None:
    assert refusal(encoded(Image.fromarray(array), "TIFF")).endswith("convert it to 8 or 16 bits")


# -- transparency -------------------------------------------------------------------------------------------


def test_a_palettes_transparent_colour_becomes_alpha() -> None:
    palette = Image.fromarray(photograph()).quantize(8)
    index = np.array(palette)
    picture = read(encoded(palette, "PNG", transparency=3))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, np.where(index == 3, 0, 255))
    assert np.array_equal(picture.pixels[index != 3], np.array(palette.convert("RGB"))[index != 3])


def test_a_palette_with_an_alpha_for_each_colour_keeps_it() -> None:
    palette = Image.fromarray(photograph()).quantize(4)
    picture = read(encoded(palette, "PNG", transparency=bytes([0, 80, 160, 255])))
    assert picture.alpha is not None
    assert np.array_equal(picture.alpha, np.array([0, 80, 160, 255])[np.array(palette)])


@pytest.mark.parametrize(
    ("mode", "key"), [("L", 7), ("RGB", (7, 7, 7)), ("1", 0), ("I;16", 1799)], ids=["L", "RGB", "1", "I;16"]
)
def test_a_colour_key_becomes_alpha(mode: str, key: Any) -> None:
    image = Image.new(mode, (4, 4), 60_000 if mode == "I;16" else "white")
    image.putpixel((2, 1), key)
    alpha = read(encoded(image, "PNG", transparency=key)).alpha
    assert alpha is not None
    assert (alpha == 0).sum() == 1
    assert alpha[1, 2] == 0


def test_grey_with_alpha_keeps_both() -> None:
    la = Image.merge("LA", [Image.new("L", (4, 4), 90), Image.new("L", (4, 4), 200)])
    picture = read(encoded(la, "PNG"))
    assert picture.alpha is not None
    assert (picture.alpha == 200).all()
    assert (picture.pixels == 90).all()


def test_unseen_colours_become_the_mean_of_the_seen_ones() -> None:
    rgba = np.zeros((4, 4, 4), np.uint8)  # transparent black
    rgba[0] = [200, 100, 50, 255]
    rgba[1] = [100, 100, 150, 255]
    rgba[2] = [0, 0, 0, 51]  # a fifth there
    picture = read(encoded(Image.fromarray(rgba), "PNG"))
    mean = np.array([300, 200, 200]) / 2.2
    assert np.array_equal(picture.pixels[:3], rgba[:3, :, :3])
    assert np.array_equal(picture.pixels[3], np.broadcast_to(np.rint(mean), (4, 3)))


def test_a_wholly_transparent_picture_keeps_its_colours() -> None:
    rgba = np.dstack([photograph(), np.zeros((60, 90), np.uint8)])
    picture = read(encoded(Image.fromarray(rgba), "PNG"))
    assert np.array_equal(picture.pixels, photograph())


# -- frames -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "AVIF", "TIFF"])
def test_the_first_frame_is_read_and_the_frames_are_counted(file_format: str) -> None:
    first, *rest = [Image.new("RGB", (20, 16), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if file_format == "WEBP" else {}
    picture = read(encoded(first, file_format, save_all=True, append_images=rest, **options))
    assert picture.frames == 3
    assert difference(picture.pixels, np.full((16, 20, 3), (255, 0, 0), np.uint8)) <= 3


def test_a_multi_picture_jpeg_is_one_photograph() -> None:
    images = [Image.fromarray(photograph()), Image.fromarray(photograph(30, 45))]
    picture = read(encoded(images[0], "MPO", save_all=True, append_images=images[1:]))
    assert (picture.format, picture.frames, picture.height, picture.width) == ("JPEG", 1, 60, 90)


# -- sizes and sources --------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("size", [(1, 1), (16, 4000), (4000, 16)])
def test_tiny_and_narrow_pictures_make_the_round_trip(size: tuple[int, int], extension: str, tmp_path: Path) -> None:
    picture = Picture(photograph(*size), None, "PNG")
    write_picture(tmp_path / f"out{extension}", picture)
    assert read_picture(tmp_path / f"out{extension}").pixels.shape == (*size, 3)


def test_a_stream_that_cannot_seek_is_read() -> None:
    class Pipe(io.BytesIO):
        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation("seek")

        def seekable(self) -> bool:
            return False

    data = encoded(Image.fromarray(photograph()), "PNG")
    assert np.array_equal(read_picture(Pipe(data)).pixels, photograph())


def test_threads_read_at_once_and_leave_the_warnings_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "corrupt-exif.jpg"
    path.write_bytes(encoded(Image.fromarray(photograph()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xffgarbage"))
    filters, limit = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    with ThreadPoolExecutor(8) as pool:
        pictures = list(pool.map(read_picture, [path] * 64))
    assert all(np.array_equal(picture.pixels, pictures[0].pixels) for picture in pictures)
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS) == (filters, limit)


# -- refusals -----------------------------------------------------------------------------------------------


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdainError, match=r"nowhere\.jpg: no such file"):
        read_picture(tmp_path / "nowhere.jpg")


def test_a_folder_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(AdainError, match="is a folder; name a picture in it"):
        read_picture(tmp_path)


def test_a_file_that_may_not_be_read_is_refused_with_the_systems_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(AdainError, match=r"locked\.jpg: cannot be read \(Permission denied\)"):
        read_picture(tmp_path / "locked.jpg")


def test_a_failing_stream_is_refused_by_its_name() -> None:
    class Broken(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(AdainError, match=r"stdin: cannot be read \(Input/output error\)"):
        read_picture(Broken(), "stdin")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(AdainError, match=r"empty\.jpg: is empty"):
        read_picture(tmp_path / "empty.jpg")


@pytest.mark.parametrize(
    "data",
    [
        b"<html>Not found</html>",
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
        encoded(Image.fromarray(photograph()), "EPS"),
        encoded(Image.fromarray(photograph()), "ICO"),
    ],
    ids=["text", "heic", "eps", "ico"],
)
def test_other_files_are_refused_with_the_formats_that_are_read(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(data)
    with pytest.raises(AdainError) as caught:
        read_picture(tmp_path / "picture.jpg")
    assert str(caught.value).startswith(str(tmp_path / "picture.jpg"))
    assert all(name in str(caught.value) for name in FORMATS)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        *((name, {}) for name in FORMATS),
        ("JPEG", {"progressive": True}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ],
)
def test_a_file_cut_short_is_refused(file_format: str, options: dict[str, Any], share: float) -> None:
    data = encoded(Image.fromarray(photograph()), file_format, **options)
    assert "\n" not in refusal(data[: int(share * len(data))])


@pytest.mark.parametrize("size", [(100_000, 100_000), (15_000, 10_000), (MAX_PIXELS + 1, 1), (2**31 - 1, 1)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(size: tuple[int, int]) -> None:
    assert refusal(png(size, 8, 0, b"")) == f"the input: has more than {MAX_PIXELS:,} pixels; use a smaller picture"


def test_a_picture_of_the_largest_size_is_decoded() -> None:
    assert "cut short" in refusal(png((MAX_PIXELS // 9, 9), 1, 0, b""))


def test_a_picture_that_does_not_fit_in_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image.Image, "getexif", fail)
    monkeypatch.setattr("adain_rt.media.pictures._alpha", fail)
    assert refusal(encoded(Image.fromarray(photograph()), "PNG")).endswith("use a smaller picture")


def test_a_damaged_exif_block_is_left_out() -> None:
    plain = encoded(Image.fromarray(photograph()), "PNG", exif=b"Exif\0\0neither II nor MM")
    picture = read(plain)
    assert np.array_equal(picture.pixels, photograph())
    assert picture.exif is None


def test_nothing_is_printed_whatever_is_read(tmp_path: Path) -> None:
    files = {
        "bomb.png": png((10_000, 9_000), 8, 0, b""),
        "exif.jpg": encoded(Image.fromarray(photograph()), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\xffgarbage"),
        "palette.png": encoded(Image.fromarray(photograph()).quantize(4), "PNG", transparency=b"\0\x80"),
        "cut.tif": encoded(Image.fromarray(photograph()), "TIFF")[:200],
        "text.jpg": b"text",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    program = """
import sys
from pathlib import Path
from adain_models.errors import AdainError
from adain_rt.media.pictures import read_picture
for path in Path(sys.argv[1]).iterdir():
    try:
        read_picture(path)
    except AdainError:
        pass
"""
    command = [sys.executable, "-W", "always", "-c", program, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    assert (done.stdout, done.stderr) == ("", "")


def test_importing_loads_no_colour_management_and_no_framework() -> None:
    program = (
        "import sys, adain_rt.media.pictures;"
        "print([name for name in ('PIL.ImageCms', 'torch', 'onnxruntime', 'click') if name in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - our own program
    assert done.stdout.strip() == "[]"


MAGIC = [
    b"",
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF89a",
    b"II*\0",
    b"BM",
    b"RIFF\xff\0\0\0WEBPVP8 ",
    b"P6 ",
]
VICTIMS = [
    encoded(Image.fromarray(photograph(12, 18)), "PNG", exif=exif_with(Orientation=6, Artist="me")),
    encoded(Image.fromarray(photograph(12, 18)), "JPEG", exif=exif_with(Orientation=6), icc_profile=cmyk_profile()),
    encoded(Image.fromarray(photograph(12, 18)), "WEBP", icc_profile=linear_profile(SRGB_D50), xmp=XMP % b""),
    encoded(Image.fromarray(photograph(12, 18)).quantize(16), "GIF", transparency=1),
    encoded(Image.fromarray(photograph(12, 18)), "TIFF", exif=exif_with(Artist="me"), dpi=(72, 72)),
]


def survives(data: bytes) -> None:
    try:
        picture = read(data)
    except AdainError as error:
        assert "\n" not in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert picture.pixels.dtype == np.uint8
        assert picture.pixels.ndim == 3


@given(magic=st.sampled_from(MAGIC), rest=st.binary(max_size=200))
@settings(deadline=None)
def test_random_bytes_are_read_or_refused(magic: bytes, rest: bytes) -> None:
    survives(magic + rest)


@given(
    victim=st.sampled_from(VICTIMS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
@settings(deadline=None, max_examples=1000)
def test_a_picture_with_bytes_changed_is_read_or_refused(victim: bytes, changes: list[tuple[float, int]]) -> None:
    mutated = bytearray(victim)
    for place, value in changes:
        mutated[int(place * len(mutated))] = value
    survives(bytes(mutated))


# -- masks --------------------------------------------------------------------------------------------------


def mask_of(image: Image.Image, tmp_path: Path, **options: Any) -> Pixels:
    image.save(tmp_path / "mask.png", **options)
    return read_mask(tmp_path / "mask.png")


def test_a_mask_is_the_grey_of_its_picture_upright(tmp_path: Path) -> None:
    grey = np.arange(200, dtype=np.uint8).reshape(10, 20)
    stored = Image.fromarray(np.ascontiguousarray(grey.T[::-1]))
    assert np.array_equal(mask_of(stored, tmp_path, exif=exif_with(Orientation=6)), grey)


def test_a_colour_masks_grey_is_its_luma(tmp_path: Path) -> None:
    assert mask_of(Image.new("RGB", (2, 2), (255, 0, 0)), tmp_path)[0, 0] == 76


@pytest.mark.parametrize("color", ["black", "white", "red"])
def test_a_shape_of_one_colour_on_a_transparent_ground_is_the_mask(color: str, tmp_path: Path) -> None:
    shape = np.zeros((8, 8), np.uint8)
    shape[2:5] = 255
    shape[5] = 100
    image = Image.new("RGBA", (8, 8), color)
    image.putalpha(Image.fromarray(shape))
    assert np.array_equal(mask_of(image, tmp_path), shape)


def test_in_a_mask_of_several_colours_the_transparent_is_outside(tmp_path: Path) -> None:
    image = Image.new("RGBA", (3, 1), "white")
    image.putpixel((1, 0), (0, 0, 0, 255))
    image.putpixel((2, 0), (255, 255, 255, 0))
    assert mask_of(image, tmp_path).tolist() == [[255, 0, 0]]


def test_an_opaque_mask_is_its_grey_even_if_it_is_all_one_colour(tmp_path: Path) -> None:
    assert mask_of(Image.new("RGBA", (3, 3), "black"), tmp_path).max() == 0


# -- writing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extension", [*WRITABLE, ".PNG", ".Jpg"])
def test_the_extension_tells_the_format(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{extension}"
    write_picture(path, Picture(photograph(), None, "PNG"))
    with Image.open(path) as image:
        assert image.format == WRITABLE[extension.lower()] == check_writable(path)


@pytest.mark.parametrize("name", ["out.gif", "out", "out.jpg.txt", ".png"])
def test_another_extension_is_refused_with_those_that_are_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(AdainError) as caught:
        check_writable(tmp_path / name)
    assert str(caught.value).endswith(", ".join(WRITABLE))
    with pytest.raises(AdainError, match="cannot tell the format"):
        write_picture(tmp_path / name, Picture(photograph(), None, "PNG"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_the_pixels_make_the_round_trip(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{extension}"
    pixels = photograph(427, 640)
    write_picture(path, Picture(pixels, None, "PNG"))
    error = np.abs(read_picture(path).pixels.astype(int) - pixels)
    # The lossy formats at their settings are off by 1 to 3 levels on average in this busy photograph.
    assert error.mean() <= (0 if extension in LOSSLESS else 3)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_alpha_is_kept_or_the_picture_is_laid_on_white(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{extension}"
    alpha = np.zeros((60, 90), np.uint8)
    alpha[:30] = 255
    write_picture(path, Picture(photograph(), alpha, "PNG"))
    picture = read_picture(path)
    assert np.abs(picture.pixels[:28].astype(int) - photograph()[:28]).mean() <= 3
    if extension in {".jpg", ".bmp"}:
        assert picture.alpha is None
        assert (picture.pixels[40:] >= 253).all()
    else:
        assert picture.alpha is not None
        assert difference(picture.alpha, alpha) <= 2


@pytest.mark.parametrize("extension", sorted(set(EXTENSIONS) - {".bmp"}))
def test_an_srgb_profile_is_embedded_with_a_fixed_date(extension: str) -> None:
    data = encode_picture(Picture(photograph(), None, "PNG"), WRITABLE[extension])
    with Image.open(io.BytesIO(data)) as image:
        embedded = image.info["icc_profile"]
    assert ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(embedded))).startswith("sRGB")
    assert embedded[24:36] == struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


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


def test_noise_is_written_as_jpeg() -> None:
    noise = np.random.default_rng(0).integers(0, 2, (600, 600, 3), dtype=np.uint8) * 255
    assert read(encode_picture(Picture(noise, None, "PNG"), "JPEG")).pixels.shape == noise.shape


@pytest.mark.parametrize(("file_format", "longest"), [("JPEG", 65_500), ("WEBP", 16_383), ("AVIF", 32_768)])
def test_a_side_too_long_for_the_format_is_refused_with_the_way_out(file_format: str, longest: int) -> None:
    line = np.zeros((2, longest + 1, 3), np.uint8)
    assert read(encode_picture(Picture(line[:, 1:], None, "PNG"), file_format)).width == longest
    with pytest.raises(AdainError, match=rf"ends at {longest} pixels a side.*use PNG or TIFF"):
        encode_picture(Picture(line, None, "PNG"), file_format)


def test_the_bytes_are_those_of_the_file(tmp_path: Path) -> None:
    write_picture(tmp_path / "out.png", documented())
    assert (tmp_path / "out.png").read_bytes() == encode_picture(documented(), "PNG")


def test_a_failed_write_leaves_nothing_behind_and_the_old_file_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "out.png").write_bytes(b"the old file")
    program = """
import resource, sys
import numpy as np
from pathlib import Path
from adain_rt.media.pictures import Picture, write_picture
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
write_picture(Path(sys.argv[1]), Picture(noise, None, "PNG"))
"""
    command = [sys.executable, "-c", program, str(tmp_path / "out.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program
    assert f"AdainError: {tmp_path / 'out.png'}: cannot be written (File too large)" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"the old file"


@pytest.mark.parametrize("error", [OSError("encoder error -2"), ValueError("bad\nvalue"), MemoryError()])
def test_a_failing_encoder_is_reported_on_one_line_and_the_old_file_stays(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    (tmp_path / "out.jpg").write_bytes(b"the old file")
    monkeypatch.setattr(Image.Image, "save", fail)
    with pytest.raises(AdainError) as caught:
        write_picture(tmp_path / "out.jpg", Picture(photograph(), None, "PNG"))
    assert str(caught.value).startswith(f"{tmp_path / 'out.jpg'}: cannot be written as JPEG")
    assert "\n" not in str(caught.value)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"the old file"]


# -- sizes --------------------------------------------------------------------------------------------------


def test_framing_crops_and_resizes_the_alpha_with_the_pixels() -> None:
    alpha = np.zeros((60, 90), np.uint8)
    alpha[:30] = 255
    framed = Picture(photograph(), alpha, "PNG").framed(30, crop=True)
    assert framed.alpha is not None
    assert framed.alpha.shape == (framed.height, framed.width) == (30, 30)
    assert framed.alpha[:14].min() > 250
    assert framed.alpha[16:].max() < 5


def test_the_visible_part_is_the_rectangle_outside_which_all_is_transparent() -> None:
    alpha = np.zeros((60, 90), np.uint8)
    assert Picture(photograph(), alpha, "PNG").visible_part() is None
    alpha[10:20, 30] = 1
    part = Picture(photograph(), alpha, "PNG").visible_part()
    assert part is not None
    np.testing.assert_array_equal(part.pixels, photograph()[10:20, 30:31])
    opaque = Picture(photograph(), None, "PNG")
    assert opaque.visible_part() is opaque


@pytest.mark.parametrize(
    ("shape", "shorter", "expected"),
    [
        ((60, 90, 3), 30, (30, 45, 3)),
        ((90, 60, 3), 120, (180, 120, 3)),
        ((90, 61), 30, (44, 30)),
        ((16, 4000, 3), 1, (1, 250, 3)),
        ((1, 1), 5, (5, 5)),
        ((60, 90, 3), 60, (60, 90, 3)),
    ],
)
def test_the_shorter_side_becomes_what_is_asked(
    shape: tuple[int, ...], shorter: int, expected: tuple[int, ...]
) -> None:
    assert resize_to(np.zeros(shape, np.uint8), shorter).shape == expected


def test_resizing_averages_what_it_merges() -> None:
    checkers = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    assert np.abs(resize_to(checkers, 8).astype(int) - 127).max() <= 2


def test_a_picture_too_narrow_for_the_size_is_refused() -> None:
    with pytest.raises(AdainError, match=r"100000 x 1 cannot be resized to a shorter side of 512"):
        resize_to(np.zeros((1, 100_000, 3), np.uint8), 512)


@pytest.mark.parametrize("crop", [lambda pixels: pixels, lambda pixels: pixels[..., 0]])
def test_the_square_is_the_centre(crop: Callable[[Pixels], Pixels]) -> None:
    pixels = crop(photograph())
    assert np.array_equal(center_square(pixels), pixels[:, 15:75])
    assert np.array_equal(center_square(pixels.swapaxes(0, 1)), pixels.swapaxes(0, 1)[15:75])
    assert center_square(pixels).flags.c_contiguous
