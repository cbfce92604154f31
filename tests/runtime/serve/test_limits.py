"""What is too much is refused with its status, and those who ask for little do not notice."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request
from tests.runtime.serve.conftest import png_of
from tests.runtime.serve.servers import Server, serving, wait_until

from adain_rt.serve.limits import Delivery, Limits, Room
from adain_rt.serve.refusals import Refusal
from adain_rt.serve.work import Workers

STYLE = {"style": "udnie"}
HEAD = b"POST /v1/stylize HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    options = ("--max-bytes", 200_000, "--max-pixels", 20_000, "--timeout", 1.5, "--queue", 1, "--workers", 1)
    with serving(tmp_path_factory.mktemp("strict") / "log", *options) as running:
        yield running


def works(server: Server, photo: bytes) -> bool:
    """Whether a modest request is answered."""
    with server.client() as client:
        return client.post("/v1/stylize", files={"content": photo}, data=STYLE).status_code == 200


def open_to(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), 10)


def answer_of(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def resident(server: Server) -> int:
    """Bytes of the server's memory."""
    with open(f"/proc/{server.process.pid}/status", encoding="ascii") as file:  # noqa: PTH123 - no path of a test's
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS:"))


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_a_body_of_100_megabytes_is_refused_and_takes_no_memory(declared, strict, photo):
    assert works(strict, photo)
    before = resident(strict)

    def parts() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="content"; filename="a"\r\n\r\n'
        for _ in range(100):
            yield bytes(1_000_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    if declared:
        headers["Content-Length"] = str(sum(map(len, parts())))
    with strict.client() as client:
        answer = client.post("/v1/stylize", content=parts(), headers=headers)
    assert answer.status_code == 413
    assert answer.json() == {"error": "the request has more than 200,000 bytes", "hint": "use a smaller picture"}
    assert resident(strict) < before + 20e6
    assert works(strict, photo)


def test_a_client_that_asks_first_is_refused_at_once(strict):
    with open_to(strict) as connection:
        connection.sendall(HEAD + b"Content-Length: 100000000\r\nExpect: 100-continue\r\n\r\n")
        assert answer_of(connection).startswith(b"HTTP/1.1 413 ")


def test_a_picture_of_too_many_pixels_is_refused(strict, china):
    with strict.client() as client:
        answer = client.post("/v1/stylize", files={"content": ("a.png", png_of(china[:200, :200]))}, data=STYLE)
        assert answer.status_code == 422
        assert answer.json()["error"] == "a.png: has more than 20,000 pixels"
        tensor = {"name": "image", "datatype": "UINT8", "shape": [1, 160, 160, 3]}
        head = json.dumps({"inputs": [{**tensor, "parameters": {"binary_data_size": 76_800}}]}).encode()
        headers = {"Inference-Header-Content-Length": str(len(head))}
        answer = client.post("/v2/models/encode/infer", content=head + bytes(76_800), headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (422, "the input image has more than 20,000 pixels")


def test_a_slow_body_is_refused_in_time_and_keeps_nobody_waiting(strict, photo):
    with open_to(strict) as slow:
        slow.sendall(HEAD + b"Content-Length: 1000\r\n\r\n--x\r\n")
        assert works(strict, photo)
        assert b"408" in answer_of(slow).split(b"\r\n")[0]


def test_clients_that_hang_up_keep_nobody_waiting(strict, photo):
    for part in (b"POST", HEAD, HEAD + b"Content-Length: 1000\r\n\r\n--x\r\n", b"\0\xff\r\n\r\n"):
        with open_to(strict) as connection:
            connection.sendall(part)
    for _ in range(20):  # what these ask for is complete, but they do not wait for the answer
        request = httpx.Request("POST", f"{strict.url}/v1/stylize", files={"content": photo}, data=STYLE)
        with open_to(strict) as connection:
            head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
            connection.sendall(f"POST /v1/stylize HTTP/1.1\r\n{head}\r\n".encode() + request.read())
    wait_until(lambda: works(strict, photo))
    with strict.client() as client:
        wait_until(lambda: "adain_rt_queue_length 0.0" in client.get("/metrics").text)
        assert 'status="500"' not in client.get("/metrics").text
        assert "adain_rt_body_bytes 0.0" in client.get("/metrics").text


def test_a_client_that_does_not_read_keeps_nobody_waiting(strict, photo):
    big = {"size": "100", "format": "bmp"}
    with open_to(strict) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        for _ in range(200):
            request = httpx.Request("POST", f"{strict.url}/v1/stylize", files={"content": photo}, data={**STYLE, **big})
            head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
            deaf.setblocking(False)
            try:
                deaf.sendall(f"POST /v1/stylize HTTP/1.1\r\n{head}\r\n".encode() + request.read())
            except OSError:  # the server reads no further request before it has got rid of an answer
                break
        assert works(strict, photo)


def limits(queue: int = 64, seconds: float = 60) -> Limits:
    """Limits of a server with one worker."""
    return Limits(body_bytes=1 << 20, pixels=1 << 20, seconds=seconds, queue=queue, workers=1)


def request_of(disconnected: threading.Event | None = None) -> Request:
    """A request whose client hangs up when it is told to."""

    async def receive() -> dict[str, str]:
        while disconnected is None or not disconnected.is_set():
            await asyncio.sleep(0.005)
        return {"type": "http.disconnect"}

    return Request({"type": "http", "headers": []}, receive)


def test_more_than_the_queue_holds_is_asked_to_come_again():
    async def ask() -> list[object]:
        workers, gate = Workers(limits(queue=2)), threading.Event()
        waiting = [asyncio.ensure_future(workers.run(request_of(), gate.wait)) for _ in range(3)]
        await asyncio.sleep(0.05)
        assert workers.waiting == 2
        with pytest.raises(Refusal, match="too many requests wait") as caught:
            await workers.run(request_of(), gate.wait)
        assert (caught.value.status, caught.value.headers) == (429, {"Retry-After": "1"})
        gate.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == [True] * 3


def test_what_takes_too_long_is_answered_and_what_waited_is_never_begun():
    begun = []

    async def ask() -> None:
        workers, gate = Workers(limits(seconds=0.05)), threading.Event()
        running = asyncio.ensure_future(workers.run(request_of(), gate.wait))
        await asyncio.sleep(0)
        with pytest.raises(Refusal, match="longer than") as caught:
            await workers.run(request_of(), lambda: begun.append(1))
        assert caught.value.status == 503
        with pytest.raises(Refusal, match="longer than"):
            await running
        gate.set()
        assert await workers.run(request_of(), lambda: "free again") == "free again"
        assert workers.waiting == 0

    asyncio.run(ask())
    assert not begun


def test_what_nobody_waits_for_is_never_begun():
    begun = []

    async def ask() -> None:
        workers, gate, gone = Workers(limits()), threading.Event(), threading.Event()
        running = asyncio.ensure_future(workers.run(request_of(), gate.wait))
        waiting = asyncio.ensure_future(workers.run(request_of(gone), lambda: begun.append(1)))
        await asyncio.sleep(0.02)
        gone.set()
        with pytest.raises(ClientDisconnect):
            await waiting
        gate.set()
        assert await running
        workers.close()

    asyncio.run(ask())
    assert not begun


def test_pictures_share_the_room_and_a_large_one_is_not_passed_for_ever():
    room, order = Room(100), []

    def take(name: str, pixels: int) -> threading.Thread:
        def hold() -> None:
            with room.take(pixels):
                order.append(name)

        thread = threading.Thread(target=hold)
        thread.start()
        time.sleep(0.02)
        return thread

    with room.take(60):
        threads = [take("large", 1000), take("small", 10)]
        assert order == []
    for thread in threads:
        thread.join(10)
    assert order == ["large", "small"]


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 131072, 200_000])
def test_an_answer_goes_in_small_parts_and_whole(size):
    body, sent = bytes(range(256)) * (size // 256) + bytes(size % 256), []

    async def send(message) -> None:
        sent.append(message)

    asyncio.run(Delivery(answering(body), limits())({"type": "http"}, send, send))
    parts = [message["body"] for message in sent[1:]]
    assert b"".join(parts) == body
    assert max(map(len, parts)) <= 65536
    assert [message.get("more_body", False) for message in sent[1:]] == [True] * (len(parts) - 1) + [False]


def test_an_answer_that_nobody_reads_is_given_up():
    async def send(message) -> None:
        await asyncio.sleep(60 if message["type"] == "http.response.body" else 0)

    with pytest.raises(ClientDisconnect):
        asyncio.run(Delivery(answering(b"picture"), limits(seconds=0.02))({"type": "http"}, send, send))


def answering(body: bytes):
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app
