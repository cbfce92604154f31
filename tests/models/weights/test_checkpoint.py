"""Weights to a file and back, and files that are not what they should be."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from adain_models.errors import AdainError
from adain_models.networks.vgg19 import Vgg19
from adain_models.weights import checkpoint


def test_weights_come_back_as_they_went(tmp_path):
    network = Vgg19(width=4)
    checkpoint.save(network, tmp_path / "weights.safetensors")
    loaded = checkpoint.load(tmp_path / "weights.safetensors")
    assert isinstance(loaded, Vgg19)
    assert loaded.width == 4
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_saving_twice_gives_the_same_bytes(tmp_path):
    network = Vgg19(width=4)
    for name in "ab":
        checkpoint.save(network, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AdainError, match=r"none\.safetensors: there is no such file"):
        checkpoint.load(tmp_path / "none.safetensors")


def test_a_cut_file_is_called_damaged(tmp_path):
    path = tmp_path / "cut.safetensors"
    checkpoint.save(Vgg19(width=4), path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(AdainError, match=r"cut\.safetensors: .*damaged"):
        checkpoint.load(path)


def test_another_networks_tensors_are_told_by_the_first_that_does_not_fit(tmp_path):
    path = tmp_path / "other.safetensors"
    checkpoint.save(Vgg19(width=4), path)
    tensors = load_file(path)
    tensors["decoder.conv1_1.bias"] = torch.zeros(7)
    save_file(tensors, path, metadata={"architecture": "vgg19"})
    with pytest.raises(
        AdainError, match=r"another network than vgg19: 'decoder\.conv1_1\.bias' expected \(3,\), found \(7,\)"
    ):
        checkpoint.load(path)
    del tensors["decoder.conv1_1.bias"]
    save_file(tensors, path, metadata={"architecture": "vgg19"})
    with pytest.raises(AdainError, match=r"'decoder\.conv1_1\.bias' expected \(3,\), found nowhere"):
        checkpoint.load(path)


def test_a_file_without_an_architecture_says_how_to_bring_it_in(tmp_path):
    path = tmp_path / "bare.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(AdainError, match="adain-rt weights import"):
        checkpoint.load(path)


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    network = Vgg19(width=4)
    with torch.no_grad():
        network.decoder.get_submodule("conv1_1").bias[1] = float("nan")
    checkpoint.save(network, tmp_path / "nan.safetensors")
    with pytest.raises(AdainError, match=r"nan\.safetensors: holds weights that are not finite"):
        checkpoint.load(tmp_path / "nan.safetensors")
