"""Pictures and models that several tests use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sklearn
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from adain_export.torch.export import export_model
from adain_models.networks.base import Network
from adain_models.networks.vgg19 import Vgg19
from adain_models.weights import checkpoint, store
from adain_rt.contract import Pixels
from adain_rt.stylizer import Stylizer

_PHOTOS = Path(sklearn.__file__).parent / "datasets" / "images"


def _photo(name: str) -> Pixels:
    with Image.open(_PHOTOS / name) as image:
        return np.array(image.convert("RGB"))


@pytest.fixture(scope="session")
def china() -> Pixels:
    """A photograph, uint8 (427, 640, 3)."""
    return _photo("china.jpg")


@pytest.fixture(scope="session")
def flower() -> Pixels:
    """Another, of the same size."""
    return _photo("flower.jpg")


@pytest.fixture(scope="session")
def lite() -> Network:
    """The bundled network, float32."""
    return checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME)


@pytest.fixture(scope="session")
def vgg19(china: Pixels) -> Network:
    """The paper's network, full size, with random weights that make pictures out of pictures."""
    return _tuned(Vgg19(), china[:128, :128])


@pytest.fixture(scope="session")
def vgg19_dir(vgg19: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory of ``vgg19``, exported."""
    directory = tmp_path_factory.mktemp("models") / "vgg19-random"
    checkpoint.save(vgg19, directory / store.WEIGHTS_NAME)
    list(export_model(directory, "vgg19-random", directory))
    return directory


@pytest.fixture(scope="session")
def stylizer() -> Stylizer:
    """The bundled model on the default backend."""
    return Stylizer()


@pytest.fixture(scope="session")
def narrow_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of VGG-19's layers, few channels wide, with random weights."""
    generator = torch.Generator().manual_seed(0)
    tensors, inputs = {}, 3
    for name, outputs in {"1_1": 8, "1_2": 8, "2_1": 12, "2_2": 12, "3_1": 16, "3_2": 16, "3_3": 16, "3_4": 16}.items():
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
        tensors |= {f"conv{name}.weight": weight, f"conv{name}.bias": torch.zeros(outputs)}
        inputs = outputs
    path = tmp_path_factory.mktemp("teacher") / "narrow.safetensors"
    save_file(tensors, path)
    return path


@torch.no_grad()
def _tuned(network: Network, picture: Pixels) -> Network:
    """Give a network random weights, scaled layer by layer so that neither activations nor pictures are flat.

    PyTorch's own initial weights fade out over nineteen layers: everything would agree, all of it grey.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    last = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d)][-1]
    for layer in [*network.encoder, *network.decoder]:
        if isinstance(layer, nn.Conv2d) and layer.kernel_size != (1, 1):
            layer.weight.normal_(generator=generator)
            layer.bias.zero_()
            out = layer(x)
            mean, std = out.mean((0, 2, 3)), out.std((0, 2, 3)) + 1e-3
            center, spread = (0.5, 0.25) if layer is last else (0.2, 1.0)
            layer.weight.mul_((spread / std)[:, None, None, None])
            layer.bias.copy_(center - mean * spread / std)
        x = layer(x)
    return network.eval()
