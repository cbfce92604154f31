"""What the tests of the page share: a server, a browser, and a reader who uses the page."""

from __future__ import annotations

import io
import os
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from adain_rt.contract import Pixels
from adain_rt.stylizer import Stylizer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")

DONE = re.compile(r"\d+ × \d+ pixels, painted in")

RECORD_ORDERS = """
    window.orders = [];
    const ask = window.fetch;
    window.fetch = (address, options) => {
        if (String(address).endsWith("v1/stylize")) {
            const form = {};
            for (const [name, value] of options.body) (form[name] ??= []).push(value.name ?? value);
            window.orders.push(form);
        }
        return ask(address, options);
    };
"""

WIDE, NARROW = (1280, 800), (390, 844)

OpenPage = Callable[..., "Reader"]


@pytest.fixture(scope="session", autouse=True)
def _needs() -> None:
    """End the session with one line if something that all of these tests need is not here."""
    for module in ("playwright", "axe_playwright_python", "uvicorn"):
        if find_spec(module) is None:
            pytest.exit(f"the tests of the page need {module}: pip install '.[page-test]'", returncode=1)
    if CHROMIUM is None:
        pytest.exit("the tests of the page need Chromium: install it, or set CHROMIUM to its path", returncode=1)


@pytest.fixture(scope="session")
def address(_needs, stylizer: Stylizer) -> Iterator[str]:
    """A server's address."""
    with serve(stylizer) as at:
        yield at


@contextmanager
def serve(stylizer: Stylizer, token: str | None = None) -> Iterator[str]:
    """Run a server in a thread; yield its address."""
    import uvicorn

    from adain_rt.serve.app import make_app
    from adain_rt.serve.limits import Limits

    app = make_app(stylizer, Limits(), token=token)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def chromium(_needs) -> Iterator[Browser]:
    """A browser with a camera that shows a test picture."""
    from playwright.sync_api import sync_playwright

    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's does not work for root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*camera, *sandbox])
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Browser, address: str) -> Iterator[OpenPage]:
    """Open the page as somebody with a screen of this size; fail if the console then shows an error."""
    readers = []

    def open_as(size: tuple[int, int] = WIDE, at: str = address, **settings: Any) -> Reader:
        width, height = size
        context = chromium.new_context(viewport={"width": width, "height": height}, locale="en-GB", **settings)
        context.add_init_script(RECORD_ORDERS)
        readers.append(Reader(context.new_page()))
        readers[-1].page.goto(at)
        return readers[-1]

    yield open_as
    errors = [error for reader in readers for error in reader.errors]
    for reader in readers:
        reader.page.context.close()
    assert errors == []


@pytest.fixture
def reader(open_page: OpenPage) -> Reader:
    """Somebody at a wide screen, who reads English."""
    return open_page()


class Reader:
    """Somebody who uses the page."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def find(self, selector: str) -> Locator:
        """Return what a selector finds."""
        return self.page.locator(selector)

    def style(self, name: str) -> Locator:
        """Return a style's tile."""
        return self.find(f'#gallery [data-id="{name}"]')

    def give_photo(self, pixels: Pixels, name: str = "photo.png") -> None:
        """Choose a photo, and wait until it is painted."""
        self.find(".tile img[src]").first.wait_for()
        self.find("#photo-file").set_input_files(as_file(pixels, name))
        self.wait()

    def wait(self) -> None:
        """Wait until the full picture is there."""
        self.find("#status").filter(has_text=DONE).wait_for()

    def drag(self, selector: str, *places: tuple[float, float]) -> None:
        """Press the mouse at the first place of an element, go to the others, release it; places are from 0 to 1."""
        box = self.find(selector).bounding_box()
        assert box is not None
        points = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in places]
        self.page.mouse.move(*points[0])
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*point, steps=5)
        self.page.mouse.up()

    def slide(self, selector: str, value: int) -> None:
        """Set a slider."""
        self.find(selector).fill(str(value))

    def download(self) -> tuple[str, Pixels]:
        """Return the name of the download, and its pixels."""
        with self.page.expect_download() as waiting:
            self.find("#download").click()
        with Image.open(waiting.value.path()) as image:
            return waiting.value.suggested_filename, np.asarray(image)

    def orders(self) -> list[dict[str, list[str]]]:
        """Return the forms by which the page has asked for pictures: the values of each field, files by their names."""
        forms: list[dict[str, list[str]]] = self.page.evaluate("window.orders")
        return forms

    def be_refused_thrice(self) -> None:
        """Let the server say that it is busy, to the next three requests for a picture."""
        answers = iter([503, 429, 503])

        def answer(route: Any) -> None:
            status = next(answers, None)
            route.fulfill(status=status, json={"error": "busy", "hint": None}) if status else route.continue_()

        self.page.route("**/v1/stylize", answer)


def as_file(pixels: Pixels, name: str) -> Any:
    """Return a picture as a file to choose."""
    buffer = io.BytesIO()
    kind = {".png": "PNG", ".jpg": "JPEG", ".webp": "WebP"}[Path(name).suffix]
    Image.fromarray(pixels).save(buffer, kind)
    return {"name": name, "mimeType": f"image/{kind.lower()}", "buffer": buffer.getvalue()}
