"""A server of one file on this machine, which answers as well or as badly as a test asks it to."""

from __future__ import annotations

import hashlib
import re
import socket
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = hashlib.shake_256(b"weights").digest(600_000)
HALF = len(BODY) // 2


class Handler(BaseHTTPRequestHandler):
    """Answers each request with the next of the server's answers, the last one for ever."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Range")))
        answers = self.server.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        answer(self)

    def begin(self, status: int, **headers: object) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


Answer = Callable[[Handler], None]


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[Answer] = [ranged]
        self.asked: list[tuple[str, str | None]] = []
        self.go_on = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.asked]


def whole(handler: Handler) -> None:
    handler.begin(200, Content_Length=len(BODY))
    handler.wfile.write(BODY)


def ranged(handler: Handler) -> None:
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    if asked is None:
        return whole(handler)
    start = int(asked[1])
    if start >= len(BODY):
        return handler.begin(416, Content_Range=f"bytes */{len(BODY)}", Content_Length=0)
    rest = BODY[start:]
    last = len(BODY) - 1
    handler.begin(206, Content_Range=f"bytes {start}-{last}/{len(BODY)}", Content_Length=len(rest))
    handler.wfile.write(rest)
    return None


def truncated(handler: Handler) -> None:
    handler.begin(200, Content_Length=len(BODY))
    handler.wfile.write(BODY[:HALF])


def truncated_other(handler: Handler) -> None:
    handler.begin(200, Content_Length=len(BODY))
    handler.wfile.write(b"x" * HALF)


def stall(handler: Handler) -> None:
    """Half of the body, then nothing until the test says so, or it has waited for too long."""
    truncated(handler)
    if not handler.server.go_on.wait(5):
        handler.wfile.write(BODY[HALF:])


def reset(handler: Handler) -> None:
    """Half of the body, then the connection is torn down, not closed."""
    stall(handler)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()


def hang_up(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def endless(handler: Handler) -> None:
    handler.begin(200)
    try:
        while True:
            handler.wfile.write(BODY)
    except OSError:  # the client has had enough
        pass


def slow(handler: Handler) -> None:
    handler.server.go_on.wait(10)
    whole(handler)


def status(code: int, **headers: object) -> Answer:
    return lambda handler: handler.begin(code, Content_Length=0, **headers)
