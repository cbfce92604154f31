"""What a request asks for: read from a form (multipart) or from JSON, and checked as the command line checks it."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import math
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from adain_rt.media.pictures import WRITABLE
from adain_rt.serve.refusals import Refusal
from adain_rt.strokes import STROKES
from adain_rt.transfer import COLORS
from adain_rt.underpainting import MOST_UNDERPAINTING, UNDERPAINTING

__all__ = ["FORMATS", "LARGEST_STYLE", "MOST_QUALITY", "Fields", "Order", "Upload", "read_fields", "read_order"]

FORMATS = tuple(dict.fromkeys(name.lower() for name in WRITABLE.values()))
"""The formats of pictures that go out, by the names that a request gives them."""

_MOST_PARTS = 64
_LONGEST_NAME = 100
LARGEST_STYLE = 2048
MOST_QUALITY = 100
_ID = re.compile(r"[A-Za-z0-9-]{16,64}")
"""Long enough that nobody comes upon another's."""

_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"", "0", "false", "no", "off"}


@dataclass(frozen=True)
class Upload:
    """A file in a request, and its name in errors."""

    data: bytes
    name: str


Value = str | Upload
Fields = Mapping[str, Sequence[Value]]
"""What a request holds, by name: texts, and files. A name that is repeated has several."""


@dataclass(frozen=True)
class Order:
    """A picture that is asked for; the options are the command line's.

    Attributes:
        content: the picture file.
        styles: each a picture or a saved style as a file, or the name of a preset or the id of an encoded style.
        weights: of the mixture, one for each style.
        masks: picture files, one for each style, or none.
        alpha: the strength, from 0 to 1.
        color: one of ``COLORS``.
        strokes: how large they are, as for ``paint``.
        fit: whether styles are fitted to the content.
        underpainting: the deviation of the tones under it, as for ``paint``.
        clip: an id that the content's clip was given, if it is the next frame of one.
        size: pixels of the content's shorter side; 0 keeps the size.
        max_size: the most pixels of its longer side; 0 sets no limit.
        style_size: pixels of the shorter side of a style's picture; 0 keeps the size.
        crop: whether pictures are cropped to their central square first.
        format: one of ``FORMATS``, or ``None`` for the content's own if a browser shows it, else PNG.
        quality: of JPEG, WebP and AVIF, from 1 to 100; ``None`` is the command line's.

    """

    content: Upload
    styles: tuple[Value, ...]
    weights: tuple[float, ...]
    masks: tuple[Upload, ...] = ()
    alpha: float = 1.0
    color: str = "none"
    strokes: int = STROKES
    fit: bool = True
    underpainting: float = UNDERPAINTING
    clip: str = ""
    size: int = 0
    max_size: int = 0
    style_size: int = 512
    crop: bool = False
    format: str | None = None
    quality: int | None = None


class _InMemory(MultiPartParser):
    """Keeps files in memory: bodies are bounded, and a disk may be slow, full or read-only."""

    spool_max_size = 1 << 62


async def read_fields(request: Request, body: AsyncGenerator[bytes, None]) -> Fields:
    """Return the fields of a request: of a form, or of a JSON object whose files are ``{"base64": ..., "name": ...}``.

    Raises:
        Refusal: the body is not what its content type says (400), or of another type (415).

    """
    kind, _ = parse_options_header(request.headers.get("content-type"))
    if kind == b"multipart/form-data":
        parser = _InMemory(
            request.headers, body, max_files=_MOST_PARTS, max_fields=_MOST_PARTS, max_part_size=_MOST_PARTS << 10
        )
        try:
            form = await parser.parse()
        except (MultiPartException, FormParserError) as error:
            raise Refusal(400, f"the form cannot be read ({str(error).rstrip('.')})") from None
        fields: dict[str, list[Value]] = {}
        for name, value in form.multi_items():
            given = Upload(value.file.read(), _clean(value.filename, name)) if isinstance(value, UploadFile) else value
            fields.setdefault(name, []).append(given)
        await form.close()
        return fields
    if kind == b"application/json":
        return await asyncio.to_thread(_read_json, b"".join([chunk async for chunk in body]))
    raise Refusal(415, "the body is neither a form nor JSON", hint="send multipart/form-data or application/json")


