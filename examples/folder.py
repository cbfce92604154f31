"""Paint every photo of a folder, several at once.

python examples/folder.py photos/ painting.jpg painted/

Threads are enough: a Stylizer may be shared by them, and the graphs run outside Python's lock.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from adain_rt import Stylizer, fit, paint
from adain_rt.backends import Settings

photos, painting_path, output = map(Path, sys.argv[1:])
output.mkdir(parents=True, exist_ok=True)

stylizer = Stylizer(settings=Settings(threads=1))  # one thread for each picture, and one picture for each core
style = stylizer.encode(np.asarray(Image.open(painting_path).convert("RGB")))


def work(path: Path) -> Path:
    """Paint one photo, and return where the picture is."""
    photo = np.asarray(Image.open(path).convert("RGB"))
    target = output / f"{path.stem}.png"
    Image.fromarray(paint(stylizer, photo, fit(stylizer, photo, style))).save(target)
    return target


with ThreadPoolExecutor(os.cpu_count()) as pool:
    for target in pool.map(work, sorted(photos.glob("*.jpg"))):
        print(target)
