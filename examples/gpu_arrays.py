"""Paint pictures that are in a GPU's memory already, without a copy to the host.

python examples/gpu_arrays.py photo.jpg painting.jpg painted.png

Needs an NVIDIA GPU and PyTorch: pip install 'adain-rt[torch]'
"""

import sys

import numpy as np
import torch
from PIL import Image

from adain_rt import Stylizer

photo_path, painting_path, output_path = sys.argv[1:]
photo = Image.open(photo_path).convert("RGB")
photo = photo.resize((photo.width // 8 * 8, photo.height // 8 * 8))  # on the GPU, sides must be multiples of 8
painting = np.asarray(Image.open(painting_path).convert("RGB"))

stylizer = Stylizer(backend="torch")  # or tensorrt, or tensorrt-rtx
style = stylizer.encode(painting)

frames = torch.from_numpy(np.array(photo)[None]).cuda()  # uint8 (N, H, W, 3)
painted = torch.empty_like(frames)
stream = torch.cuda.current_stream().cuda_stream  # the work is queued on this stream, after what made the frames
stylizer.stylize_on_device(frames, style, out=painted, stream=stream)

Image.fromarray(painted[0].cpu().numpy()).save(output_path)
