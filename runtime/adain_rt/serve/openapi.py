"""The description of the API for programs (OpenAPI) and for people (a page without scripts)."""

from __future__ import annotations

from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

import adain_rt
from adain_rt.serve.forms import FORMATS, LARGEST_STYLE, MOST_QUALITY
from adain_rt.serve.limits import Limits
from adain_rt.serve.pictures import MEDIA_TYPES
from adain_rt.strokes import STROKES
from adain_rt.transfer import COLORS
from adain_rt.underpainting import MOST_UNDERPAINTING, UNDERPAINTING

__all__ = ["Description"]

_FILE: dict[str, Any] = {"type": "string", "format": "binary"}
_STYLE = {
    "description": "A preset's name, the id of an encoded style, or a picture or saved style as a file. Repeat it to "
    "mix styles.",
    "type": "array",
    "items": {"anyOf": [{"type": "string"}, _FILE]},
    "minItems": 1,
}
_REFUSED = {
    400: "A field is missing, unknown, or not what it must be.",
    401: "The server wants a token, and it is missing or wrong.",
    404: "There is no such style.",
    408: "The request took too long to arrive.",
    413: "The request has too many bytes.",
    415: "The body is neither a form nor JSON.",
    422: "A picture is broken, not a picture, or too large; or it does not go with the style or the masks.",
    429: "Too many requests wait. Try again after the seconds in Retry-After.",
    503: "The server is too busy to answer in time.",
}
_FIELDS: dict[str, dict[str, Any]] = {
    "content": {"description": "The picture to paint.", **_FILE},
    "style": _STYLE,
    "weight": {
        "description": "The weight of each style in the mixture.",
        "type": "array",
        "items": {"type": "number", "minimum": 0},
    },
    "mask": {
        "description": "For each style, a picture as large as the content that is white where the style applies.",
        "type": "array",
        "items": _FILE,
    },
    "alpha": {"description": "Strength.", "type": "number", "minimum": 0, "maximum": 1, "default": 1},
    "color": {"description": "How the photo's colours are kept.", "enum": list(COLORS), "default": "none"},
    "strokes": {
        "description": "Strokes as on a photo whose shorter side has so many pixels; 0 paints once, at its own size.",
        "type": "integer",
        "minimum": 0,
        "default": STROKES,
    },
    "fit": {
        "description": "Fit the style to the content: a first painting at 512 pixels says what it lacks.",
        "type": "boolean",
        "default": True,
    },
    "underpainting": {
        "description": "Levels of faint uneven tones under the content, of which strokes are made where it is plain.",
        "type": "number",
        "minimum": 0,
        "maximum": MOST_UNDERPAINTING,
        "default": UNDERPAINTING,
    },
    "clip": {
        "description": "The content is the next frame of a clip. This is the clip's id, which you choose at random.",
        "type": "string",
        "pattern": "^[A-Za-z0-9-]{16,64}$",
    },
    "size": {
        "description": "Pixels of the shorter side of the result; 0 keeps the content's size.",
        "type": "integer",
        "minimum": 0,
        "default": 0,
    },
    "max_size": {
        "description": "The most pixels of its longer side; 0 sets no limit.",
        "type": "integer",
        "minimum": 0,
        "default": 0,
    },
    "style_size": {
        "description": "Pixels of the shorter side of a style's picture; 0 keeps its size.",
        "type": "integer",
        "minimum": 0,
        "maximum": LARGEST_STYLE,
        "default": 512,
    },
    "crop": {"description": "Crop pictures to their central square first.", "type": "boolean", "default": False},
    "format": {
        "description": "Format of the result. Without it, the content's own if browsers show it, else png.",
        "enum": list(FORMATS),
    },
    "quality": {
        "description": "Quality of a JPEG, WebP or AVIF.",
        "type": "integer",
        "minimum": 1,
        "maximum": MOST_QUALITY,
    },
}


class Description:
    """The addresses ``/openapi.json`` and ``/docs``.

    Attributes:
        routes: for the application.

    """

    def __init__(self, limits: Limits) -> None:
        self._facts = _describe(limits)
        self._page = _lay_out(self._facts)
        self.routes = [Route("/openapi.json", self.show_facts), Route("/docs", self.show_page)]

    async def show_facts(self, request: Request) -> Response:
        """Return the description as OpenAPI 3.1."""
        del request
        return JSONResponse(self._facts)

    async def show_page(self, request: Request) -> Response:
        """Return the description as a page."""
        del request
        return HTMLResponse(self._page)


