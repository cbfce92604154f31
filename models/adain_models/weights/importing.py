"""Bringing weights into a model directory: from the public PyTorch files, or one file of our own."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from adain_models.errors import AdainError
from adain_models.files import explain
from adain_models.networks import NETWORKS, vgg19
from adain_models.networks.base import Network
from adain_models.networks.vgg19 import Vgg19
from adain_models.weights import checkpoint
from adain_models.weights.store import WEIGHTS_NAME

__all__ = ["import_weights"]

_LIMIT_BYTES = 1 << 30  # far above any weights of these networks: what is larger is not opened


def import_weights(files: Sequence[Path], directory: Path, architecture: str | None = None) -> Path:
    """Write ``weights.safetensors`` into a model directory from weights in another form; return its path.

    ``files`` are the two of the public PyTorch implementation, ``vgg_normalised.pth`` and ``decoder.pth``, in
    either order; or one file, ``.safetensors`` or PyTorch's, with this project's tensor names. The names of its
    tensors show which file is which. A PyTorch file is read as tensors only: code in it is never run.

    Args:
        files: one or two files.
        directory: made if it is missing; weights that are there are replaced.
        architecture: the one that the weights must belong to; ``None`` takes any.

    Raises:
        AdainError: a file is missing, damaged, or of another network; the directory cannot be written.

    """
    network = _make_network(files)
    if architecture not in (None, network.architecture):
        raise AdainError(f"{_join_names(files)}: the weights of {network.architecture}, not of {architecture}")
    path = directory / WEIGHTS_NAME
    checkpoint.save(network, path)
    return path


def _make_network(files: Sequence[Path]) -> Network:
    """Return the network whose weights the files hold, whichever way they hold them."""
    states = [_read_tensors(path) for path in files]
    kinds = [_classify(path, tensors) for path, tensors in zip(files, states, strict=True)]
    if sorted(kinds) == ["decoder", "encoder"]:
        return _make_from_public(files, states[kinds.index("encoder")], states[kinds.index("decoder")])
    if kinds == ["whole"]:
        return _make_from_whole(files[0], states[0])
    raise AdainError(
        f"{_join_names(files)}: not one whole network",
        hint="give vgg_normalised.pth and decoder.pth together, or one file with the weights of encoder and decoder",
    )


def _make_from_public(files: Sequence[Path], encoder: Mapping[str, Tensor], decoder: Mapping[str, Tensor]) -> Network:
    try:
        tensors = vgg19.from_public(encoder, decoder)
    except AdainError as error:
        raise AdainError(f"{_join_names(files)}: {error}") from None
    return checkpoint.assemble(Vgg19.architecture, tensors, _join_names(files))


def _make_from_whole(path: Path, tensors: Mapping[str, Tensor]) -> Network:
    """Return the network that these tensors, under this project's names, are most like."""
    with torch.device("meta"):  # for their names alone
        names = {name: network().state_dict().keys() for name, network in NETWORKS.items()}
    likest = max(names, key=lambda name: len(names[name] & tensors.keys()))
    return checkpoint.assemble(likest, tensors, path)


def _classify(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """Return what tensors are, by their names: a ``whole`` network, or the public ``encoder`` or ``decoder``."""
    if any(name.startswith(("encoder.", "decoder.")) for name in tensors):
        return "whole"
    if {"0.weight", "2.weight"} <= tensors.keys():
        return "encoder"
    if {"1.weight", "5.weight"} <= tensors.keys():  # padding comes first
        return "decoder"
    raise AdainError(
        f"{path}: holds the tensors of another network: expected encoder.conv1_1.weight, 0.weight, 1.weight "
        f"or the like, found {_quote_names(tensors)}"
    )


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a file's tensors by name."""
    if not path.is_file():
        raise AdainError(f"{path}: there is no such file")
    try:
        if path.stat().st_size > _LIMIT_BYTES:
            raise AdainError(f"{path}: is larger than {_LIMIT_BYTES >> 20} MiB, more than any weights")
        loaded = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    except OSError as error:
        raise AdainError(f"{path}: cannot be read ({explain(error)})") from error
    tensors = {
        name: value
        for name, value in loaded.items()
        if isinstance(name, str) and isinstance(value, Tensor) and _holds_floats(value)
    }
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > _LIMIT_BYTES:
        raise AdainError(f"{path}: its tensors are larger than {_LIMIT_BYTES >> 20} MiB, more than any weights")
    if not tensors:
        raise AdainError(f"{path}: holds no tensors by name; save a network's state_dict()")
    return tensors


def _read_safetensors(path: Path) -> Mapping[str, object]:
    try:
        return safetensors.torch.load_file(path)
    except SafetensorError:
        raise AdainError(f"{path}: is not a safetensors file, or is damaged") from None


def _read_torch(path: Path) -> Mapping[object, object]:
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a remark on how it was pickled helps nobody
        try:
            unpacked_bytes = _count_unpacked(file)
        except Exception:  # as below
            raise AdainError(f"{path}: is not a PyTorch file, or is damaged") from None
        if unpacked_bytes > _LIMIT_BYTES:
            raise AdainError(f"{path}: unpacks to more than {_LIMIT_BYTES >> 20} MiB, more than any weights")
        try:
            loaded = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file, read as a pickle, can raise anything
            if "unsupported global" in str(error).lower():
                raise AdainError(
                    f"{path}: refused, since it holds more than tensors and opening it could run code; "
                    "save the network's state_dict() instead"
                ) from None
            raise AdainError(f"{path}: is not a PyTorch file, or is damaged") from None
    return loaded if isinstance(loaded, Mapping) else {}


def _count_unpacked(file: BinaryIO) -> int:
    """Return how many bytes the parts of a PyTorch file have together, without unpacking any; 0 if it is no archive."""
    archive = file.read(4) == b"PK\x03\x04"  # how PyTorch tells
    file.seek(0)
    if not archive:
        return 0
    with zipfile.ZipFile(file) as members:
        unpacked = sum(member.file_size for member in members.infolist())
    file.seek(0)
    return unpacked


def _holds_floats(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.layout == torch.strided and not tensor.is_meta


def _quote_names(names: Iterable[str]) -> str:
    """Return the first names for one line of text, whatever characters a file put into them."""
    return ", ".join(repr(name[:60]) for name in sorted(names)[:3])


def _join_names(files: Sequence[Path]) -> str:
    return " and ".join(map(str, files))
