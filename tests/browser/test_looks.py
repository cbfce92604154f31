"""The page on any screen, for any reader, and safe."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.browser.conftest import NARROW, WIDE, OpenPage, Reader
from tests.runtime.serve.servers import serving

from adain_rt.contract import Pixels

pytestmark = pytest.mark.browser


def check_accessibility(reader: Reader) -> None:
    """Fail if axe finds something that keeps people out."""
    from axe_playwright_python.sync_playwright import Axe

    reader.page.wait_for_timeout(300)  # a colour in transition has not its contrast yet
    found = Axe().run(reader.page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_axe_finds_nothing(open_page: OpenPage, china: Pixels, size, scheme) -> None:
    reader = open_page(size, color_scheme=scheme)
    check_accessibility(reader)
    reader.give_photo(china)
    reader.find("#mix").check()
    reader.style("udnie").click()
    reader.find("#paint").check()
    reader.find("#photo-file").set_input_files([{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"text"}])
    reader.find("#error").wait_for()
    check_accessibility(reader)


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
@pytest.mark.parametrize("width", [320, 390, 820, 1024])
def test_nothing_is_wider_than_the_screen(open_page: OpenPage, china: Pixels, width, locale) -> None:
    reader = open_page((width, 800))
    if locale == "zh-CN":
        reader.find("#language").click()
    widest = "document.documentElement.scrollWidth"
    assert reader.page.evaluate(widest) <= width
    reader.find("#photo-file").set_input_files([{"name": "a.txt", "mimeType": "text/plain", "buffer": b"text"}])
    reader.find("#error").wait_for()
    reader.find("#try").click()
    reader.find("#picture").wait_for()
    reader.find("#mix").check()
    reader.find("#paint").check()
    assert reader.page.evaluate(widest) <= width


def test_on_a_phone_the_picture_stays_in_sight(open_page: OpenPage, china: Pixels) -> None:
    reader = open_page(NARROW, has_touch=True, is_mobile=True)
    reader.give_photo(china)
    reader.find("#format").scroll_into_view_if_needed()
    box = reader.find("#picture").bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert box["width"] > 300
    assert reader.find("#download").is_visible()


def test_a_reader_of_chinese_gets_chinese(chromium, address: str) -> None:
    page = chromium.new_context(locale="zh-CN").new_page()
    page.goto(address)
    page.get_by_role("button", name="选择照片").wait_for()
    page.locator("#caption").filter(has_text="星月夜 · 文森特·梵高").wait_for()
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    page.locator("#language").click()
    assert page.locator("html").get_attribute("lang") == "en"
    page.reload()
    page.get_by_role("button", name="Choose a photo").wait_for()  # the choice is remembered
    page.context.close()


def test_the_page_follows_the_colour_scheme_and_reduced_motion(open_page: OpenPage) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light, dark = (open_page(color_scheme=scheme).page.evaluate(ground) for scheme in ("light", "dark"))
    assert light == "rgb(245, 245, 243)"
    assert dark == "rgb(19, 19, 21)"
    still = open_page(reduced_motion="reduce")
    animation = "getComputedStyle(document.querySelector('#progress'), '::after').animationName"
    assert still.page.evaluate(animation) == "none"


def test_everything_can_be_reached_by_tab(reader: Reader, china: Pixels) -> None:
    reader.give_photo(china)
    reader.page.evaluate("document.activeElement.blur()")
    met = []
    for _ in range(13):
        reader.page.keyboard.press("Tab")
        met.append(reader.page.evaluate("document.activeElement.id || document.activeElement.dataset.id"))
    wanted = ["open", "live", "language", "compare", "mix", "starry-night", "own", "strength", "keep-colors", "strokes"]
    assert met == [*wanted, "paint", "size", "format"]


def test_the_browser_runs_no_foreign_code(reader: Reader) -> None:
    injected = """() => {
        const script = document.createElement("script");
        script.textContent = "window.intruder = true";
        document.body.append(script);
        return window.intruder ?? false;
    }"""
    assert reader.page.evaluate(injected) is False
    assert "Content Security Policy" in reader.errors.pop()


def test_a_server_with_a_token_is_used_once_it_is_typed(open_page: OpenPage, tmp_path: Path) -> None:
    with serving(tmp_path / "log", "--token", "a secret") as server:
        reader = open_page(at=server.url)
        for attempt in ("a guess", "a secret"):
            reader.find("#token-dialog[open]").wait_for()
            reader.find("#token").fill(attempt)
            reader.find("#token").press("Enter")
        reader.style("starry-night").wait_for()
        reader.find("#try").click()
        reader.wait()
    reader.errors.clear()  # Chromium reports each answer that is an error
