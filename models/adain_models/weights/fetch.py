"""Fetching a file that somebody else publishes: verified, resumed and retried. This module imports no torch.

Proxies come from the environment (``https_proxy``, ``http_proxy``, ``no_proxy``), as urllib reads it.
"""

from __future__ import annotations

import os
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPException, HTTPMessage, HTTPResponse, InvalidURL
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from filelock import FileLock

from adain_models.errors import AdainError
from adain_models.files import explain, sha256_of
from adain_models.weights import store
from adain_models.weights.spec import WeightsFile

__all__ = ["Report", "UnreachableError", "fetch"]

Report = Callable[[int, "int | None"], None]
"""Is called with the progress of a download: the bytes so far, and all bytes if the server gives the number."""

_DELAYS_S = (1.0, 2.0, 4.0, 8.0)  # before the second try, the third, ...
_SILENCE_S = 30.0  # a server that sends nothing for so long has dropped the connection
_BLOCK_BYTES = 1 << 18
_LIMIT_BYTES = 1 << 30  # far above any file that is published: no server may fill the disk

_OK, _PARTIAL_CONTENT, _RANGE_NOT_SATISFIABLE = 200, 206, 416
_PASSING_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
_PASSING_ERRORS = (
    TimeoutError,
    ConnectionResetError,
    ConnectionAbortedError,
    BrokenPipeError,
    HTTPException,  # an answer that ends too early, or is no HTTP
    ssl.SSLEOFError,
)
_MALFORMED = (InvalidURL, ValueError)  # what urllib makes of an address that it cannot take apart, or of a host's name


class UnreachableError(AdainError):
    """Files cannot be downloaded from where they are published; ``reason`` says why, without the way out."""

    def __init__(self, reason: str, files: Sequence[WeightsFile], directory: Path) -> None:
        self.reason = reason
        urls = " and ".join(file.url for file in files)
        super().__init__(reason, hint=f"download {urls} by hand into {directory}, then run this again")


class _FailedError(Exception):
    """The download cannot succeed, and another try would not change that."""


class _DroppedError(_FailedError):
    """The download stopped, and another try may go further."""


def _silent(_done: int, _total: int | None) -> None:
    pass


def fetch(file: WeightsFile, directory: Path, report: Report = _silent) -> Path:
    """Return the path of ``file`` in ``directory``, after downloading it unless it is there already.

    The file is there only with the SHA-256 that it must have; one of that name with another is replaced.
    What an interrupted download leaves, ``<name>.part``, is resumed by the next one. Of several processes
    that fetch the same file at once, one downloads and the others wait for it.

    Raises:
        UnreachableError: the server cannot be reached, refuses, or sends another file.
        AdainError: the directory cannot be written.

    """
    path = directory / file.name
    try:
        if _is_present(path, file):  # asked before locking: a directory that holds it may be read-only
            return path
        directory.mkdir(parents=True, exist_ok=True)
        with FileLock(directory / f"{file.name}.lock"):
            if not _is_present(path, file):
                part = directory / f"{file.name}.part"
                _download_verified(file, part, report)
                part.replace(path)
    except _FailedError as error:
        found = "; the file that is there has the wrong SHA-256" if path.exists() else ""
        reason = f"{file.name} cannot be fetched ({error}{found})"
        raise UnreachableError(reason, (file,), directory) from error
    except OSError as error:
        raise AdainError(
            f"{directory}: cannot be written ({explain(error)})",
            hint=f"make it writable, or set {store.CACHE_VARIABLE} to another directory",
        ) from error
    return path


def _is_present(path: Path, file: WeightsFile) -> bool:
    return path.is_file() and sha256_of(path) == file.sha256


def _download_verified(file: WeightsFile, part: Path, report: Report) -> None:
    """Fill ``part`` with the right bytes; what was pieced together wrongly is downloaded anew, once."""
    for _ in range(2):
        pieced = _download(file.url, part, report)
        found = sha256_of(part)
        if found == file.sha256:
            return
        part.unlink()
        if not pieced:
            break
    raise _FailedError(f"what the server sends has SHA-256 {found}, not {file.sha256}")


