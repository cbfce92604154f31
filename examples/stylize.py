"""Paint a photo in the style of another picture.

python examples/stylize.py photo.jpg painting.jpg painted.jpg
"""

import sys

import numpy as np
from PIL import Image

from adain_rt import Stylizer, fit, paint

photo_path, painting_path, output_path = sys.argv[1:]
photo = np.asarray(Image.open(photo_path).convert("RGB"))  # uint8 (H, W, 3)
painting = np.asarray(Image.open(painting_path).convert("RGB"))

stylizer = Stylizer()  # the bundled model on the best backend of this machine
style = stylizer.encode(painting)
painted = paint(stylizer, photo, fit(stylizer, photo, style), strength=0.8)  # uint8, the photo's size

Image.fromarray(painted).save(output_path)
