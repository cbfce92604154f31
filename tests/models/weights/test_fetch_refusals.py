"""Addresses, redirections and links that a download does not follow."""

from __future__ import annotations

import hashlib
import io
from http.client import HTTPMessage
from pathlib import Path

import pytest
from tests.models.weights.file_server import BODY, Handler, Server, ranged, status, whole

from adain_models.errors import AdainError
from adain_models.weights import fetch as fetching
from adain_models.weights.fetch import UnreachableError, fetch
from adain_models.weights.spec import WeightsFile


def test_a_redirection_is_followed_and_still_resumed(server: Server, file: WeightsFile, tmp_path: Path) -> None:
    server.answers = [status(302, Location=f"{server.url}/elsewhere"), ranged]
    (tmp_path / "net.pth.part").write_bytes(BODY[:1000])
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert server.asked == [("/net.pth", "bytes=1000-"), ("/elsewhere", "bytes=1000-")]


def test_a_redirection_to_another_protocol_is_refused(server: Server, file: WeightsFile, tmp_path: Path) -> None:
    server.answers = [status(302, Location="ftp://127.0.0.1/net.pth")]
    with pytest.raises(UnreachableError, match="the server redirects from http to ftp"):
        fetch(file, tmp_path)
    assert len(server.asked) == 1


def test_a_redirection_from_https_to_http_is_refused(server: Server) -> None:
    handler, secure = fetching._RedirectHandler(), fetching.urllib.request.Request("https://weights.invalid/net.pth")
    with pytest.raises(fetching.URLError, match="the server redirects from https to http"):
        handler.redirect_request(secure, io.BytesIO(), 302, "Found", HTTPMessage(), f"{server.url}/net.pth")
    further = handler.redirect_request(
        secure, io.BytesIO(), 302, "Found", HTTPMessage(), "https://weights.invalid/there"
    )
    assert further is not None
    assert further.full_url == "https://weights.invalid/there"


@pytest.mark.parametrize("address", ["file:///etc/hostname", "data:text/plain,x", "gopher://127.0.0.1/"])
def test_a_redirection_to_what_is_no_web_address_is_refused(
    server: Server, file: WeightsFile, tmp_path: Path, address: str
) -> None:
    server.answers = [status(302, Location=address)]
    with pytest.raises(UnreachableError, match="the server answers HTTP 302"):
        fetch(file, tmp_path)
    assert len(server.asked) == 1


MALFORMED = (
    "http://[::1",
    "http://[::1/net.pth",
    "http://127.0.0.1:port/net.pth",
    "http://127.0.0.1:99999999/net.pth",
    f"http://{'a' * 100}.invalid/net.pth",
    "http://a..b/net.pth",
    "http://127.0.0.1/a b",
    "http://127.0.0.1/a\x7fb",
)


@pytest.mark.parametrize(
    "address", [*MALFORMED, "", "//x", "net.pth", "http:", "http://", "https:///net.pth", "http://\0/"]
)
def test_an_address_that_is_none_is_refused_at_once(tmp_path: Path, waits: list[float], address: str) -> None:
    with pytest.raises(UnreachableError, match=r"net\.pth cannot be fetched \("):
        fetch(WeightsFile("net.pth", address, "0" * 64), tmp_path)
    assert waits == []


@pytest.mark.parametrize("address", [*MALFORMED, "http://", "", "//"])
def test_a_redirection_to_an_address_that_is_none_is_refused_at_once(
    server: Server, file: WeightsFile, tmp_path: Path, waits: list[float], address: str
) -> None:
    server.answers = [status(302, Location=address), status(404)]
    with pytest.raises(UnreachableError, match=r"net\.pth cannot be fetched \("):
        fetch(file, tmp_path)
    assert waits == []


def test_a_refusal_of_a_part_where_none_was_asked_for_is_a_refusal(
    server: Server, file: WeightsFile, tmp_path: Path
) -> None:
    server.answers = [status(416)]
    with pytest.raises(UnreachableError, match="the server answers HTTP 416"):
        fetch(file, tmp_path)


@pytest.mark.parametrize("there", [True, False], ids=["file", "nothing"])
def test_a_link_in_place_of_a_partial_download_is_not_followed(
    server: Server, file: WeightsFile, tmp_path: Path, there: bool
) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "cache"
    folder.mkdir()
    if there:
        victim.write_bytes(BODY[:1000])
    (folder / "net.pth.part").symlink_to(victim)
    assert fetch(file, folder).read_bytes() == BODY
    assert not (folder / "net.pth").is_symlink()
    assert victim.exists() == there
    assert not there or victim.read_bytes() == BODY[:1000]
    assert server.ranges == [None]


def test_a_link_that_is_made_meanwhile_is_not_followed_either(
    server: Server, file: WeightsFile, tmp_path: Path
) -> None:
    victim, part = tmp_path / "victim", tmp_path / "net.pth.part"
    victim.write_bytes(b"mine")

    def make_link(handler: Handler) -> None:
        part.symlink_to(victim)
        whole(handler)

    server.answers = [make_link]
    with pytest.raises(AdainError, match="cannot be written"):
        fetch(file, tmp_path)
    assert victim.read_bytes() == b"mine"


def test_an_address_of_a_local_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(BODY)
    file = WeightsFile("net.pth", (tmp_path / "source").as_uri(), hashlib.sha256(BODY).hexdigest())
    with pytest.raises(UnreachableError, match="unknown url type: file"):
        fetch(file, tmp_path)
