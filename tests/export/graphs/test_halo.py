"""The halo: how far around a part of a picture a graph reads, against how far a pixel reaches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper

from adain_export.graphs.halo import find_halo
from adain_export.graphs.passes.editing import constant, convolutions
from adain_export.graphs.source import read_source
from adain_models.weights import store
from adain_rt import contract

SIDE = 320
MIDDLE = SIDE // 2


@pytest.fixture(params=["lite", pytest.param("vgg19", marks=pytest.mark.slow)], scope="module")
def model_dir(request) -> Path:
    """The directory of each model's graphs."""
    return store.model_dir("lite") if request.param == "lite" else request.getfixturevalue("vgg19_dir")


def find_reach(directory: Path, graph: str) -> int:
    """How far beyond a multiple of 8 the pixel beside it is felt, on either side.

    All weights become positive, and nothing is added to them, so that what a pixel reaches cannot cancel out. Where
    nothing arrives there is exactly nothing.
    """
    model = read_source(directory, graph).load_weights()
    for convolution in convolutions(model.graph):
        weight, bias = convolution.inputs[1:]
        shape = weight.const_value.numpy().shape
        weight.const_value = ir.tensor(np.full(shape, 1 / np.sqrt(shape[1]), np.float32), name=weight.name)
        bias.const_value = ir.tensor(np.zeros_like(constant(bias)), name=bias.name)
    for name, value in model.graph.initializers.items():
        if ".style" in name:  # the modulations, without which nothing cancels either
            neutral = float(name.endswith(".gain.bias"))
            value.const_value = ir.tensor(np.full_like(constant(value), neutral), name=name)
    decodes = "stylized" in {value.name for value in model.graph.outputs}
    reading = [node.inputs[0] for node in model.graph if node.op_type == ("Round" if decodes else "Unsqueeze")]
    (seen,) = [value for value in reading if value.producer().op_type in {"Transpose", "Add", "Relu"}]
    model.graph.outputs[:] = [seen]
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())
    neutral = {"style_mean": 0, "style_std": 1, "content_mean": 0, "content_std": 1, "strength": 0}
    sizes = {"N": 1, "R": 1, "H": SIDE, "W": 64, "C": read_source(directory, graph).facts.channels}
    reach = 0
    for row in (MIDDLE - 1, MIDDLE):
        inputs = {
            tensor.name: np.full(tensor.sized(sizes), neutral.get(tensor.name, 0), tensor.dtype)
            for tensor in contract.GRAPHS[graph].inputs
        }
        inputs["image"][:, row] = 255
        (made,) = session.run(None, {name: inputs[name] for name in (value.name for value in session.get_inputs())})
        felt = np.flatnonzero(made[0].any((1, 2) if decodes else (0, 2))) * (1 if decodes else 8)
        position = 1 if decodes else 8
        reach = max(reach, felt.max() + position - MIDDLE if row < MIDDLE else MIDDLE - felt.min())
    return int(reach)


@pytest.mark.parametrize("graph", ["stylize_fixed", "measure"])
def test_the_halo_is_how_far_a_pixel_reaches_rounded_up_to_positions(model_dir, graph):
    reach = find_reach(model_dir, graph)
    halo = read_source(model_dir, graph).facts.halo
    assert 8 < reach <= halo < reach + 8
    assert halo % contract.MULTIPLE == 0


def test_graphs_of_one_model_read_as_far_as_they_decode_or_only_encode(model_dir):
    halos = {graph: read_source(model_dir, graph).facts.halo for graph in contract.GRAPHS}
    assert halos["encode"] == halos["measure"]
    assert len({halos[graph] for graph in contract.GRAPHS if graph.startswith("stylize")}) == 1
    assert halos["measure"] < halos["stylize"]


def test_a_kind_of_node_that_is_not_known_is_refused():
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3, 64, 64]) for name in ("image", "made")]
    node = helper.make_node("LpPool", ["image"], ["made"], name="pool", kernel_shape=[1, 1])
    model = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:]))
    with pytest.raises(ValueError, match=r"pool \(LpPool\)"):
        find_halo(ir.from_proto(model).graph)