def _download(url: str, part: Path, report: Report) -> bool:
    """Fill ``part`` in as many tries as it takes; return whether it may be of several pieces."""
    if part.is_symlink():  # nobody but another user of the folder makes one, and what it leads to is not ours
        part.unlink()
    pieced = part.exists()
    for delay_s in _DELAYS_S:
        try:
            _transfer(url, part, report)
        except _DroppedError:
            time.sleep(delay_s)
            pieced = True
        else:
            return pieced
    _transfer(url, part, report)
    return pieced


def _transfer(url: str, part: Path, report: Report) -> None:
    """Send one request for the rest of ``part``, and write what arrives."""
    done = part.stat().st_size if part.exists() else 0
    with _ask(url, done) as response:
        if response.status == _RANGE_NOT_SATISFIABLE and done:
            return  # nothing is lacking; whether it is right, the checksum says
        _check_status(response.status)
        if response.status == _OK:
            done = 0  # the whole file comes, whatever was asked for
        total = None if response.length is None else done + response.length
        with open(part, "ab" if response.status == _PARTIAL_CONTENT else "wb", opener=_open_no_link) as out:
            report(done, total)
            for block in _blocks(response):
                done += len(block)
                if max(done, total or 0) > _LIMIT_BYTES:
                    out.truncate(0)
                    raise _FailedError(f"the server sends more than {_LIMIT_BYTES >> 20} MiB")
                out.write(block)
                report(done, total)
    if total is not None and done < total:
        raise _DroppedError(f"the connection ended after {done} of {total} bytes")


def _open_no_link(path: str, flags: int) -> int:
    """Open a file, but not what a link leads to, where the system can tell."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _ask(url: str, start: int) -> HTTPResponse | HTTPError:
    """Send a request for the bytes from ``start`` on; return the answer, whatever its status."""
    with _sort_failures():
        request = urllib.request.Request(url, headers={"User-Agent": "adain-rt"})  # noqa: S310 - see _opener
        if start:
            request.add_header("Range", f"bytes={start}-")
        try:
            response: HTTPResponse = _opener().open(request, timeout=_SILENCE_S)
        except HTTPError as error:
            return error
        return response


class _RedirectHandler(urllib.request.HTTPRedirectHandler):
    """Follows a redirection to https, or from http to http: never to what is less safe, or to a file."""

    def http_error_302(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage
    ) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:  # the address is malformed
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme != "https" and (scheme, req.type) != ("http", "http"):
            fp.close()
            raise URLError(f"the server redirects from {req.type} to {scheme}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Return an opener of http and https addresses only: urllib's own would open files."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        _RedirectHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _check_status(status: int | None) -> None:
    if status in _PASSING_STATUSES:
        raise _DroppedError(f"the server answers HTTP {status}")
    if status not in (_OK, _PARTIAL_CONTENT):
        raise _FailedError(f"the server answers HTTP {status}")


def _blocks(response: HTTPResponse | HTTPError) -> Iterator[bytes]:
    while True:
        with _sort_failures():
            block = response.read1(_BLOCK_BYTES)  # read() would lose what came before the connection broke
        if not block:
            return
        yield block


@contextmanager
def _sort_failures() -> Iterator[None]:
    """Turn the network's errors into dropped or failed ones, so that they differ from the disk's."""
    try:
        yield
    except (OSError, HTTPException, ValueError) as error:
        cause = error.reason if isinstance(error, URLError) else error
        passing = isinstance(cause, _PASSING_ERRORS) and not isinstance(cause, _MALFORMED)
        raise (_DroppedError if passing else _FailedError)(_describe(cause)) from error


def _describe(cause: str | BaseException) -> str:
    if isinstance(cause, OSError):
        return explain(cause)
    if isinstance(cause, _MALFORMED):
        return "the address, or one that the server redirects to, is malformed"
    if isinstance(cause, HTTPException):  # its own text may quote the server, control characters and all
        return "the server's answer is cut short, or is not HTTP"
    return str(cause)
