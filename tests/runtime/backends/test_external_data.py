"""Where a graph may have its data: in files beside it, links among them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import contract
from adain_rt.backends.external_data import check_locations, find_locations
from adain_rt.contract import Pixels
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer

BACKENDS = [pytest.param("openvino", marks=pytest.mark.slow), "onnxruntime"]
ELSEWHERE = (
    "../weights.safetensors",
    "presets/../../weights.safetensors",
    "/dev/zero",
    "./weights.safetensors",
    "..",
    "",
    "..\\weights.safetensors",
    "*/_ORT_MEM_ADDR_/*",
    "no\0name",
)


def tensor(location: str) -> onnx.TensorProto:
    made = onnx.TensorProto(name=location, dims=[1], data_type=1, data_location=onnx.TensorProto.EXTERNAL)
    made.external_data.add(key="offset", value="0")
    made.external_data.add(key="location", value=location)
    return made


def in_initializer(graph: onnx.GraphProto, location: str) -> None:
    graph.initializer.append(tensor(location))


def in_sparse_initializer(graph: onnx.GraphProto, location: str) -> None:
    graph.sparse_initializer.add(values=tensor(location))


def in_node(graph: onnx.GraphProto, location: str) -> None:
    graph.node.append(helper.make_node("Constant", [], ["x"], value=tensor(location)))


def in_subgraph(graph: onnx.GraphProto, location: str) -> None:
    inner = helper.make_graph([], "inner", [], [], [tensor(location)])
    graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner))


PLACES: tuple[Callable[[onnx.GraphProto, str], None], ...] = (
    in_initializer,
    in_sparse_initializer,
    in_node,
    in_subgraph,
)


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.text(max_size=20)), max_size=8), st.integers(0, 2))
def test_every_place_is_found_where_a_tensor_may_be(tensors, where):
    model = onnx.ModelProto(ir_version=10, doc_string="the location of things")
    model.metadata_props.add(key="note", value="location")
    graph = (model.graph, model.training_info.add().algorithm, onnx.GraphProto())[where]
    for place, location in tensors:
        place(graph, location)
    if graph.node:
        model.functions.add(name="f").node.extend(graph.node)
    in_functions = {in_node, in_subgraph}
    expected = {location for place, location in tensors if where < 2 or place in in_functions}
    assert find_locations(model.SerializeToString()) == expected


@pytest.mark.parametrize(
    "entry",
    [
        b"\x12\x03bad\x0a\x08location",  # the value first
        b"\x0a\x08location\x12\x04good\x12\x03bad",  # twice, of which the last counts
        b"\x0a\x05other\x0a\x08location\x12\x03bad",  # likewise the key
        b"\x0a\x88\x00location\x12\x83\x80\x00bad",  # lengths longer than they need be
        b"\x7a\x0c\x0a\x08location\x12\x00\x0a\x08location\x12\x03bad",  # behind a field that nobody knows
        b"\x1b\x20\x05\x1c\x0a\x08location\x12\x03bad",  # behind a group
    ],
)
def test_no_way_of_writing_an_entry_hides_it(entry):
    held = b"\x6a" + bytes([len(entry)]) + entry
    graph = b"\x2a" + bytes([len(held)]) + held
    data = b"\x3a" + bytes([len(graph)]) + graph
    (found,) = onnx.ModelProto.FromString(data).graph.initializer[0].external_data
    assert (found.key, found.value) == ("location", "bad")
    assert "bad" in find_locations(data)


@given(st.binary())
def test_bytes_that_are_no_message_have_no_locations_and_raise_nothing(data):
    find_locations(data)
    find_locations(b"\x3a\x0c\x0a\x08location" + data)
    find_locations(data + b"location" + data)


def test_endless_nesting_ends():
    data = b"\x0a\x08location"
    for _ in range(5000):
        size = len(data)
        data = b"\x0a" + bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14]) + data
    assert find_locations(data) == set()


@pytest.fixture
def directory(tmp_path) -> Path:
    """A copy of the bundled model's fp32 graphs."""
    bundled, copy = store.model_dir("lite"), tmp_path / "models" / "copy"
    copy.mkdir(parents=True)
    for name in (store.WEIGHTS_NAME, *map(contract.graph_file, contract.GRAPHS)):
        shutil.copy(bundled / name, copy / name)
    return copy


def move_data(path: Path, location: str) -> None:
    model = onnx.load(path, load_external_data=False)
    for each in model.graph.initializer:
        for entry in each.external_data:
            if entry.key == "location":
                entry.value = location
    path.write_bytes(model.SerializeToString())


def paint(directory: Path, backend: str, picture: Pixels) -> Pixels:
    style = Style.load(store.model_dir("lite") / "presets" / "starry-night.safetensors")
    with Stylizer(str(directory), backend, "fp32") as stylizer:
        return stylizer.stylize(picture[:64, :64], style)


@pytest.mark.parametrize("location", ELSEWHERE)
@pytest.mark.parametrize("backend", BACKENDS)
def test_data_elsewhere_are_refused_before_a_library_sees_the_graph(directory, china, backend, location):
    shutil.copy(directory / store.WEIGHTS_NAME, directory.parent / store.WEIGHTS_NAME)
    move_data(directory / "stylize.onnx", location)
    with pytest.raises(AdainError, match=r"stylize\.onnx: the graph's data must be in a file beside it"):
        paint(directory, backend, china)


@pytest.mark.parametrize("location", ["", "*/_ORT_MEM_ADDR_/*", "../weights.safetensors"])
def test_the_export_refuses_them_as_well(directory, location):
    from adain_export.graphs.staging import read_graph

    move_data(directory / "stylize.onnx", location)
    with pytest.raises(AdainError, match=r"stylize\.onnx: the graph's data must be in a file beside it"):
        read_graph(directory, "stylize")


@pytest.mark.parametrize("special", [os.mkfifo, os.mkdir])
def test_data_that_are_no_file_are_refused(directory, special):
    special(directory / "data")
    move_data(directory / "stylize.onnx", "data")
    with pytest.raises(AdainError, match="must be in a file beside it, not in 'data'"):
        check_locations(directory / "stylize.onnx")


def link_files(directory: Path, links: Path) -> None:
    """As uv does with links: the same names, in another place."""
    for path in directory.iterdir():
        (links / path.name).symlink_to(path)


def link_blobs(directory: Path, links: Path) -> None:
    """As caches of models do: other names, in another place."""
    blobs = links.parent / "blobs"
    blobs.mkdir()
    for number, path in enumerate(directory.iterdir()):
        shutil.copy(path, blobs / str(number))
        (links / path.name).symlink_to(os.path.relpath(blobs / str(number), links))


@pytest.mark.parametrize("link", [link_files, link_blobs])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_directory_of_links_paints_as_one_of_files(directory, china, backend, link, tmp_path, monkeypatch):
    links, aside = tmp_path / "links", tmp_path / "aside"
    links.mkdir()
    aside.mkdir()
    link(directory, links)
    monkeypatch.setattr("tempfile.tempdir", str(aside))
    np.testing.assert_array_equal(paint(links, backend, china), paint(directory, backend, china))
    assert not list(aside.iterdir())


@pytest.mark.slow
def test_where_links_cannot_be_copied_for_openvino_auto_goes_on(directory, china, tmp_path, monkeypatch, caplog):
    (tmp_path / "links").mkdir()
    link_files(directory, tmp_path / "links")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    np.testing.assert_array_equal(paint(tmp_path / "links", "auto", china), paint(directory, "onnxruntime", china))
    assert "is a link, and cannot be copied for OpenVINO" in caplog.text
