"""What a graph should give, and how close a backend has to be."""

from __future__ import annotations

import numpy as np
import torch

from adain_models import reference
from adain_models.networks.base import Network


def expected(network: Network, graph: str, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, ...]:
    """What the reference makes of a graph's inputs, by a network in float64."""
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    doubles = {name: tensor.double() for name, tensor in tensors.items()}
    if graph == "encode":
        return tuple(code.numpy() for code in reference.encode(network, tensors["image"]))
    if graph == "measure":
        return tuple(each.numpy() for each in reference.measure(network, tensors["image"], tensors["masks"]))
    style = doubles["style_mean"], doubles["style_std"]
    content = [(doubles["content_mean"], doubles["content_std"])] if graph.endswith("_fixed") else []
    if "masks" in inputs:
        regions = tensors["masks"], doubles["strength"], *content
        return (reference.stylize_regions(network, tensors["image"], style, *regions).numpy(),)
    return (reference.stylize(network, tensors["image"], style, doubles["strength"], *content).numpy(),)


def check(
    graph: str, precision: str, made: tuple[np.ndarray, ...], wanted: tuple[np.ndarray, ...], decibels: float = 45
) -> None:
    for one, other in zip(made, wanted, strict=True):
        assert one.shape == other.shape
        difference = np.abs(one.astype(float) - other.astype(float))
        if graph in ("encode", "measure"):
            assert difference.max() <= (1e-4 if precision == "fp32" else 1e-2) * np.abs(other).max()
        elif precision == "fp32":
            assert difference.max() <= 1
        else:
            assert 20 * np.log10(255 / np.sqrt((difference**2).mean() + 1e-12)) >= decibels
