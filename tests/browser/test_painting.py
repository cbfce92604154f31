"""A photo, a style, a painted picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.browser.conftest import Reader, as_file

from adain_rt import fit, paint
from adain_rt.contract import Pixels
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer

pytestmark = pytest.mark.browser


def preset(stylizer: Stylizer, name: str) -> Style:
    return Style.load(stylizer.directory / "presets" / f"{name}.safetensors")


def test_a_photo_is_painted_in_the_chosen_preset(reader: Reader, china: Pixels, stylizer: Stylizer) -> None:
    reader.give_photo(china, "pagoda.png")
    reader.style("udnie").click()
    reader.wait()
    name, painted = reader.download()
    assert name == "pagoda_stylized_udnie.png"
    assert np.array_equal(painted, paint(stylizer, china, fit(stylizer, china, preset(stylizer, "udnie"))))


def test_strength_and_colours_are_those_of_the_command_line(reader: Reader, china: Pixels) -> None:
    reader.give_photo(china)
    reader.slide("#strength", 40)
    reader.wait()
    reader.find("#keep-colors").check()
    reader.wait()
    _, painted = reader.download()
    order = reader.orders()[-1]
    assert (order["alpha"], order["color"]) == (["0.4"], ["luma"])
    gap = np.abs(painted.astype(int) - china).mean(axis=(0, 1))
    assert gap.max() < 40  # it looks like the photo


def test_strokes_are_as_large_as_chosen(reader: Reader, china: Pixels, stylizer: Stylizer) -> None:
    reader.give_photo(china, "pagoda.png")
    reader.style("udnie").click()
    reader.find("#strokes").select_option("Large")
    reader.wait()
    _, painted = reader.download()
    assert np.array_equal(
        painted, paint(stylizer, china, fit(stylizer, china, preset(stylizer, "udnie"), size=256), strokes=256)
    )


def test_a_preview_comes_first_and_the_newest_wish_last(reader: Reader, china: Pixels) -> None:
    reader.give_photo(np.repeat(np.repeat(china, 2, 0), 2, 1), "large.jpg")
    slider = reader.find("#strength")
    for value in range(95, 45, -5):
        slider.fill(str(value))
    reader.wait()
    wishes = [order for order in reader.orders() if order["alpha"] != ["1"]]  # thumbnails are at full strength
    first, *_, last = wishes
    assert last["alpha"] == ["0.5"]
    assert first["content"] == ["photo"]  # a small copy
    assert last["content"] == ["large.jpg"]  # the file itself
    assert [order["content"] for order in wishes].count(["large.jpg"]) == 1


def test_the_download_is_as_large_as_the_photo_or_as_chosen(reader: Reader, china: Pixels) -> None:
    reader.give_photo(np.repeat(np.repeat(china, 2, 0), 2, 1), "large.jpg")
    name, painted = reader.download()
    assert (name, painted.shape) == ("large_stylized_starry-night.jpg", (854, 1280, 3))
    reader.find("#size").select_option("1024")
    reader.find("#format").select_option("webp")
    name, painted = reader.download()  # at once: it waits for the picture
    assert (name, painted.shape) == ("large_stylized_starry-night.webp", (683, 1024, 3))


def test_transparency_stays(reader: Reader, china: Pixels) -> None:
    alpha = np.full((*china.shape[:2], 1), 255, np.uint8)
    alpha[:100] = 0
    reader.give_photo(np.concatenate([china, alpha], axis=-1), "cut-out.png")
    _, painted = reader.download()
    assert np.array_equal(painted[..., 3:], alpha)


def test_a_photo_is_turned_upright(reader: Reader, china: Pixels, tmp_path: Path) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(china).save(tmp_path / "turned.jpg", exif=exif)
    reader.find("#photo-file").set_input_files(tmp_path / "turned.jpg")
    reader.wait()
    assert reader.find("#status").inner_text().startswith("427 × 640")
    assert reader.download()[1].shape == (640, 427, 3)


def test_a_text_file_is_refused_and_the_photo_stays(reader: Reader, china: Pixels) -> None:
    reader.give_photo(china)
    text = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    reader.find("#photo-file").set_input_files([text])
    error = reader.find("#error")
    error.wait_for()
    assert error.get_attribute("role") == "alert"
    assert "notes.txt is not a picture" in error.inner_text()
    assert "Choose a JPEG" in error.inner_text()
    reader.find("#dismiss").click()
    assert error.is_hidden()
    assert reader.download()[1].shape == china.shape


def test_an_error_of_the_server_is_shown_with_its_hint(reader: Reader, china: Pixels) -> None:
    body = {"error": "photo.png: is too large", "hint": "use a smaller picture"}
    reader.page.route("**/v1/stylize", lambda route: route.fulfill(status=422, json=body))
    reader.find("#photo-file").set_input_files(as_file(china, "photo.png"))
    reader.find("#error").wait_for()
    assert "photo.png: is too large use a smaller picture" in " ".join(reader.find("#error").inner_text().split())
    assert "working" not in (reader.find("#stage").get_attribute("class") or "")
    reader.page.unroute("**/v1/stylize")
    assert reader.download()[1].shape == china.shape  # which asks again
    reader.errors.clear()  # Chromium reports each answer that is an error


def test_a_busy_server_is_asked_again(reader: Reader, china: Pixels) -> None:
    reader.be_refused_thrice()
    reader.find("#photo-file").set_input_files(as_file(china, "photo.png"))
    reader.wait()
    assert reader.find("#error").is_hidden()
    reader.errors.clear()


def test_a_server_that_is_gone_is_named(reader: Reader, china: Pixels) -> None:
    reader.page.route("**/v1/stylize", lambda route: route.abort())
    reader.find("#photo-file").set_input_files(as_file(china, "photo.png"))
    reader.find("#error").wait_for()
    assert "The server does not answer." in reader.find("#error").inner_text()
    reader.errors.clear()


def test_the_gallery_shows_the_photo_in_every_style(reader: Reader, china: Pixels) -> None:
    reader.give_photo(china)
    samples = reader.find("#gallery img").evaluate_all("images => images.map((image) => image.src)")
    assert len(set(samples)) == len(samples)
    reader.give_photo(china[:, ::-1], "mirrored.png")
    for index, sample in enumerate(samples):
        reader.find(f'#gallery .tile:nth-child({index + 1}) img:not([src="{sample}"])').wait_for()


def test_before_and_after_are_compared_by_keyboard(reader: Reader, china: Pixels) -> None:
    reader.give_photo(china)
    slider = reader.find("#compare")
    slider.focus()
    for _ in range(3):
        slider.press("PageUp")
    assert slider.get_attribute("aria-valuetext") == "30 % of the width shows the photo"
    assert "70%" in reader.find("#before").evaluate("image => getComputedStyle(image).clipPath")


def test_a_picture_is_pasted_or_dropped(reader: Reader, china: Pixels, flower: Pixels) -> None:
    hand_over = """([kind, target, numbers]) => {
        const file = new File([new Uint8Array(numbers)], `${kind}.png`, { type: "image/png" });
        const files = new DataTransfer();
        files.items.add(file);
        const data = kind === "paste" ? { clipboardData: files } : { dataTransfer: files };
        const event = kind === "paste" ? ClipboardEvent : DragEvent;
        document.querySelector(target).dispatchEvent(new event(kind, { bubbles: true, cancelable: true, ...data }));
    }"""
    pasted, dropped = ([*as_file(pixels, "a.png")["buffer"]] for pixels in (china[:64, :96], flower[:64, :80]))
    reader.page.evaluate(hand_over, ["paste", "body", pasted])
    reader.find("#status").filter(has_text="96 × 64 pixels, painted").wait_for()
    reader.page.evaluate(hand_over, ["drop", "#stage", dropped])
    reader.find("#status").filter(has_text="80 × 64 pixels, painted").wait_for()
    reader.page.evaluate(hand_over, ["drop", "#panel", dropped])
    reader.find("#caption").filter(has_text="drop.png (your picture)").wait_for()
