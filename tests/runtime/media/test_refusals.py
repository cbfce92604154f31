"""Reading: files that are broken, cut short, too large, or not pictures."""

from __future__ import annotations

import errno
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.runtime.media.files import (
    encoded,
    photograph,
    png,
    read,
    refusal,
)

from adain_models.errors import AdainError
from adain_rt.media.pictures import (
    MAX_PIXELS,
    read_picture,
)
from adain_rt.media.pictures.formats import FORMATS


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
        encoded(Image.fromarray(photograph()), "EPS"),
        encoded(Image.fromarray(photograph()), "ICO"),
    ],
    ids=["text", "eps", "ico"],
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
    monkeypatch.setattr("adain_rt.media.pictures.source.read_alpha", fail)
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
