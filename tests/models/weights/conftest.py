"""A server, and a file that it has."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest
from tests.models.weights.file_server import BODY, Server

from adain_models.weights import fetch as fetching
from adain_models.weights.spec import WeightsFile

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.go_on.set()
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in PROXY_VARIABLES:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.upper(), raising=False)


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each wait between two tries, none of which is really waited."""
    waits: list[float] = []
    monkeypatch.setattr(fetching.time, "sleep", waits.append)
    return waits


@pytest.fixture
def file(server: Server) -> WeightsFile:
    return WeightsFile("net.pth", f"{server.url}/net.pth", hashlib.sha256(BODY).hexdigest())
