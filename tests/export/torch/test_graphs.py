"""The exported graphs: what the engine contract asks, and agreement with the float64 reference."""

from __future__ import annotations

import filecmp
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from adain_export.int8.calibration import Calibration
from adain_export.int8.quantize import CALIBRATION_NAME, quantize_model
from adain_export.torch.export import export_model
from adain_export.torch.verify import verify
from adain_models import reference
from adain_models.errors import AdainError
from adain_models.files import sha256_of
from adain_models.weights import checkpoint, store
from adain_rt import contract
from adain_rt.backends import open_backend

TYPES = {"uint8": onnx.TensorProto.UINT8, "float32": onnx.TensorProto.FLOAT}


@pytest.fixture(params=["lite", "vgg19"], scope="module")
def model_dir(request) -> Path:
    """The directory of each model's graphs."""
    return store.model_dir("lite") if request.param == "lite" else request.getfixturevalue("vgg19_dir")


def load(directory: Path, graph: str) -> onnx.ModelProto:
    return onnx.load(directory / contract.graph_file(graph), load_external_data=False)


def test_the_bundled_graphs_are_exactly_what_export_makes(tmp_path):
    bundled = store.model_dir("lite")
    list(export_model(bundled, "lite", tmp_path))
    names = [store.WEIGHTS_NAME, *(contract.graph_file(graph) for graph in contract.GRAPHS)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    assert filecmp.cmpfiles(bundled, tmp_path, names, shallow=False) == (names, [], [])


def test_the_bundled_int8_graphs_are_exactly_what_quantising_makes_of_the_bundled_calibration(tmp_path):
    bundled = store.model_dir("lite")
    for path in bundled.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    names = sorted(path.name for path in (bundled / "int8").iterdir())
    list(quantize_model(tmp_path, Calibration.load(bundled / "int8" / CALIBRATION_NAME)))
    assert sorted(path.name for path in (tmp_path / "int8").iterdir()) == names
    assert filecmp.cmpfiles(bundled / "int8", tmp_path / "int8", names, shallow=False) == (names, [], [])


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_names_types_and_shapes_are_the_contracts(model_dir, graph):
    model = load(model_dir, graph)
    channels = int({prop.key: prop.value for prop in model.metadata_props}["channels"])
    ends = ((model.graph.input, contract.GRAPHS[graph].inputs), (model.graph.output, contract.GRAPHS[graph].outputs))
    for values, specs in ends:
        assert [value.name for value in values] == [spec.name for spec in specs]
        for value, spec in zip(values, specs, strict=True):
            tensor = value.type.tensor_type
            shape = tuple(dim.dim_param or dim.dim_value for dim in tensor.shape.dim)
            assert tensor.elem_type == TYPES[spec.dtype]
            assert shape == tuple(channels if size == "C" else size for size in spec.shape)


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_a_cast_is_all_that_touches_uint8(model_dir, graph):
    model = load(model_dir, graph)
    uint8_inputs = {value.name for value in model.graph.input if value.type.tensor_type.elem_type == TYPES["uint8"]}
    for node in model.graph.node:
        for name in uint8_inputs & set(node.input):
            assert (node.op_type, name) == ("Cast", name)
    for value in model.graph.output:
        if value.type.tensor_type.elem_type == TYPES["uint8"]:
            (last,) = [node for node in model.graph.node if value.name in node.output]
            assert last.op_type == "Cast"
            assert next(node.op_type for node in model.graph.node if last.input[0] in node.output) == "Clip"


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_no_shape_arithmetic_survives_but_the_count_of_positions(model_dir, graph):
    nodes = [node.op_type for node in load(model_dir, graph).graph.node]
    assert nodes.count("Shape") == (1 if graph in ("encode", "stylize") else 0)
    assert not {"Gather", "Expand", "Slice", "If", "Loop", "Constant", "Identity"} & set(nodes)
    modulates = model_dir == store.model_dir("lite") and graph.startswith("stylize")
    assert nodes.count("Concat") == modulates  # of means and deviations, not of sizes


def test_stylize_has_fewer_than_120_nodes(model_dir):
    assert len(load(model_dir, "stylize").graph.node) < 120


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_the_onnx_checker_passes_with_types_and_shapes_inferred(model_dir, graph):
    path = model_dir / contract.graph_file(graph)
    onnx.checker.check_model(path, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(load(model_dir, graph), strict_mode=True, data_prop=True)
    assert {value.name for value in inferred.graph.value_info}
    opset = {entry.domain: entry.version for entry in inferred.opset_import}
    assert opset == {"": 20}


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_metadata_says_what_the_graph_is_made_of(model_dir, graph):
    found = {prop.key: prop.value for prop in load(model_dir, graph).metadata_props}
    assert found["weights_sha256"] == sha256_of(model_dir / store.WEIGHTS_NAME)
    assert found["model"] == model_dir.name
    assert found["contract"] == str(contract.VERSION)
    assert found["precision"] == "fp32"


def test_the_graphs_read_one_weights_file_and_weigh_next_to_nothing(model_dir):
    for graph in contract.GRAPHS:
        model = load(model_dir, graph)
        inside = [tensor for tensor in model.graph.initializer if not tensor.external_data]
        outside = [tensor for tensor in model.graph.initializer if tensor.external_data]
        assert {entry.value for tensor in outside for entry in tensor.external_data if entry.key == "location"} == {
            store.WEIGHTS_NAME
        }
        assert sum(np.prod(tensor.dims) for tensor in outside) > 50 * sum(np.prod(tensor.dims) for tensor in inside)
        assert (model_dir / contract.graph_file(graph)).stat().st_size < 64 << 10


def test_graphs_name_no_path_of_the_machine_that_made_them(model_dir):
    for graph in contract.GRAPHS:
        data = (model_dir / contract.graph_file(graph)).read_bytes()
        assert b"/adain_" not in data
        assert b".py" not in data


def test_every_graph_agrees_with_the_float64_reference_on_photographs(model_dir, china, flower):
    network = checkpoint.load(model_dir / store.WEIGHTS_NAME).double()
    backend = open_backend("onnxruntime", model_dir)
    image, painting = china[None, :96, 100:228], flower[None, 100:228, 200:296]
    code = reference.encode(network, torch.from_numpy(painting))
    mean, std = backend.run("encode", {"image": painting})
    for made, expected in zip((mean, std), code, strict=True):
        np.testing.assert_allclose(made, expected.numpy(), rtol=1e-4, atol=1e-4 * expected.abs().max().item())
    strength = np.ones(1, np.float32)
    (made,) = backend.run("stylize", {"image": image, "style_mean": mean, "style_std": std, "strength": strength})
    code = tuple(torch.from_numpy(values).double() for values in (mean, std))
    expected = reference.stylize(network, torch.from_numpy(image), code, torch.ones(1).double()).numpy()
    assert expected.std() > 20  # a picture, not a grey sheet on which everything agrees
    assert np.abs(made.astype(int) - expected.astype(int)).max() <= 1


def test_verify_passes_the_graphs_of_each_model(model_dir):
    verify(model_dir)


def test_verify_refuses_a_graph_that_computes_something_else(tmp_path):
    bundled = store.model_dir("lite")
    for path in bundled.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    model = load(bundled, "stylize_fixed")
    bias = next(tensor for tensor in model.graph.initializer if tensor.name == "decoder.out.bias")
    bias.raw_data = (np.frombuffer(bias.raw_data, np.float32) + 5).tobytes()
    onnx.save(model, tmp_path / "stylize_fixed.onnx")
    with pytest.raises(AdainError, match=r"stylize_fixed differs from PyTorch by [56] of 256"):
        verify(tmp_path)
