"""``POST /v1/stylize``: what the command line's options make, over HTTP."""

from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from tests.runtime.serve.conftest import pixels_of, png_of

from adain_rt import color, fit
from adain_rt import paint as paint_photo
from adain_rt.jobs.styles import preset_path
from adain_rt.media.pictures import Picture, frame
from adain_rt.style import Style

URL = "/v1/stylize"


def file(data: bytes, name: str = "photo.png") -> tuple[str, bytes]:
    return name, data


def preset(name: str, stylizer) -> Style:
    return Style.load(preset_path(name, stylizer))


def paint(client, photo: bytes, *more, **data):
    """Ask for a picture, as a Stylizer paints it; ``more`` are files besides the content."""
    return client.post(
        URL, files=[("content", file(photo)), *more], data={"fit": "false", "underpainting": "0", **data}
    )


def test_a_picture_comes_back_as_the_stylizer_paints_it(client, direct, photo):
    answer = paint(client, photo, style="starry-night")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    expected = direct.stylize(pixels_of(photo), preset("starry-night", direct))
    np.testing.assert_array_equal(pixels_of(answer.content), expected)


def test_a_style_is_fitted_to_the_photo_unless_it_is_not_to_be(client, direct, photo):
    answer = client.post(URL, files={"content": file(photo)}, data={"style": "starry-night"})
    fitted = fit(direct, pixels_of(photo), preset("starry-night", direct))
    np.testing.assert_array_equal(pixels_of(answer.content), paint_photo(direct, pixels_of(photo), fitted))


def test_a_preset_may_have_its_at_sign(client, photo):
    assert paint(client, photo, style="@udnie").content == paint(client, photo, style="udnie").content


def test_strength_and_weights_are_the_command_lines(client, direct, photo):
    answer = paint(client, photo, style=["udnie", "stables"], weight=["3", "1"], alpha="0.4")
    mixed = Style.mix([preset("udnie", direct), preset("stables", direct)], [3, 1])
    expected = direct.stylize(pixels_of(photo), mixed, strength=0.4)
    np.testing.assert_array_equal(pixels_of(answer.content), expected)


def test_each_style_has_its_mask(client, direct, photo):
    shape = pixels_of(photo).shape[:2]
    left = np.zeros(shape, np.uint8)
    left[:, :40] = 255
    masks = [("mask", file(png_of(each))) for each in (left, 255 - left)]
    answer = paint(client, photo, *masks, style=["udnie", "stables"])
    styles = [preset("udnie", direct), preset("stables", direct)]
    expected = direct.stylize(pixels_of(photo), styles, masks=np.stack([left, 255 - left]))
    np.testing.assert_array_equal(pixels_of(answer.content), expected)


@pytest.mark.parametrize("name", ["luma", "coral"])
def test_the_photos_colours_are_kept(name, client, direct, photo, painting):
    answer = paint(client, photo, ("style", file(painting)), color=name, style_size="0")
    content, style = pixels_of(photo), pixels_of(painting)
    if name == "coral":
        expected = direct.stylize(content, direct.encode(color.coral(style, content)))
    else:
        expected = color.keep_chroma(content, direct.stylize(content, direct.encode(style)))
    np.testing.assert_array_equal(pixels_of(answer.content), expected)


def test_a_picture_is_cropped_and_resized(client, direct, photo):
    answer = paint(client, photo, style="udnie", size="48", crop="true")
    expected = direct.stylize(frame(pixels_of(photo), 48, crop=True), preset("udnie", direct))
    np.testing.assert_array_equal(pixels_of(answer.content), expected)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "bmp", "avif"])
def test_the_answer_has_the_format_that_is_asked_for(name, client, photo):
    answer = paint(client, photo, style="udnie", format=name)
    assert answer.headers["content-type"] == f"image/{name}"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.format == name.upper()


def test_a_lower_quality_takes_fewer_bytes(client, photo):
    sizes = [len(paint(client, photo, style="udnie", format="jpeg", quality=q).content) for q in ("90", "30")]
    assert sizes[1] < sizes[0]


def test_json_asks_for_what_a_form_does(client, photo, painting):
    picture, other = ({"base64": base64.b64encode(each).decode()} for each in (photo, painting))
    as_it_is = {"fit": False, "underpainting": 0}
    asked = {"content": picture, "style": ["udnie", other], "weight": [1, 2], "alpha": 0.5, "crop": True, **as_it_is}
    form = paint(client, photo, ("style", file(painting)), style="udnie", weight=["2", "1"], alpha="0.5", crop="true")
    answer = client.post(URL, json=asked)
    # A form sends its texts before its files: there the preset comes first as well.
    assert answer.status_code == form.status_code == 200
    swapped = client.post(URL, json={**asked, "weight": [2, 1]})
    assert swapped.content == form.content
    assert swapped.content != answer.content


def test_metadata_stays_as_on_the_command_line(client, photo):
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x013B] = "me"
    Image.fromarray(pixels_of(photo)).save(buffer, "JPEG", exif=exif)
    answer = paint(client, buffer.getvalue(), style="udnie")
    with Image.open(io.BytesIO(answer.content)) as image:
        assert image.getexif()[0x013B] == "me"


def test_answers_to_many_at_once_are_each_their_own(client, server, direct, china):
    tiles = [china[y : y + 64, x : x + 64] for y in range(0, 256, 64) for x in range(0, 512, 64)]
    names = ["udnie", "stables", "starry-night"]
    styles = {name: preset(name, direct) for name in names}

    def ask(number: int) -> bool:
        with server.client() as own:
            name = names[number % 3]
            answer = paint(own, png_of(tiles[number]), style=name)
            return np.array_equal(pixels_of(answer.content), direct.stylize(tiles[number], styles[name]))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(len(tiles))))


def test_the_transparent_stay_transparent(client, photo):
    pixels = pixels_of(photo)
    alpha = np.full(pixels.shape[:2], 255, np.uint8)
    alpha[:10] = 0
    picture = Picture(pixels, alpha, "PNG")
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([picture.pixels, alpha])).save(buffer, "PNG")
    with Image.open(io.BytesIO(paint(client, buffer.getvalue(), style="udnie").content)) as image:
        np.testing.assert_array_equal(np.array(image)[..., 3], alpha)


def test_the_answer_is_the_file_that_the_command_line_writes(client, desk, run):
    run(
        "stylize",
        "photo.jpg",
        "--style",
        "painting.png",
        "--backend",
        "onnxruntime",
        "--precision",
        "int8",
        "-o",
        "o.jpg",
    )
    photo, painting = ((desk / name).read_bytes() for name in ("photo.jpg", "painting.png"))
    answer = client.post(URL, files={"content": file(photo), "style": file(painting)})
    assert answer.content == (desk / "o.jpg").read_bytes()
