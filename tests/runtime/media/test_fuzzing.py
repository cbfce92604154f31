"""Reading: whatever the bytes are, they are read or refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.runtime.media.files import (
    SRGB_D50,
    XMP,
    cmyk_profile,
    encoded,
    exif_with,
    linear_profile,
    photograph,
    read,
)

from adain_models.errors import AdainError

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
def test_random_bytes_are_read_or_refused(magic: bytes, rest: bytes) -> None:
    survives(magic + rest)


@given(
    victim=st.sampled_from(VICTIMS),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
)
@pytest.mark.slow
@settings(max_examples=1000)
def test_a_picture_with_bytes_changed_is_read_or_refused(victim: bytes, changes: list[tuple[float, int]]) -> None:
    mutated = bytearray(victim)
    for place, value in changes:
        mutated[int(place * len(mutated))] = value
    survives(bytes(mutated))
