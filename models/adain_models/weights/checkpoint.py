"""Networks to files and back: safetensors, with the name of the architecture in the metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from adain_models.errors import AdainError
from adain_models.files import read_safetensors, replacing
from adain_models.networks import find
from adain_models.networks.base import Network

__all__ = ["assemble", "load", "save"]


def save(network: Network, path: Path) -> None:
    """Write a network's weights, float32.

    Raises:
        AdainError: the file cannot be written.

    """
    tensors = {name: tensor.float().contiguous() for name, tensor in network.state_dict().items()}
    with replacing(path) as aside:
        save_file(tensors, aside, metadata={"architecture": network.architecture})


def load(path: Path) -> Network:
    """Return the network whose weights a file holds, in evaluation mode.

    Raises:
        AdainError: the file is missing, broken, or holds other tensors than its architecture's.

    """
    tensors, metadata = read_safetensors(path, "pt")
    if "architecture" not in metadata:
        raise AdainError(f"{path}: names no architecture", hint="import it with `adain-rt weights import`")
    return assemble(metadata["architecture"], tensors, path)


def assemble(architecture: str, tensors: Mapping[str, Tensor], source: object) -> Network:
    """Return the network that has these weights, float32, in evaluation mode.

    Args:
        architecture: its name.
        tensors: the weights by this project's names; they tell how wide the network is.
        source: what the tensors are from, for the error.

    Raises:
        AdainError: there is no such architecture, or the tensors are another network's or not finite.

    """
    with torch.device("meta"):  # sizes alone: tensors that do not fit shall cost no memory
        network = find(architecture).sized_for(tensors)
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != found:
        name = min(wanted.items() ^ found.items())[0]
        raise AdainError(
            f"{source}: holds the tensors of another network than {architecture}: "
            f"{name[:60]!r} expected {wanted.get(name, 'nowhere')}, found {found.get(name, 'nowhere')}"
        )
    if not all(tensor.isfinite().all() for tensor in tensors.values()):
        raise AdainError(f"{source}: holds weights that are not finite numbers")
    network.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return network.eval()
