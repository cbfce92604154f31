"""Writing."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from tests.runtime.media.files import (
    EXTENSIONS,
    LOSSLESS,
    difference,
    documented,
    photograph,
    read,
)

from adain_models.errors import AdainError
from adain_rt.media.pictures import (
    WRITABLE,
    Picture,
    check_writable,
    encode_picture,
    read_mask,
    read_picture,
    write_picture,
)


@pytest.mark.parametrize("extension", [*WRITABLE, ".PNG", ".Jpg"])
def test_the_extension_tells_the_format(extension: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{extension}"
    write_picture(path, Picture(photograph(), None, "PNG"))
    with Image.open(path) as image:
        assert image.format == WRITABLE[extension.lower()] == check_writable(path)


def test_a_path_may_be_a_string(tmp_path: Path) -> None:
    path = str(tmp_path / "out.png")
    write_picture(path, Picture(photograph(), None, "PNG"))
    assert np.array_equal(read_picture(path).pixels, photograph())
    assert read_mask(path).shape == photograph().shape[:2]
    missing = str(tmp_path / "missing.png")
    with pytest.raises(AdainError, match=f"^{re.escape(missing)}: no such file"):
        read_picture(missing)


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
