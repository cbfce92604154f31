"""A model on this machine: graphs and weights that do not belong together are refused."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import Stylizer
from adain_rt import model as module
from adain_rt.backends import open_backend
from adain_rt.model import Model


def exact(model: str) -> Stylizer:
    return Stylizer(model, backend="onnxruntime", precision="fp32")


@pytest.fixture
def copied(tmp_path) -> Path:
    """A model directory of one's own."""
    return Path(shutil.copytree(store.model_dir("lite"), tmp_path / "mine"))


def test_graphs_that_are_not_of_the_weights_beside_them_are_refused(copied, china):
    weights = copied / store.WEIGHTS_NAME
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(AdainError, match="graph encode is not of the weights there"):
        exact(str(copied)).encode(china)


def test_a_graph_of_another_contract_is_refused(copied, china):
    path = copied / "encode.onnx"
    model = onnx.load(path, load_external_data=False)
    next(prop for prop in model.metadata_props if prop.key == "contract").value = "0"
    onnx.save(model, path)
    with pytest.raises(AdainError, match="another version; run `adain-rt export"):
        exact(str(copied)).encode(china)


def test_missing_and_damaged_parts_of_a_model_are_named(copied, china):
    (copied / "encode.onnx").write_bytes(b"not a graph")
    with pytest.raises(AdainError, match=r"encode\.onnx: the graph cannot be loaded .* export it again"):
        exact(str(copied)).encode(china)
    (copied / "encode.onnx").unlink()
    with pytest.raises(AdainError, match="has no fp32 graphs yet"):
        exact(str(copied)).encode(china)
    (copied / store.WEIGHTS_NAME).unlink()
    with pytest.raises(AdainError, match="has no weights"):
        exact(str(copied)).encode(china)


def test_a_graph_in_anothers_place_is_refused(copied, china):
    (copied / "encode.onnx").write_bytes((copied / "stylize.onnx").read_bytes())
    with pytest.raises(AdainError, match=r"encode\.onnx: is not the graph encode"):
        exact(str(copied)).encode(china)


@pytest.mark.parametrize(("key", "value"), [("channels", "many"), ("bytes_per_pixel", None)])
def test_a_graph_whose_metadata_is_damaged_is_refused(copied, china, key, value):
    path = copied / "encode.onnx"
    model = onnx.load(path, load_external_data=False)
    entry = next(prop for prop in model.metadata_props if prop.key == key)
    if value is None:
        model.metadata_props.remove(entry)
    else:
        entry.value = value
    onnx.save(model, path)
    with pytest.raises(AdainError, match=r"encode\.onnx: the graph is damaged \(.*its metadata"):
        exact(str(copied)).encode(china)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"weights_sha256": "0" * 64}, "not of the weights there"),
        ({"contract": 0}, "another version"),
        ({"precision": "int8"}, "another version"),
        ({"bytes_per_pixel": None}, "has no bytes_per_pixel"),
    ],
)
def test_facts_that_do_not_fit_the_model_are_refused_with_the_command_that_mends_it(change, line):
    facts = open_backend("onnxruntime", store.model_dir("lite")).facts("encode")
    Model("lite").check_graph("encode", "fp32", facts)
    with pytest.raises(AdainError, match=rf"{line}.*; run `adain-rt export --model lite`"):
        Model("lite").check_graph("encode", "fp32", replace(facts, **change))


def test_threads_hash_the_weights_once(monkeypatch):
    hashed, really = [], module.sha256_of
    monkeypatch.setattr(module, "sha256_of", lambda path: hashed.append(path) or really(path))
    model = Model("lite")
    with ThreadPoolExecutor(8) as pool:
        hashes = set(pool.map(lambda _: model.weights_sha256, range(16)))
    assert len(hashes) == len(hashed) == 1
