"""Up to four styles, and the square between them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.browser.conftest import Reader, as_file

from adain_rt import fit, paint
from adain_rt.contract import Pixels
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer

pytestmark = pytest.mark.browser


@pytest.mark.parametrize(
    ("count", "x", "y", "shares"),
    [
        (1, 0.3, 0.9, [1]),
        (2, 0.25, 0.9, [0.75, 0.25]),
        (3, 0.25, 0.5, [0.375, 0.125, 0.5]),
        (4, 0.25, 0.5, [0.375, 0.125, 0.375, 0.125]),
        (4, 1, 1, [0, 0, 0, 1]),
    ],
)
def test_shares_are_bilinear(reader: Reader, count, x, y, shares) -> None:
    program = "([count, place]) => import('./mixer.js').then(({ shareOut }) => shareOut(count, place))"
    assert reader.page.evaluate(program, [count, {"x": x, "y": y}]) == pytest.approx(shares)


def test_dragging_in_the_square_mixes_the_styles(reader: Reader, china: Pixels, stylizer: Stylizer) -> None:
    reader.give_photo(china)
    reader.find("#mix").check()
    names = ["starry-night", "udnie", "the-scream", "great-wave"]
    for name in names[1:]:
        reader.style(name).click()
    reader.drag("#pad", (0.5, 0.5), (0.3, 0.6), (0.25, 0.75))
    reader.wait()
    order = reader.orders()[-1]
    assert order["style"] == names
    weights = [float(weight) for weight in order["weight"]]
    assert weights == pytest.approx([0.1875, 0.0625, 0.5625, 0.1875], abs=0.01)
    codes = [Style.load(stylizer.directory / "presets" / f"{name}.safetensors") for name in names]
    _, painted = reader.download()
    assert np.array_equal(painted, paint(stylizer, china, fit(stylizer, china, Style.mix(codes, weights))))
    assert "56 %The Scream" in reader.find("#shares").inner_text().replace("\n", "")


def test_the_square_works_by_keyboard_and_says_the_mixture(reader: Reader, china: Pixels) -> None:
    reader.give_photo(china)
    reader.find("#mix").check()
    reader.style("udnie").press("Enter")
    pad = reader.find("#pad")
    pad.focus()
    for _ in range(4):
        pad.press("ArrowRight")
    reader.wait()
    said = pad.get_attribute("aria-valuetext")
    assert said == "30 % The Starry Night, Vincent van Gogh, 70 % Udnie (Young American Girl), Francis Picabia"


def test_four_styles_are_the_most_and_one_the_least(reader: Reader) -> None:
    reader.find("#mix").check()
    for name in ("udnie", "the-scream", "great-wave"):
        reader.style(name).click()
    reader.style("stables").click()
    assert "Four styles are the most." in reader.find("#error").inner_text()
    for name in ("udnie", "the-scream", "great-wave", "starry-night"):
        reader.style(name).click()
    assert reader.find('#gallery [aria-selected="true"]').count() == 1


def test_the_gallery_works_by_keyboard(reader: Reader) -> None:
    reader.style("starry-night").focus()
    for key in ("Home", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "ArrowUp", "ArrowRight", "Space"):
        reader.page.keyboard.press(key)
    assert reader.find('#gallery [aria-selected="true"]').get_attribute("data-id") == "cods-head"
    assert reader.find("#gallery [tabindex='0']").count() == 1


def test_a_picture_of_ones_own_is_a_style(reader: Reader, china: Pixels, flower: Pixels, stylizer: Stylizer) -> None:
    reader.give_photo(china)
    reader.find("#style-file").set_input_files(as_file(flower, "dahlia.png"))
    reader.find("#caption").filter(has_text="dahlia.png (your picture)").wait_for()
    reader.wait()
    name, painted = reader.download()
    assert name == "photo_stylized_dahlia.png"
    fitted = fit(stylizer, china, stylizer.encode(flower))
    gap = np.abs(painted.astype(int) - paint(stylizer, china, fitted)).mean()
    assert gap < 3  # the server measures it at 512 pixels
