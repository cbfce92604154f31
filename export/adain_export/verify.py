"""Hold exported graphs against the PyTorch reference, right after they are written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from adain_models import checkpoint, reference
from adain_models.errors import AdainError
from adain_models.store import WEIGHTS_NAME
from adain_rt.backends import open_backend

__all__ = ["verify"]

_HEIGHT, _WIDTH = 48, 64
_RELATIVE = 1e-4  # of a style's largest number


def verify(directory: Path) -> None:
    """Hold all graphs of a model directory in ONNX Runtime against PyTorch in float64, on two noisy pictures.

    Raises:
        AdainError: a picture differs by more than one level, or a code by more than 1e-4 of its largest number.

    """
    network = checkpoint.load(directory / WEIGHTS_NAME).double()
    backend = open_backend("onnxruntime", directory, "fp32")
    generator = np.random.default_rng(0)
    contents = generator.integers(80, 180, (2, _HEIGHT, _WIDTH, 3), np.uint8)
    paintings = generator.integers(0, 256, (2, _HEIGHT, _WIDTH, 3), np.uint8)
    masks = np.zeros((2, 2, _HEIGHT, _WIDTH), np.uint8)
    masks[:, 0, :, :24], masks[:, 1, :, 16:56] = 255, 200  # they overlap, and leave a strip to neither
    strength = np.array([0.6, 1], np.float32)

    codes = [reference.encode(network, torch.from_numpy(pictures)) for pictures in (paintings, contents)]
    (mean, std), (content_mean, content_std) = ((_float32(mean), _float32(std)) for mean, std in codes)
    _compare_codes(backend.run("encode", {"image": paintings}), (mean, std))

    plain = {"image": contents, "style_mean": mean, "style_std": std, "strength": strength}
    fixed = plain | {"content_mean": content_mean, "content_std": content_std}
    two = {"style_mean": np.stack([mean, mean[::-1]], 1), "style_std": np.stack([std, std[::-1]], 1)}
    image, alpha = torch.from_numpy(contents), torch.from_numpy(strength).double()
    expected = {
        "stylize": (plain, reference.stylize(network, image, codes[0], alpha)),
        "stylize_fixed": (fixed, reference.stylize(network, image, codes[0], alpha, codes[1])),
        "stylize_regions": (
            plain | two | {"masks": masks},
            reference.stylize_regions(
                network, image, (_tensor(two["style_mean"]), _tensor(two["style_std"])), torch.from_numpy(masks), alpha
            ),
        ),
    }
    for graph, (inputs, picture) in expected.items():
        (made,) = backend.run(graph, inputs)
        difference = int(np.abs(made.astype(int) - picture.numpy().astype(int)).max())
        if difference > 1:
            raise AdainError(f"{directory}: the graph {graph} differs from PyTorch by {difference} of 256 levels")


def _compare_codes(made: tuple[NDArray[np.generic], ...], expected: tuple[NDArray[np.float32], ...]) -> None:
    for values, wanted in zip(made, expected, strict=True):
        if not np.allclose(values, wanted, rtol=0, atol=_RELATIVE * np.abs(wanted).max()):
            raise AdainError("the graph encode differs from PyTorch; use the versions that tests/constraints.txt names")


def _float32(tensor: torch.Tensor) -> NDArray[np.float32]:
    return tensor.float().numpy()


def _tensor(values: NDArray[np.float32]) -> torch.Tensor:
    return torch.from_numpy(values).double()
