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
    with pytest.raises(AdainError, match=r"of version 0 of the engine contract.*; run `adain-rt export"):
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
        ({"contract": 1}, "is of version 1 of the engine contract, and this adain-rt of version 2"),
        ({"precision": "int8"}, "or of another precision"),
        ({"bytes_per_pixel": None}, "has no bytes_per_pixel"),
        ({"halo": None}, "has no halo"),
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


def change_weights(directory: Path) -> None:
    """Change one bit of the weights, in place; the file's size stays."""
    weights = directory / store.WEIGHTS_NAME
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)


def test_weights_that_are_replaced_under_a_stylizer_are_not_taken_for_the_old(copied, china):
    stylizer = exact(str(copied))
    style = stylizer.encode(china[:32, :32])
    change_weights(copied)
    with pytest.raises(
        AdainError, match=r"weights of model mine were replaced while it was in use; make a new Stylizer"
    ):
        stylizer.stylize(china[:32, :32], style)
    assert stylizer.encode(china[:32, :32]) == style  # what is open goes on, with the weights that it has


def test_a_style_has_the_hash_of_the_weights_that_made_it(copied, china):
    old = exact(str(copied)).weights_sha256
    change_weights(copied)
    assert Model(str(copied)).weights_sha256 != old
    assert exact("lite").encode(china[:32, :32]).weights_sha256 == old


def test_weights_that_are_gone_are_named(copied):
    facts = open_backend("onnxruntime", store.model_dir("lite")).facts("encode")
    model = Model(str(copied))
    model.check_graph("encode", "fp32", facts)
    (copied / store.WEIGHTS_NAME).unlink()
    with pytest.raises(AdainError, match=r"weights\.safetensors: the weights cannot be read \(No such file"):
        model.check_graph("encode", "fp32", facts)


def test_weights_are_hashed_again_only_where_the_file_is_another(copied, monkeypatch):
    hashed, really = [], module.sha256_of
    monkeypatch.setattr(module, "sha256_of", lambda path: hashed.append(path) or really(path))
    monkeypatch.setattr(module, "_SETTLED", 0)
    facts = open_backend("onnxruntime", store.model_dir("lite")).facts("encode")
    model = Model(str(copied))
    for _ in range(3):
        model.check_graph("encode", "fp32", facts)
    assert len(hashed) == 1
    weights = copied / store.WEIGHTS_NAME
    weights.write_bytes(weights.read_bytes())
    model.check_graph("encode", "fp32", facts)
    assert len(hashed) == 2


@pytest.mark.parametrize("model", [None, 3, ["lite"]])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(AdainError, match="a model is a name, or the path of a model directory, not"):
        Model(model)
