"""What several tests of the command line share."""

from __future__ import annotations

import numpy as np
from PIL import Image

from adain_rt.contract import Pixels

STYLE = ("--style", "painting.png", "--style-size", "0")
"""The picture on the desk as the style, at its own size."""

AS_IT_IS = ("--no-fit", "--underpainting", "0")
"""As a Stylizer paints."""

ONCE = (*STYLE, *AS_IT_IS)


def pixels(path) -> Pixels:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))
