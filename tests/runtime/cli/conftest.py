"""Styles that several tests of the command line use."""

from __future__ import annotations

import pytest
from tests.runtime.cli.painted import pixels

from adain_rt.style import Style


@pytest.fixture
def codes(desk, stylizer) -> dict[str, Style]:
    """The styles of the two pictures, at their own size."""
    return {name: stylizer.encode(pixels(name)) for name in ("painting.png", "photo.jpg")}
