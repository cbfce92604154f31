"""Random inputs for the contract's graphs."""

from __future__ import annotations

import numpy as np

from adain_rt.contract import GRAPHS


def random_inputs(
    graph: str,
    image: np.ndarray,
    *,
    channels: int = 128,
    seed: int = 0,
    low: float = 0.2,
    high: float = 0.8,
) -> dict[str, np.ndarray]:
    """Make inputs for a graph: the pictures given, uint8 (N, H, W, 3), and codes, strengths and masks of two regions.

    Codes and strengths are between ``low`` and ``high``. The masks overlap, and leave a part of the picture to neither
    region.
    """
    generator = np.random.default_rng(seed)
    count, height, width, _ = image.shape
    sizes = {"N": count, "H": height, "W": width, "R": 2, "C": channels}
    inputs = {}
    for tensor in GRAPHS[graph].inputs:
        inputs[tensor.name] = generator.uniform(low, high, tensor.sized(sizes)).astype(tensor.dtype)
    if "masks" in inputs:
        inputs["masks"][:, 0, :, : width // 2], inputs["masks"][:, 1, 8:] = 255, 130
    return inputs | {"image": image}
