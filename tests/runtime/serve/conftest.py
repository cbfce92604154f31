"""A server that many tests ask, and what it should answer."""

from __future__ import annotations

import io
from collections.abc import Iterator

import httpx
import pytest
from PIL import Image
from tests.runtime.serve.servers import Server, serving

from adain_rt.contract import Pixels
from adain_rt.media.pictures import read_picture
from adain_rt.stylizer import Stylizer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("server") / "log") as running:
        yield running


@pytest.fixture(scope="session")
def client(server: Server) -> Iterator[httpx.Client]:
    with server.client() as opened:
        yield opened


@pytest.fixture(scope="session")
def direct() -> Iterator[Stylizer]:
    """The Stylizer that the server has."""
    with Stylizer(backend="onnxruntime", precision="int8") as stylizer:
        yield stylizer


@pytest.fixture(scope="session")
def photo(china: Pixels) -> bytes:
    """A photograph of 96x64 pixels, as a PNG."""
    return png_of(china[200:264, 100:196])


@pytest.fixture(scope="session")
def painting(flower: Pixels) -> bytes:
    """A picture of 128x128 pixels to take the style from, as a PNG."""
    return png_of(flower[150:278, 250:378])


def png_of(pixels: Pixels) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pixels_of(file: bytes) -> Pixels:
    return read_picture(io.BytesIO(file)).pixels
