"""Encode a painting once, keep its style in a file of a kilobyte, and paint many photos without the painting.

python examples/encode_once.py painting.jpg style.safetensors photo.jpg another.jpg

Each picture is written beside its photo: photo_painted.png.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from adain_rt import Style, Stylizer, fit, paint

painting_path, style_path, *photo_paths = map(Path, sys.argv[1:])
stylizer = Stylizer()

if not style_path.exists():
    painting = Image.open(painting_path).convert("RGB")
    painting.thumbnail((512, 512))  # the size of the brush strokes is part of a style
    stylizer.encode(np.asarray(painting)).save(style_path)

style = Style.load(style_path)
for path in photo_paths:
    photo = np.asarray(Image.open(path).convert("RGB"))
    painted = paint(stylizer, photo, fit(stylizer, photo, style))
    Image.fromarray(painted).save(path.with_name(f"{path.stem}_painted.png"))
