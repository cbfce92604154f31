"""Answers that are no picture: what is wrong, the way out, and the status of HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import JSONResponse

from adain_models.errors import AdainError

__all__ = ["Refusal", "answer", "naming"]

_UNPROCESSABLE = 422
"""The status of what is well asked and cannot be done: a picture that is broken, or too large for the memory."""


class Refusal(AdainError):  # noqa: N818 - it is what the server answers
    """An error with a status of its own.

    Args:
        status: of HTTP.
        message: one line that says what is wrong.
        hint: the way out; a parameter stands in backquotes, by its name in the request.
        headers: that go with the status.

    """

    def __init__(
        self, status: int, message: str, *, hint: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.headers = headers


def answer(error: AdainError) -> JSONResponse:
    """Return the response for an error: ``{"error": ..., "hint": ...}``, in the words of the command line."""
    body = {"error": error.message, "hint": error.hint}
    if isinstance(error, Refusal):
        return JSONResponse(body, error.status, error.headers)
    return JSONResponse(body, _UNPROCESSABLE)


def naming(error: AdainError, name: str) -> AdainError:
    """Return an error that names what failed, unless it does already."""
    return error if name in error.message else AdainError(f"{name}: {error.message}", hint=error.hint)
