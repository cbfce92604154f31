"""What cannot be done is refused in one line with a way out, in the command line's words, and harms nobody else."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image
from tests.fuzz.targets import TARGETS
from tests.runtime.media.files import encoded, photograph, png
from tests.runtime.serve.conftest import png_of

from adain_models.errors import AdainError
from adain_rt.jobs.styles import preset_path
from adain_rt.media.pictures import MAX_PIXELS, read_picture

URL = "/v1/stylize"
STYLE = [("style", (None, "udnie"))]


def content(data: bytes) -> list[tuple[str, tuple[str, bytes]]]:
    return [("content", ("photo.jpg", data))]


def refused(answer, status: int, *parts: str) -> None:
    """Hold a refusal to its form."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json"), answer.text
    body = answer.json()
    assert body.keys() == {"error", "hint"}
    assert "\n" not in f"{body['error']}{body['hint']}"
    for part in parts:
        assert part in f"{body['error']}; {body['hint']}"


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (content(b"x"), "the field style is missing"),
        (STYLE, "the field content is given 0 times"),
        ([*STYLE, ("content", (None, "photo.jpg"))], "the field content is a text"),
        ([*STYLE, *content(b"x"), *content(b"x")], "the field content is given 2 times"),
        ([*STYLE, *content(b"x"), ("url", (None, "http://localhost/"))], "there is no field url"),
        ([*STYLE, *content(b"x"), ("alpha", (None, "2"))], "the field alpha must be a number, from 0 to 1, not 2"),
        ([*STYLE, *content(b"x"), ("alpha", (None, "nan"))], "the field alpha must be a number"),
        ([*STYLE, *content(b"x"), ("size", (None, "1.5"))], "the field size must be a whole number"),
        ([*STYLE, *content(b"x"), ("color", (None, "red"))], "must be one of none, coral, luma"),
        ([*STYLE, *content(b"x"), ("format", (None, "gif"))], "the field format must be one of"),
        ([*STYLE, *content(b"x"), ("crop", (None, "maybe"))], "the field crop must be true or false"),
        ([*STYLE, *content(b"x"), ("weight", (None, "-1"))], "the field weight must be a number, 0 or more"),
        ([*STYLE, *content(b"x"), ("weight", (None, "0"))], "the weights are all 0"),
        ([*STYLE, *STYLE, *content(b"x"), ("weight", (None, "1"))], "the number of styles is 2 and of weights 1"),
        ([*STYLE, *STYLE, *content(b"x"), ("mask", ("m.png", b"x"))], "the number of styles is 2 and of masks 1"),
        ([*STYLE, *content(b"x"), ("alpha", ("a.txt", b"1"))], "the field alpha is a file"),
    ],
)
def test_a_field_that_is_not_what_it_must_be_is_refused(parts, said, client):
    refused(client.post(URL, files=parts), 400, said)


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"[" * 100_000, 400),
        ("application/json", b'{"content": {"base64": "?"}, "style": "udnie"}', 400),
        ("application/json", b'{"content": null}', 400),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n", 400),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=", 400),
        ("multipart/form-data; boundary=x", b"--y\r\n", 400),
        ("text/plain", b"hello", 415),
        ("", b"", 415),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(kind, body, status, client):
    refused(client.post(URL, content=body, headers={"Content-Type": kind}), status)


def test_broken_pictures_are_refused_in_the_command_lines_words(client):
    for data in (b"", b"text", encoded(Image.fromarray(photograph()), "PNG")[:200]):
        with pytest.raises(AdainError) as caught:
            read_picture(io.BytesIO(data), "photo.jpg")
        refused(client.post(URL, files=[*STYLE, *content(data)]), 422, str(caught.value))
        refused(client.post(URL, files=[("style", ("photo.jpg", data)), *content(png_of(photograph()))]), 422)


def test_a_bomb_is_refused_before_it_is_decoded(client):
    refused(client.post(URL, files=[*STYLE, *content(png((30_000, 30_000), 8, 0, b""))]), 422, f"{MAX_PIXELS:,} pixels")
    refused(client.post(URL, files=[*STYLE, *content(png((9_000, 9_000), 8, 0, b""))]), 422, "more than 24,000,000")


def test_a_result_that_would_be_too_large_is_refused_before_it_is_made(client, photo):
    answer = client.post(URL, files=[*STYLE, *content(photo)], data={"size": "20000"})
    refused(answer, 422, "would have 30000 x 20000 when it is resized", "`size`")
    strip = png_of(np.zeros((16, 1600, 3), np.uint8) + np.arange(1600, dtype=np.uint8)[:, None])
    style = [("style", ("strip.png", strip))]
    assert client.post(URL, files=[*style, *content(photo)], data={"style_size": "2048"}).status_code == 200


def test_a_preset_that_is_not_there_is_refused_in_the_command_lines_words(client, direct, photo):
    with pytest.raises(AdainError) as caught:
        preset_path("starry-nigth", direct)
    refused(client.post(URL, files=[*content(photo)], data={"style": "@starry-nigth"}), 404, str(caught.value))
    refused(client.post(URL, files=[*content(photo)], data={"style": "0" * 64}), 404, "is not here")


def test_masks_that_do_not_fit_and_coral_without_a_picture_are_refused(client, photo):
    small = [("mask", ("m.png", png_of(np.zeros((8, 8, 3), np.uint8))))]
    refused(client.post(URL, files=[*content(photo), *small, *STYLE]), 422, "mask m.png: is 8x8 pixels", "photo.jpg")
    refused(client.post(URL, files=[*content(photo), *STYLE], data={"color": "coral"}), 422, "coral recolours")


def test_a_style_that_nobody_sees_is_refused(client, photo):
    clear = io.BytesIO()
    Image.new("RGBA", (32, 32)).save(clear, "PNG")
    answer = client.post(URL, files=[*content(photo), ("style", ("clear.png", clear.getvalue()))])
    refused(answer, 422, "style clear.png: is transparent all over")


def test_no_file_of_the_corpus_makes_the_server_fail(client, photo):
    generator = random.Random(0)  # noqa: S311 - nobody is to be kept from guessing it
    refusals = 0
    for name, data in TARGETS["picture"].seeds().items():
        broken = bytearray(data)
        for _ in range(4):
            broken[generator.randrange(len(broken))] = generator.randrange(256)
        for each in (data, data[: len(data) // 2], bytes(broken)):
            answer = client.post(URL, files=[*STYLE, ("content", (name, each))])
            if answer.status_code != 200:
                refused(answer, 422, name)
                refusals += 1
    assert refusals > 20
    assert client.post(URL, files=[*STYLE, *content(photo)]).status_code == 200


def test_names_of_files_are_no_paths_and_stay_on_one_line(client):
    names = {"../../etc/passwd": "passwd", "C:\\photos\\a\x07.jpg": "a.jpg", "x" * 300: "x" * 100 + ":"}
    for name, shown in names.items():
        answer = client.post(URL, json={"content": {"base64": "eA==", "name": name}, "style": "udnie"})
        refused(answer, 422)
        assert answer.json()["error"].startswith(shown)


def test_an_address_or_a_method_that_is_not_there_is_refused_alike(client):
    refused(client.get("/v1/nothing"), 404, "GET /v1/nothing: not found")
    refused(client.delete("/v1/styles"), 405, "method not allowed")
