"""A region that is painted with a brush."""

from __future__ import annotations

import numpy as np
import pytest
from tests.browser.conftest import Reader

from adain_rt.contract import Pixels

pytestmark = pytest.mark.browser


@pytest.fixture
def painter(reader: Reader, china: Pixels) -> Reader:
    """Somebody with a photo and a brush."""
    reader.give_photo(china)
    reader.find("#paint").check()
    return reader


def test_the_photo_stays_inside_the_region(painter: Reader, china: Pixels) -> None:
    painter.slide("#brush-size", 40)
    painter.drag("#mask", (0.0, 0.5), (0.5, 0.5))
    painter.wait()
    name, painted = painter.download()
    assert name == "photo_stylized_regions.png"
    same = (painted == china).all(axis=-1)
    assert same[200:230, 20:300].all()
    assert same[:, 500:].mean() < 0.02  # where paint happens to have the colour of the photo


def test_another_style_is_painted_inside_the_region(painter: Reader) -> None:
    painter.find('#inside [data-id="great-wave"]').click()
    painter.drag("#mask", (0.2, 0.5), (0.5, 0.5))
    painter.wait()
    order = painter.orders()[-1]
    assert order["style"] == ["starry-night", "great-wave"]
    assert len(order["mask"]) == 2
    assert "weight" not in order
    inside = painter.download()[1].astype(int)
    painter.find('#inside [data-id="photo"]').click()
    painter.wait()
    outside = painter.download()[1]
    differs = np.abs(inside - outside).max(axis=-1) > 8
    assert differs[205:220, 150:300].mean() > 0.9
    assert differs[:100].mean() < 0.05


def test_a_mixture_is_kept_outside_the_region(painter: Reader, china: Pixels) -> None:
    painter.find("#mix").check()
    painter.style("udnie").click()
    painter.wait()
    mixed = painter.download()[1].astype(int)
    painter.drag("#mask", (0.1, 0.9), (0.2, 0.9))
    painter.wait()
    _, painted = painter.download()
    assert np.abs(painted[:200].astype(int) - mixed[:200]).mean() < 6  # its statistics lack the region
    assert np.array_equal(painted[380:390, 80:110], china[380:390, 80:110])


def count_covered(painter: Reader) -> int:
    """Return how many pixels of the canvas the brush has touched."""
    program = """canvas => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.filter((value, index) => index % 4 === 3 && value).length;
    }"""
    count: int = painter.find("#mask").evaluate(program)
    return count


def test_strokes_are_erased_undone_and_cleared(painter: Reader) -> None:
    painter.drag("#mask", (0.2, 0.5), (0.6, 0.5))
    once = count_covered(painter)
    assert once > 0
    painter.find("#region").get_by_label("Erase").check()
    painter.drag("#mask", (0.2, 0.5), (0.4, 0.5))
    assert 0 < count_covered(painter) < once
    painter.find("#undo").click()
    assert count_covered(painter) == once
    painter.find("#clear").click()
    assert count_covered(painter) == 0
    assert painter.find("#undo").is_disabled()
    painter.wait()
    assert painter.download()[0] == "photo_stylized_starry-night.png"


def test_the_brush_works_by_keyboard(painter: Reader, china: Pixels) -> None:
    canvas = painter.find("#mask")
    canvas.focus()
    canvas.press("Space")
    for _ in range(5):
        canvas.press("Shift+ArrowRight")
    assert painter.find("#cursor").is_visible()
    painter.wait()
    _, painted = painter.download()
    assert np.array_equal(painted[205:220, 310:380], china[205:220, 310:380])
    assert not np.array_equal(painted[205:220, 100:200], china[205:220, 100:200])