def _describe(limits: Limits) -> dict[str, Any]:
    picture = {media_type: {"schema": _FILE} for media_type in MEDIA_TYPES.values()}
    one_style = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "adain-rt",
            "version": adain_rt.__version__,
            "description": f"Paint pictures in any style. A request may have {limits.body_bytes:,} bytes, and "
            f"a picture {limits.pixels:,} pixels. In JSON, a file is an object: "
            '{"base64": "...", "name": "photo.jpg"}.',
        },
        "paths": {
            "/v1/stylize": {
                "post": _operation(
                    "Paint a picture in styles.", picture, body=_as_schema(_FIELDS, ["content", "style"])
                )
            },
            "/v1/styles": {
                "get": _operation("List the presets, and the styles that were put in.", "application/json"),
                "post": _operation(
                    "Encode a picture's style, or put in a saved style. Its id is the SHA-256 of the file.",
                    "application/json",
                    status=201,
                    body=_as_schema({"style": {"description": "A picture or a saved style.", **_FILE}}, ["style"]),
                ),
            },
            "/v1/styles/{id}": {
                "get": _operation(
                    "Fetch a style's code as safetensors.", "application/octet-stream", parameters=[one_style]
                )
            },
            "/v1/styles/{id}/sample": {
                "get": _operation("Show a small picture in a style.", "image/jpeg", parameters=[one_style])
            },
            "/v1/models": {
                "get": _operation("Show the model, the server's limits, and the choices.", "application/json")
            },
        },
        "components": {
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error", "hint"],
                    "properties": {
                        "error": {"description": "What is wrong.", "type": "string"},
                        "hint": {"description": "The way out.", "type": ["string", "null"]},
                    },
                }
            },
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{}, {"token": []}],
    }


def _as_schema(fields: dict[str, dict[str, Any]], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "required": required, "properties": fields, "additionalProperties": False}


def _operation(
    summary: str,
    content: str | dict[str, Any],
    *,
    status: int = 200,
    body: dict[str, Any] | None = None,
    parameters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return what OpenAPI says of one request; ``content`` is the media type of its answer, or several."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    answers = {str(code): {"description": text, "content": error} for code, text in _REFUSED.items()}
    content = {content: {}} if isinstance(content, str) else content
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {str(status): {"description": "It is done.", "content": content}, **answers},
    }
    if body is not None:
        kinds = ("multipart/form-data", "application/json")
        operation["requestBody"] = {"required": True, "content": {kind: {"schema": body} for kind in kinds}}
    if parameters is not None:
        operation["parameters"] = parameters
    return operation


def _lay_out(facts: dict[str, Any]) -> str:
    """Return the description as HTML. The policy of the server allows neither scripts of others nor styles in it."""
    parts = []
    for path, methods in facts["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2><p>{escape(operation['summary'])}</p>")
            if "requestBody" in operation:
                fields = operation["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]
                parts.append("<table><thead><tr><th>field<th>what it is<th>values</thead><tbody>")
                parts += [
                    f"<tr><td><code>{name}</code><td>{escape(field['description'])}<td>{escape(_word_values(field))}"
                    for name, field in fields.items()
                ]
                parts.append("</tbody></table>")
    refused = "".join(f"<tr><td>{code}<td>{escape(text)}" for code, text in _REFUSED.items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>adain-rt: the API</title>'
        '<meta name="viewport" content="width=device-width"><link rel="icon" href="icon.svg">'
        '<link rel="stylesheet" href="docs.css"><main>'
        f"<h1>adain-rt: the API</h1><p>{escape(facts['info']['description'])}</p>"
        '<p>For programs: <a href="openapi.json">openapi.json</a>. For KServe and Triton clients: the Open Inference '
        "Protocol under <code>/v2</code>. For Prometheus: <code>/metrics</code>.</p>"
        f"{''.join(parts)}<h2>Errors</h2><p>An error is <code>{{&quot;error&quot;: &quot;what is wrong&quot;, "
        "&quot;hint&quot;: &quot;the way out&quot;}</code>.</p><table><thead><tr><th>status<th>meaning</thead>"
        f"<tbody>{refused}</tbody></table></main></html>"
    )


def _word_values(field: dict[str, Any]) -> str:
    """Return which values a field takes, in words."""
    if "enum" in field:
        values = ", ".join(field["enum"])
    elif "maximum" in field:
        values = f"{field['minimum']} to {field['maximum']}"
    else:
        values = "file" if field.get("format") == "binary" else field["type"].replace("array", "may be repeated")
    return f"{values}; {field['default']} by default".lower() if "default" in field else values
