"""Paint a photo between two styles, in five steps from the first to the second.

python examples/mix_styles.py photo.jpg first.jpg second.jpg steps.jpg
"""

import sys

import numpy as np
from PIL import Image

from adain_rt import Style, Stylizer, paint

*input_paths, output_path = sys.argv[1:]
photo, first, second = (np.asarray(Image.open(path).convert("RGB")) for path in input_paths)

stylizer = Stylizer()
styles = [stylizer.encode(first), stylizer.encode(second)]
steps = [paint(stylizer, photo, Style.mix(styles, [1 - share, share])) for share in (0, 0.25, 0.5, 0.75, 1)]

Image.fromarray(np.concatenate(steps, axis=1)).save(output_path)  # side by side