def read_order(fields: Fields) -> Order:
    """Return what the fields ask for.

    Raises:
        Refusal: a field is missing, unknown, or not what it must be (400).

    """
    known = ("content", "style", "weight", "mask", *_OPTIONS)
    for name in fields.keys() - set(known):
        raise Refusal(400, f"there is no field {name[:40]}", hint=f"use {', '.join(known)}")
    styles = tuple(fields.get("style", ()))
    if not styles:
        raise Refusal(
            400, "the field style is missing", hint="give a preset's name, an encoded style's id, or a picture"
        )
    weights = tuple(_as_number("weight", value, 0, math.inf) for value in fields.get("weight", ()))
    masks = tuple(_as_upload("mask", value) for value in fields.get("mask", ()))
    if weights and len(weights) != len(styles):
        raise Refusal(400, f"the number of styles is {len(styles)} and of weights {len(weights)}; give each one weight")
    if masks and len(masks) != len(styles):
        raise Refusal(400, f"the number of styles is {len(styles)} and of masks {len(masks)}; give each one mask")
    if masks and weights:
        raise Refusal(400, "weights mix styles, but masks give each a region; leave out the weights")
    if weights and not any(weights):
        raise Refusal(400, "the weights are all 0; make one larger")
    options: dict[str, Any] = {
        name: read(name, value) for name, read in _OPTIONS.items() if (value := _one(fields, name))
    }
    if "clip" in options and options.get("color") == "coral":
        raise Refusal(
            400, "coral takes the colours of each picture, and a clip's would flicker", hint="use `color` luma"
        )
    content = fields.get("content", ())
    if len(content) != 1:
        raise Refusal(400, f"the field content is given {len(content)} times; give one picture")
    return Order(_as_upload("content", content[0]), styles, weights or (1.0,) * len(styles), masks, **options)


def _one(fields: Fields, name: str) -> Value | None:
    """Return the value of a field that may not be repeated; an empty one counts as missing."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise Refusal(400, f"the field {name} is given {len(values)} times; give it once")
    return values[0] if values else None


def _as_upload(name: str, value: Value) -> Upload:
    if isinstance(value, str):
        raise Refusal(400, f"the field {name} is a text", hint="send a picture file, with a file name")
    return value


def _as_text(name: str, value: Value) -> str:
    if isinstance(value, Upload):
        raise Refusal(400, f"the field {name} is a file", hint="send a text, without a file name")
    return value.strip()


def _as_number(name: str, value: Value, least: float, most: float) -> float:
    text = _as_text(name, value)
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (least <= number <= most and math.isfinite(number)):
        wanted = f"from {least:g} to {most:g}" if math.isfinite(most) else f"{least:g} or more"
        raise Refusal(400, f"the field {name} must be a number, {wanted}, not {text[:40]}")
    return number


def _number(least: float, most: float) -> Callable[[str, Value], float]:
    return lambda name, value: _as_number(name, value, least, most)


def _integer(least: int, most: int) -> Callable[[str, Value], int]:
    def read(name: str, value: Value) -> int:
        number = _as_number(name, value, least, most)
        if number % 1:
            raise Refusal(400, f"the field {name} must be a whole number, not {number:g}")
        return int(number)

    return read


def _as_id(name: str, value: Value) -> str:
    text = _as_text(name, value)
    if not _ID.fullmatch(text):
        raise Refusal(400, f"the field {name} must have 16 to 64 letters, digits and hyphens, not {text[:40]}")
    return text


def _choice(choices: Sequence[str]) -> Callable[[str, Value], str]:
    def read(name: str, value: Value) -> str:
        text = _as_text(name, value).lower()
        if text not in choices:
            raise Refusal(400, f"the field {name} must be one of {', '.join(choices)}, not {text[:40]}")
        return text

    return read


def _flag(name: str, value: Value) -> bool:
    text = _as_text(name, value).lower()
    if text not in _TRUE | _FALSE:
        raise Refusal(400, f"the field {name} must be true or false, not {text[:40]}")
    return text in _TRUE


_OPTIONS: dict[str, Callable[[str, Value], Any]] = {
    "alpha": _number(0, 1),
    "color": _choice(COLORS),
    "strokes": _integer(0, 1 << 16),
    "fit": _flag,
    "underpainting": _number(0, MOST_UNDERPAINTING),
    "clip": _as_id,
    "size": _integer(0, 1 << 16),
    "max_size": _integer(0, 1 << 16),
    "style_size": _integer(0, LARGEST_STYLE),
    "crop": _flag,
    "format": _choice(FORMATS),
    "quality": _integer(1, MOST_QUALITY),
}


def _read_json(body: bytes) -> Fields:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON") from None
    if not isinstance(given, dict):
        raise Refusal(400, "the body is not a JSON object")
    return {
        name: [_read_value(name, each) for each in (value if isinstance(value, list) else [value])]
        for name, value in given.items()
    }


def _read_value(name: str, value: Any) -> Value:
    """Return a value of a JSON object as the form would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    if isinstance(value, dict) and isinstance(value.get("base64"), str):
        try:
            data = base64.b64decode(value["base64"], validate=True)
        except binascii.Error:
            raise Refusal(400, f"the field {name} is not base64") from None
        return Upload(data, _clean(str(value.get("name", "")), name))
    raise Refusal(400, f"the field {name} is neither a text nor a number", hint='a file is {"base64": "..."}')


def _clean(file_name: str | None, field: str) -> str:
    """Return the name of a file in errors: on one line, not too long, without the folders that some clients send."""
    name = "".join(character for character in file_name or "" if character.isprintable())
    return name.replace("\\", "/").rpartition("/")[2][:_LONGEST_NAME] or field
