"""Run the graphs on a server: NVIDIA's Triton with what `adain-rt triton` wrote, or `adain-rt serve`.

python examples/inference_server.py localhost:8000 lite- painting.jpg photo.jpg another.jpg
python examples/inference_server.py localhost:8000 "" painting.jpg photo.jpg another.jpg

The second argument is what the names of the server's graphs begin with: `lite-` on Triton, nothing on `adain-rt serve`.
The painting is encoded once. Each picture is written beside its photo: photo_painted.png.
Needs: pip install 'tritonclient[http]'
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tritonclient.http import InferenceServerClient, InferInput

from adain_rt.pixels import pad

address, prefix, *paths = sys.argv[1:]
server = InferenceServerClient(address)
DTYPES = {"uint8": "UINT8", "float32": "FP32"}


def run(graph, **arrays):
    """Return the outputs of a graph by name."""
    inputs = []
    for name, values in arrays.items():
        inputs.append(InferInput(name, list(values.shape), DTYPES[values.dtype.name]))
        inputs[-1].set_data_from_numpy(values)
    result = server.infer(prefix + graph, inputs)
    return {output["name"]: result.as_numpy(output["name"]) for output in result.get_response()["outputs"]}


painting = Image.open(paths[0]).convert("RGB")
painting.thumbnail((512, 512))  # the size of the brush strokes is part of a style
code = run("encode", image=pad(np.asarray(painting)[None]))  # sides are multiples of 8: padded here, cropped below

described = server.get_model_metadata(prefix + "stylize")["inputs"]
(rank,) = (len(each["shape"]) for each in described if each["name"] == "strength")
strength = np.ones([1] * rank, np.float32)  # Triton gives each number of a batch a dimension of its own

for path in map(Path, paths[1:]):
    photo = np.asarray(Image.open(path).convert("RGB"))[None]
    stylized = run("stylize", image=pad(photo), style_mean=code["mean"], style_std=code["std"], strength=strength)
    painted = stylized["stylized"][0, : photo.shape[1], : photo.shape[2]]
    Image.fromarray(painted).save(path.with_name(f"{path.stem}_painted.png"))
