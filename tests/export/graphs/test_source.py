"""The fp32 graphs that others are made from: checked against the weights beside them, which are hashed once."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest

from adain_export.graphs import source
from adain_export.graphs.source import read_source
from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_models.weights import store
from adain_rt import contract

LITE = store.model_dir("lite")


@pytest.fixture
def copied(tmp_path) -> Path:
    """A copy of the bundled model."""
    return Path(shutil.copytree(LITE, tmp_path / "model"))


def test_a_graph_that_is_not_of_the_weights_there_is_refused(copied):
    (copied / "weights.safetensors").write_bytes(b"others")
    with pytest.raises(AdainError, match=r"encode\.onnx: the graph was not exported from the weights there"):
        read_source(copied, "encode")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("encode.onnx", "there is no such graph; write it with `adain-rt export`"),
        ("weights.safetensors", "there is no such file; run `adain-rt weights fetch` or `adain-rt weights import`"),
    ],
)
def test_a_missing_file_is_named_with_the_way_out(copied, name, said):
    (copied / name).unlink()
    with pytest.raises(AdainError, match=f"{name}: {said}"):
        read_source(copied, "encode")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"channels": None}, "metadata that the export writes is missing"),
        ({"channels": "x"}, "metadata that the export writes is missing"),
        ({"model": None}, "metadata that the export writes is missing"),
        ({"bytes_per_pixel": None}, "metadata that the export writes is missing"),
        ({"halo": None}, "metadata that the export writes is missing"),
        ({"contract": "1", "halo": None}, "of version 1 of the engine contract"),
    ],
)
def test_a_graph_without_its_metadata_is_refused(copied, change, said):
    model = onnx.load(copied / "encode.onnx", load_external_data=False)
    metadata = {prop.key: prop.value for prop in model.metadata_props} | change
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {key: value for key, value in metadata.items() if value is not None})
    onnx.save(model, copied / "encode.onnx")
    with pytest.raises(AdainError, match=rf"encode\.onnx: .*{said}"):
        read_source(copied, "encode")


def test_a_damaged_graph_is_named(copied):
    (copied / "encode.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(AdainError, match=r"encode\.onnx: the graph cannot be loaded"):
        read_source(copied, "encode")


def test_the_graphs_of_a_model_share_one_hash_of_the_weights(copied, monkeypatch):
    hashed: list[Path] = []
    monkeypatch.setattr(source, "sha256_of", lambda path: hashed.append(path) or sha256_of(path))
    for graph in contract.GRAPHS:
        assert read_source(copied, graph).facts.channels == 128
    assert hashed == [copied / store.WEIGHTS_NAME]


def test_weights_that_change_are_hashed_again(copied):
    read_source(copied, "encode")
    weights = copied / store.WEIGHTS_NAME
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(AdainError, match="was not exported from the weights there"):
        read_source(copied, "encode")
