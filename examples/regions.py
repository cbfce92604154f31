"""Paint two regions of a photo in two styles, and leave the rest as it is.

python examples/regions.py photo.jpg sky.jpg ground.jpg painted.jpg

The masks are drawn here. They may come from a file or from a segmentation network as well.
"""

import sys

import numpy as np
from PIL import Image

from adain_rt import Stylizer, fit, paint

*input_paths, output_path = sys.argv[1:]
photo, sky, ground = (np.asarray(Image.open(path).convert("RGB")) for path in input_paths)

height, width = photo.shape[:2]
masks = np.zeros((2, height, width), np.uint8)  # one mask for each style, 255 where it applies
masks[0, : height * 2 // 5] = 255  # the upper two fifths
masks[1, height * 3 // 5 :] = 255  # the lower two fifths

stylizer = Stylizer()
styles = [stylizer.encode(sky), stylizer.encode(ground)]
painted = paint(stylizer, photo, fit(stylizer, photo, styles, masks=masks), masks=masks)

Image.fromarray(painted).save(output_path)
