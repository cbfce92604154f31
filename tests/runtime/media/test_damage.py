"""Reading: files that are damaged where it costs no pixel, and those where it does."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.runtime.media.files import difference, encoded, photograph, read, refusal

END = b"\xff\xd9"
REMARKS = ("its end is missing, but no pixel is; it may have been cut short",)
JPEGS: list[dict[str, Any]] = [
    {},
    {"progressive": True},
    {"subsampling": 0, "quality": 100},
    {"restart_marker_rows": 1},
]


@pytest.mark.parametrize("tail", [b"", b"\xff", b"\0" * 1000])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", JPEGS, ids=str)
def test_a_jpeg_that_lacks_only_its_end_is_read(options: dict[str, Any], mode: str, tail: bytes) -> None:
    data = encoded(Image.fromarray(photograph()).convert(mode), "JPEG", **options)
    picture = read(data.removesuffix(END) + tail)
    assert np.array_equal(picture.pixels, read(data).pixels)
    assert picture.remarks in {(), REMARKS}  # Pillow takes zeros for an end, and grey pixels need none
    assert read(data).remarks == ()


@pytest.mark.parametrize("missing", [6, 10, 40, 400])
@pytest.mark.parametrize("tail", [b"", b"\0" * 100_000])
@pytest.mark.parametrize("options", JPEGS, ids=str)
def test_a_jpeg_that_lacks_pixels_is_refused(options: dict[str, Any], tail: bytes, missing: int) -> None:
    data = encoded(Image.fromarray(photograph()), "JPEG", **options)
    assert "cut short" in refusal(data[:-missing] + tail)


def test_a_completed_jpeg_is_turned_upright_and_keeps_its_metadata() -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "me"
    data = encoded(Image.fromarray(photograph()), "JPEG", exif=exif, dpi=(300, 300))
    picture, whole = read(data.removesuffix(END)), read(data)
    assert picture.remarks == REMARKS
    assert np.array_equal(picture.pixels, whole.pixels)
    assert (picture.exif, picture.dpi, picture.pixels.shape) == (whole.exif, whole.dpi, (90, 60, 3))


@pytest.mark.parametrize("damage", ["beyond the file", "no directory", "unknown pixels"])
@pytest.mark.parametrize("deep", [False, True], ids=["bytes", "floats"])
def test_a_damaged_later_page_of_a_tiff_does_not_cost_the_first(damage: str, deep: bool) -> None:
    first = Image.fromarray((photograph()[..., 0] / 255).astype(np.float32)) if deep else Image.fromarray(photograph())
    pages = [Image.new("RGB", (20, 16), color) for color in ("red", "lime")]
    data = bytearray(encoded(first, "TIFF", save_all=True, append_images=pages))
    directory = struct.unpack_from("<I", data, 4)[0]
    link = directory + 2 + 12 * struct.unpack_from("<H", data, directory)[0]
    second = struct.unpack_from("<I", data, link)[0]
    if damage == "beyond the file":
        struct.pack_into("<I", data, link, len(data) + 1000)
    elif damage == "no directory":
        data = data[: second + 5]
    else:
        entries = [second + 2 + 12 * i for i in range(struct.unpack_from("<H", data, second)[0])]
        photometric = next(entry for entry in entries if struct.unpack_from("<H", data, entry)[0] == 262)
        struct.pack_into("<H", data, photometric + 8, 999)
    picture = read(bytes(data))
    expected = np.repeat(photograph()[..., :1], 3, axis=2) if deep else photograph()
    assert np.array_equal(picture.pixels, expected)
    assert picture.frames == 2


def test_a_damaged_later_frame_of_a_gif_does_not_cost_the_first() -> None:
    frames = [Image.new("RGB", (20, 16), color) for color in ("red", "lime", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert difference(read(data[:-20]).pixels, np.full((16, 20, 3), (255, 0, 0), np.uint8)) == 0


def test_libtiff_prints_nothing(tmp_path: Path) -> None:
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "group4"):
        image = Image.fromarray(photograph())
        data = bytearray(
            encoded(image.convert("1") if compression == "group4" else image, "TIFF", compression=compression)
        )
        data[60 : len(data) - 200 : 7] = bytes(len(range(60, len(data) - 200, 7)))
        (tmp_path / f"{compression}.tif").write_bytes(data)
    program = """
import sys
from pathlib import Path
from PIL import Image
from adain_models.errors import AdainError
from adain_rt.media.pictures import read_picture
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        read_picture(path) if sys.argv[2] == "quiet" else Image.open(path).load()
    except (AdainError, OSError):
        pass
"""

    def printed(how: str) -> str:
        command = [sys.executable, "-c", program, str(tmp_path), how]
        return subprocess.run(command, capture_output=True, text=True, check=True).stderr  # noqa: S603 - our program

    assert "Decode" in printed("loud")  # what Pillow lets through
    assert printed("quiet") == ""


def test_libtiff_has_its_handlers_again_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    data = bytearray(encoded(Image.fromarray(photograph()), "TIFF", compression="tiff_adobe_deflate"))
    data[60:-200:7] = bytes(len(data[60:-200:7]))
    refusal(bytes(data))
    assert capfd.readouterr().err == ""
    with pytest.raises(OSError, match="decoder error"):
        Image.open(io.BytesIO(data)).load()
    assert "Decode" in capfd.readouterr().err
