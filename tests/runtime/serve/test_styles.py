"""Styles over HTTP: listed, measured, fetched, shown."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from threading import Lock

import numpy as np
import pytest
from PIL import Image
from tests.runtime.serve.conftest import pixels_of, png_of

from adain_models.errors import AdainError
from adain_rt.jobs.styles import frame_style
from adain_rt.media.pictures import read_picture
from adain_rt.serve import styles as serve_styles
from adain_rt.serve.forms import Upload
from adain_rt.serve.limits import Room
from adain_rt.serve.refusals import Refusal
from adain_rt.serve.styles import Styles
from adain_rt.style import Style


def test_presets_are_listed_with_their_works(client):
    listed = {each["id"]: each for each in client.get("/v1/styles").json()["styles"]}
    assert len([each for each in listed.values() if each["kind"] == "preset"]) == 24
    assert listed["udnie"].items() >= {"id": "udnie", "name": "udnie", "artist": "Francis Picabia"}.items()
    assert listed["udnie"]["title"]


def test_a_picture_is_measured_listed_fetched_and_used(client, direct, photo, painting):
    answer = client.post("/v1/styles", files={"style": ("harbour.png", painting)})
    name = hashlib.sha256(painting).hexdigest()
    assert (answer.status_code, answer.headers["location"]) == (201, f"/v1/styles/{name}")
    assert answer.json() == {"id": name, "name": "harbour", "kind": "encoded"}
    assert answer.json() in client.get("/v1/styles").json()["styles"]
    fetched = Style.from_bytes(client.get(f"/v1/styles/{name}").content)
    measured = frame_style(read_picture(io.BytesIO(painting)), "harbour.png", 512, crop=False).encode(direct)
    assert fetched == measured
    used = client.post(
        "/v1/stylize", files={"content": ("a.png", photo)}, data={"style": name, "fit": "false", "underpainting": "0"}
    )
    np.testing.assert_array_equal(pixels_of(used.content), direct.stylize(pixels_of(photo), measured))


def test_a_measured_style_keeps_its_picture_for_coral(client, photo, painting):
    name = client.post("/v1/styles", files={"style": ("a.png", painting)}).json()["id"]
    by_id, by_file = (
        client.post("/v1/stylize", files=[("content", ("a.png", photo)), style], data={"color": "coral"})
        for style in (("style", (None, name)), ("style", ("a.png", painting)))
    )
    assert by_id.status_code == 200
    assert by_id.content == by_file.content


def test_a_saved_style_is_put_in(client, painting, direct):
    code = replace(direct.encode(pixels_of(painting)), about={"title": "Harbour"})
    answer = client.post("/v1/styles", files={"style": ("harbour.safetensors", code.to_bytes())})
    assert answer.json()["title"] == "Harbour"
    assert Style.from_bytes(client.get(answer.headers["location"]).content) == code


def test_a_style_of_another_model_and_a_broken_one_are_refused(client, painting, direct):
    other = replace(direct.encode(pixels_of(painting)), weights_sha256="0" * 64)
    for data, said in ((other.to_bytes(), "saved by another model"), (other.to_bytes()[:300], "damaged")):
        answer = client.post("/v1/styles", files={"style": ("other.safetensors", data)})
        assert answer.status_code == 422
        assert answer.json()["error"].startswith("other.safetensors: ")
        assert said in answer.json()["error"]


def test_a_style_is_one_file(client, painting):
    assert client.post("/v1/styles", data={"style": "udnie"}).status_code == 415
    assert client.post("/v1/styles", files={"picture": ("a.png", painting)}).status_code == 400


def test_a_sample_is_a_small_picture_in_the_style(client):
    answer = client.get("/v1/styles/udnie/sample")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert max(image.size) == 384
    assert answer.content != client.get("/v1/styles/stables/sample").content
    assert client.get("/v1/styles/nothing/sample").status_code == 404


class _Counting:
    """A Stylizer that counts what it measures."""

    def __init__(self, stylizer) -> None:
        self.model, self.directory, self.count, self._stylizer = stylizer.model, stylizer.directory, 0, stylizer
        self._lock = Lock()

    def encode(self, picture) -> Style:
        with self._lock:
            self.count += 1
        return self._stylizer.encode(picture)


def _uploads(china, count: int) -> list[Upload]:
    return [Upload(png_of(china[:32, 32 * i : 32 * i + 32]), f"{i}.png") for i in range(count)]


def test_a_picture_is_measured_once_at_each_size(direct, china):
    counting = _Counting(direct)
    styles = Styles(counting, 10**6, Room(10**6))
    (upload,) = _uploads(china, 1)
    first = styles.source(upload, 32, crop=False)
    assert styles.source(replace(upload, name="again.png"), 32, crop=False).code == first.code
    styles.source(upload, 48, crop=False)
    assert counting.count == 2


def test_the_styles_that_were_used_last_are_kept(direct, china, monkeypatch):
    uploads = _uploads(china, 3)
    styles = Styles(direct, 10**8, Room(10**8))
    monkeypatch.setattr(serve_styles, "_MOST_BYTES", 2 * 512 * 512 * 3 + (1 << 14))
    ids = [styles.add(upload).id for upload in uploads[:2]]
    styles.find(ids[0])
    ids.append(styles.add(uploads[2]).id)
    assert {entry.id for entry in styles.list() if entry.kind == "encoded"} == {ids[0], ids[2]}
    with pytest.raises(Refusal, match="not here"):
        styles.find(ids[1])


def test_a_style_picture_of_too_many_pixels_is_refused(direct, china):
    styles = Styles(direct, 100_000, Room(100_000))
    with pytest.raises(AdainError, match=r"style 0\.png: would have more than 100,000 pixels"):
        styles.source(_uploads(china, 1)[0], 512, crop=False)
