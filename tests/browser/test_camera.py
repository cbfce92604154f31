"""The camera: Chromium's shows a test picture."""

from __future__ import annotations

import pytest
from tests.browser.conftest import Reader

from adain_rt.contract import Pixels

pytestmark = pytest.mark.browser


def test_the_camera_is_painted_live_and_a_picture_of_it_taken(reader: Reader) -> None:
    reader.style("udnie").click()
    reader.be_refused_thrice()
    reader.find("#live").click()
    reader.find("#camera-view[src]").wait_for()
    first = reader.find("#camera-view").get_attribute("src")
    reader.find(f'#camera-view:not([src="{first}"])').wait_for()
    reader.find("#rate").filter(has_text="pictures a second").wait_for()
    reader.errors.clear()  # Chromium reports each answer that is an error
    reader.find("#snap").click()
    reader.wait()
    assert reader.find("#live").get_attribute("aria-pressed") == "false"
    name, painted = reader.download()
    assert name == "camera_stylized_udnie.jpg"
    assert painted.shape == (720, 1280, 3)


def test_what_the_camera_shows_is_one_clip_until_it_is_stopped(reader: Reader) -> None:
    for _ in range(2):
        reader.find("#live").click()
        first = reader.find("#camera-view[src]").get_attribute("src")
        reader.find(f'#camera-view:not([src="{first}"])').wait_for()
        reader.find("#stop").click()
        reader.find("#empty").wait_for()
    clips = [order["clip"][0] for order in reader.orders()]
    assert len(clips) > len(set(clips)) == 2
    assert clips == sorted(clips, key=clips.index)


def test_after_the_camera_the_photo_is_painted_as_it_is_set_now(reader: Reader, china: Pixels) -> None:
    reader.give_photo(china)
    reader.find("#live").click()
    reader.find("#camera-view[src]").wait_for()
    assert reader.find("#download").is_disabled()
    reader.style("udnie").click()
    reader.find("#stop").click()
    reader.wait()
    assert reader.download()[0] == "photo_stylized_udnie.png"


def test_without_a_camera_the_way_out_is_said(reader: Reader) -> None:
    reader.page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('denied')); }")
    reader.find("#live").click()
    reader.find("#error").filter(has_text="The camera cannot be used.").wait_for()
    assert reader.find("#empty").is_visible()
