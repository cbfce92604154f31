from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.models.weights.file_server import (
    BODY,
    HALF,
    Answer,
    Server,
    endless,
    hang_up,
    ranged,
    reset,
    slow,
    stall,
    status,
    truncated,
    truncated_other,
    whole,
)

from adain_models.errors import AdainError
from adain_models.weights import fetch as fetching
from adain_models.weights.fetch import UnreachableError, fetch
from adain_models.weights.spec import WeightsFile


def refused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def test_a_file_is_downloaded_and_nothing_half_done_is_left(server: Server, file: WeightsFile, tmp_path: Path) -> None:
    path = fetch(file, tmp_path / "made" / "on the way")
    assert path == tmp_path / "made" / "on the way" / "net.pth"
    assert path.read_bytes() == BODY
    assert not path.with_name("net.pth.part").exists()
    assert server.ranges == [None]


def test_progress_is_told_in_bytes_up_to_the_whole(file: WeightsFile, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    fetch(file, tmp_path, lambda done, total: told.append((done, total)))
    assert told[0] == (0, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))
    assert told == sorted(told)


def test_a_file_that_is_there_is_not_downloaded_again(server: Server, file: WeightsFile, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(BODY)
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert server.asked == []
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth"]  # a read-only directory would do


def test_a_file_with_another_checksum_is_replaced(file: WeightsFile, tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"<html>Sign in to this network</html>")
    assert fetch(file, tmp_path).read_bytes() == BODY


def test_a_partial_download_is_resumed(server: Server, file: WeightsFile, tmp_path: Path) -> None:
    (tmp_path / "net.pth.part").write_bytes(BODY[:1000])
    told: list[tuple[int, int | None]] = []
    assert fetch(file, tmp_path, lambda done, total: told.append((done, total))).read_bytes() == BODY
    assert server.ranges == ["bytes=1000-"]
    assert told[0] == (1000, len(BODY))


def test_a_server_that_ignores_ranges_is_taken_from_the_start(
    server: Server, file: WeightsFile, tmp_path: Path
) -> None:
    server.answers = [whole]
    (tmp_path / "net.pth.part").write_bytes(BODY[:1000])
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert server.ranges == ["bytes=1000-"]


def test_a_download_that_lacked_only_its_name_is_not_repeated(
    server: Server, file: WeightsFile, tmp_path: Path
) -> None:
    (tmp_path / "net.pth.part").write_bytes(BODY)
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert server.ranges == [f"bytes={len(BODY)}-"]


@pytest.mark.parametrize("left", [b"x" * 1000, b"x" * (len(BODY) + 1)], ids=["shorter", "longer"])
def test_a_partial_download_of_something_else_is_given_up_for_a_fresh_one(
    server: Server, file: WeightsFile, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "net.pth.part").write_bytes(left)
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert server.ranges == [f"bytes={len(left)}-", None]


def test_a_connection_reset_midway_is_resumed_where_it_broke(server: Server, file: WeightsFile, tmp_path: Path) -> None:
    server.answers = [reset, ranged]

    def report(done: int, _total: int | None) -> None:
        if done == HALF:
            server.go_on.set()

    assert fetch(file, tmp_path, report).read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_body_shorter_than_announced_is_resumed(server: Server, file: WeightsFile, tmp_path: Path) -> None:
    server.answers = [truncated, ranged]
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_file_that_changed_between_two_tries_is_downloaded_anew(
    server: Server, file: WeightsFile, tmp_path: Path
) -> None:
    server.answers = [truncated_other, ranged]
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-", None]


def test_a_server_that_falls_silent_is_asked_again(
    server: Server, file: WeightsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_SILENCE_S", 0.2)
    server.answers = [stall, ranged]
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert server.ranges == [None, f"bytes={HALF}-"]


@pytest.mark.parametrize("answer", [status(503), status(500), status(429), hang_up])
def test_a_passing_failure_is_tried_again(server: Server, file: WeightsFile, tmp_path: Path, answer: Answer) -> None:
    server.answers = [answer, answer, ranged]
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert len(server.asked) == 3


def test_a_lasting_failure_ends_after_the_last_try(server: Server, file: WeightsFile, tmp_path: Path) -> None:
    server.answers = [status(503)]
    with pytest.raises(UnreachableError, match=r"cannot be fetched \(the server answers HTTP 503\); download"):
        fetch(file, tmp_path)


def test_a_truncation_at_every_try_says_how_far_it_came(server: Server, file: WeightsFile, tmp_path: Path) -> None:
    server.answers = [truncated]
    with pytest.raises(UnreachableError, match=f"ended after {HALF} of {len(BODY)} bytes"):
        fetch(file, tmp_path)


def test_each_try_waits_longer_than_the_one_before(
    server: Server, file: WeightsFile, tmp_path: Path, waits: list[float]
) -> None:
    server.answers = [status(503)]
    with pytest.raises(UnreachableError):
        fetch(file, tmp_path)
    assert len(waits) == len(server.asked) - 1 >= 3
    assert waits == sorted(set(waits))


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_a_refusal_is_not_tried_again(server: Server, file: WeightsFile, tmp_path: Path, code: int) -> None:
    server.answers = [status(code)]
    with pytest.raises(UnreachableError, match=f"HTTP {code}"):
        fetch(file, tmp_path)
    assert len(server.asked) == 1


def test_a_file_that_is_not_the_published_one_is_never_kept(server: Server, tmp_path: Path) -> None:
    file = WeightsFile("net.pth", f"{server.url}/net.pth", "0" * 64)
    with pytest.raises(UnreachableError, match=f"SHA-256 {hashlib.sha256(BODY).hexdigest()}, not {'0' * 64}"):
        fetch(file, tmp_path)
    assert len(server.asked) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["net.pth.lock"]


@pytest.mark.parametrize("answer", [endless, whole], ids=["unannounced", "announced"])
def test_a_body_above_the_limit_is_refused_and_leaves_the_disk_free(
    server: Server, file: WeightsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    monkeypatch.setattr(fetching, "_LIMIT_BYTES", len(BODY) - 1)
    server.answers = [answer]
    with pytest.raises(UnreachableError, match="the server sends more than"):
        fetch(file, tmp_path)
    assert (tmp_path / "net.pth.part").stat().st_size == 0
    assert len(server.asked) == 1


def test_the_proxy_of_the_environment_is_asked_for_the_whole_address(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    file = WeightsFile("net.pth", "http://weights.invalid/net.pth", hashlib.sha256(BODY).hexdigest())
    assert fetch(file, tmp_path).read_bytes() == BODY
    assert server.asked == [("http://weights.invalid/net.pth", None)]


def test_with_no_network_one_line_says_what_to_put_where(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{refused_port()}/net.pth"
    with pytest.raises(UnreachableError) as caught:
        fetch(WeightsFile("net.pth", url, "0" * 64), tmp_path)
    assert str(caught.value) == (
        f"net.pth cannot be fetched (Connection refused); download {url} by hand into {tmp_path}, then run this again"
    )


def test_a_host_that_does_not_exist_is_an_unreachable_one(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match=r"net\.pth cannot be fetched"):
        fetch(WeightsFile("net.pth", "http://weights.invalid/net.pth", "0" * 64), tmp_path)


def test_a_wrong_file_put_there_by_hand_is_named_as_wrong(tmp_path: Path) -> None:
    (tmp_path / "net.pth").write_bytes(b"<html>404</html>")
    with pytest.raises(UnreachableError, match="Connection refused; the file that is there has the wrong SHA-256"):
        fetch(WeightsFile("net.pth", f"http://127.0.0.1:{refused_port()}/net.pth", "0" * 64), tmp_path)


def test_a_full_disk_is_named_and_what_to_do(
    file: WeightsFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_open_no_link", lambda *_: os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(AdainError, match=r"cannot be written \(No space left on device\); .*ADAIN_RT_CACHE"):
        fetch(file, tmp_path)


def test_a_directory_that_cannot_be_made_is_named(file: WeightsFile, tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"")
    with pytest.raises(AdainError, match=r"taken/cache: cannot be written \(Not a directory\)"):
        fetch(file, tmp_path / "taken" / "cache")


def test_an_interrupted_download_goes_on_where_it_was(server: Server, file: WeightsFile, tmp_path: Path) -> None:
    server.answers = [stall, ranged]

    def interrupt(done: int, _total: int | None) -> None:
        if done == HALF:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(file, tmp_path, interrupt)
    assert fetch(file, tmp_path).read_bytes() == BODY  # and so the lock is free
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_of_two_processes_one_downloads_and_both_have_the_file(
    server: Server, file: WeightsFile, tmp_path: Path
) -> None:
    server.answers = [slow]
    program = (
        "import pathlib, sys\n"
        "from adain_models.weights.fetch import fetch\n"
        "from adain_models.weights.spec import WeightsFile\n"
        "print('ready', flush=True)\n"
        "print(fetch(WeightsFile(*sys.argv[1:4]), pathlib.Path(sys.argv[4])))\n"
    )
    command = [sys.executable, "-c", program, file.name, file.url, file.sha256, str(tmp_path)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as one,  # noqa: S603 - our own program
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other,  # noqa: S603
    ):
        for process in (one, other):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        server.go_on.wait(0.3)  # both are at it: one downloads, the other waits
        server.go_on.set()
        assert [process.communicate(timeout=10)[0] for process in (one, other)] == [f"{tmp_path / 'net.pth'}\n"] * 2
    assert len(server.asked) == 1
