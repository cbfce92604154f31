"""Convolutions before upsampling, transposed and in phases: the numbers of those after it, with less arithmetic."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from adain_export.graphs.engine_graph import engine_model
from adain_export.graphs.passes import UpsamplePhasesPass, UpsampleSmoothPass, UpsampleTransposedPass
from adain_export.torch.verify import half_session
from adain_models.weights import store

CHANNELS = (5, 3)
PASSES = {
    "transposed": [UpsampleTransposedPass()],
    "smooth": [UpsampleTransposedPass(), UpsampleSmoothPass()],
    "phases": [UpsampleTransposedPass(), UpsamplePhasesPass()],
}


@pytest.fixture(params=["lite", "vgg19"], scope="module")
def model_dir(request) -> Path:
    """The directory of each model's fp32 graphs."""
    return store.model_dir("lite") if request.param == "lite" else request.getfixturevalue("vgg19_dir")


def enlarging(
    weight: np.ndarray,
    bias: np.ndarray,
    *,
    relu: bool = True,
    mode: str = "nearest",
    pad: tuple[str, int] = ("reflect", 1),
    blur: bool = False,
) -> ir.Model:
    """Return a graph from x, float (N, 5, H, W), to y: twice as large, padded, convolved, blurred or not, rectified."""
    inputs, outputs = CHANNELS
    blurred = [
        helper.make_node("AveragePool", ["convolved"], ["mean"], kernel_shape=[2, 2]),
        helper.make_node("AveragePool", ["mean"], ["blurred"], kernel_shape=[2, 2]),
    ]
    nodes = [
        helper.make_node("Neg", ["x"], ["negative"]),
        helper.make_node("Resize", ["negative", "", "scales"], ["large"], mode=mode,
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
        helper.make_node("Pad", ["large", "pads"], ["padded"], mode=pad[0]),
        helper.make_node("Conv", ["padded", "c.weight", "c.bias"], ["convolved"], kernel_shape=[3, 3]),
        *(blurred if blur else []),
        helper.make_node("Relu" if relu else "Abs", ["blurred" if blur else "convolved"], ["after"]),
        helper.make_node("Neg", ["after"], ["y"]),
    ]  # fmt: skip
    constants = {
        "scales": np.array([1, 1, 2, 2], np.float32),
        "pads": np.array([0, 0, pad[1], pad[1]] * 2),
        "c.weight": weight,
        "c.bias": bias,
    }
    graph = helper.make_graph(
        nodes,
        "enlarging",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", inputs, "H", "W"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", outputs, None, None])],
        [onnx.numpy_helper.from_array(numbers, name) for name, numbers in constants.items()],
    )
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def run(model: ir.Model, inputs: dict[str, np.ndarray]) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    (made,) = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), options).run(None, inputs)
    return made


def multiplications(model: ir.Model, size: int) -> int:
    """Return how many a graph's convolutions do for a picture of this many pixels a side."""
    proto = ir.to_proto(model)
    for value in (*proto.graph.input, *proto.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = 1 if dim.dim_param == "N" else size
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True).graph
    shapes = {value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim] for value in inferred.value_info}
    weights = {tensor.name: tensor.dims for tensor in inferred.initializer}
    return sum(
        math.prod(shapes[node.output[0]]) * math.prod(weights[node.input[1]][1:])
        for node in inferred.node
        if node.op_type == "Conv"
    )


@pytest.mark.parametrize("passes", [PASSES["transposed"], PASSES["phases"]], ids=["transposed", "phases"])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (5, 4), (8, 8)])
def test_the_numbers_are_those_of_float64_but_for_rounding(size, relu, passes):
    generator = np.random.default_rng(0)
    inputs, outputs = CHANNELS
    weight = generator.normal(size=(outputs, inputs, 3, 3)).astype(np.float32)
    bias = generator.normal(size=outputs).astype(np.float32)
    x = generator.normal(size=(2, inputs, *size)).astype(np.float32)
    model = enlarging(weight, bias, relu=relu)
    assert ir.passes.Sequential(*passes)(model).modified
    made = run(model, {"x": x})

    large = torch.from_numpy(-x).double().repeat_interleave(2, 2).repeat_interleave(2, 3)
    padded = torch.nn.functional.pad(large, (1, 1, 1, 1), mode="reflect")
    convolved = torch.nn.functional.conv2d(padded, torch.from_numpy(weight).double(), torch.from_numpy(bias).double())
    expected = -(convolved.relu() if relu else convolved.abs()).numpy()
    np.testing.assert_allclose(made, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("passes", "beyond"),
    [(PASSES["transposed"], 2), (PASSES["transposed"], 3), (PASSES["transposed"], 4), (PASSES["phases"], 2),
     (PASSES["phases"], 3), (PASSES["smooth"], 2), (PASSES["smooth"], 4)],
)  # fmt: skip
@pytest.mark.parametrize("size", [(1, 1), (2, 3), (8, 8)])
def test_blurred_it_is_the_convolution_of_a_bilinear_doubling_in_float64(size, beyond, passes):
    generator = np.random.default_rng(0)
    inputs, outputs = CHANNELS
    weight = generator.normal(size=(outputs, inputs, 3, 3)).astype(np.float32)
    bias = generator.normal(size=outputs).astype(np.float32)
    x = generator.normal(size=(2, inputs, *size)).astype(np.float32)
    model = enlarging(weight, bias, pad=("edge", beyond), blur=True)
    assert ir.passes.Sequential(*passes)(model).modified
    made = run(model, {"x": x})

    large = torch.nn.functional.interpolate(torch.from_numpy(-x).double(), scale_factor=2, mode="bilinear")
    padded = torch.nn.functional.pad(large, (beyond - 1,) * 4, mode="replicate")
    convolved = torch.nn.functional.conv2d(padded, torch.from_numpy(weight).double(), torch.from_numpy(bias).double())
    expected = -convolved.relu().numpy()
    np.testing.assert_allclose(made, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


def test_the_blur_goes_into_the_phases():
    model = enlarging(np.ones((3, 5, 3, 3), np.float32), np.ones(3, np.float32), pad=("edge", 2), blur=True)
    ir.passes.Sequential(*PASSES["smooth"])(model)
    assert [node.op_type for node in model.graph] == ["Neg", "Pad", "Conv", "Relu", "DepthToSpace", "Neg"]
    for pad, blur in ((("reflect", 1), False), (("edge", 3), True)):
        other = enlarging(np.ones((3, 5, 3, 3), np.float32), np.ones(3, np.float32), pad=pad, blur=blur)
        UpsampleTransposedPass()(other)
        assert not UpsampleSmoothPass()(other).modified


def test_the_relu_stands_before_the_blocks_are_placed():
    model = enlarging(np.ones((3, 5, 3, 3), np.float32), np.ones(3, np.float32))
    assert not UpsamplePhasesPass()(model).modified
    ir.passes.Sequential(*PASSES["phases"])(model)
    assert [node.op_type for node in model.graph] == ["Neg", "Pad", "Conv", "Relu", "DepthToSpace", "Pad", "Neg"]


def test_a_convolution_of_another_size_or_of_a_value_that_others_read_stays():
    wide = enlarging(np.ones((3, 5, 3, 3), np.float32), np.ones(3, np.float32))
    large = next(value for node in wide.graph for value in node.outputs if value.name == "large")
    wide.graph.outputs.append(large)
    large.type, large.shape = ir.TensorType(ir.DataType.FLOAT), ir.Shape(["N", 5, None, None])
    small = enlarging(np.ones((3, 5, 1, 1), np.float32), np.ones(3, np.float32))
    linear = enlarging(np.ones((3, 5, 3, 3), np.float32), np.ones(3, np.float32), mode="linear")
    reflecting = enlarging(np.ones((3, 5, 3, 3), np.float32), np.ones(3, np.float32), pad=("reflect", 2))
    for model in (wide, small, linear, reflecting):
        assert not UpsampleTransposedPass()(model).modified


def test_all_three_enlargements_of_vgg19_change_and_their_arithmetic_falls_by_five_ninths(vgg19_dir):
    before, after = (engine_model(vgg19_dir, "stylize", "fp32", upsampling) for upsampling in ("nearest", "phases"))
    assert sum(node.op_type == "Resize" for node in before.graph) == 3
    assert sum(node.op_type == "DepthToSpace" for node in after.graph) == 3
    assert "Resize" not in {node.op_type for node in after.graph}
    size = 1024
    saved = multiplications(before, size) - multiplications(after, size)
    changed = [node for node in after.graph if node.op_type == "Conv" and node.inputs[1].shape[2] == 2]
    small = sum(math.prod(node.inputs[1].shape) * (size // side) ** 2
                for node, side in zip(changed, (8, 4, 2), strict=True))  # fmt: skip
    assert saved == pytest.approx(small * 5 / 4, rel=0.02)  # 9/4 of what is left was there before


def test_all_three_enlargements_of_lite_change_and_their_arithmetic_stays():
    lite = store.model_dir("lite")
    before, after = (engine_model(lite, "stylize", "fp32", upsampling) for upsampling in ("nearest", "phases"))
    assert sum(node.op_type == "AveragePool" for node in before.graph) == 6
    assert sum(node.op_type == "DepthToSpace" for node in after.graph) == 3
    assert not {"Resize", "AveragePool", "ConvTranspose"} & {node.op_type for node in after.graph}
    assert multiplications(after, 1024) == pytest.approx(multiplications(before, 1024), rel=0.01)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_picture_is_the_same_to_a_level(model_dir, precision, china):
    generator = np.random.default_rng(0)
    channels = int(engine_model(model_dir, "encode", "fp32").metadata_props["channels"])
    inputs = {
        "image": np.stack([china[:72, :104], china[300:372, 300:404]]),
        "style_mean": generator.uniform(0, 0.5, (2, channels)).astype(np.float32),
        "style_std": generator.uniform(0.1, 0.5, (2, channels)).astype(np.float32),
        "strength": np.array([0.5, 1], np.float32),
    }
    pictures = []
    for upsampling in ("nearest", "phases"):
        model = engine_model(model_dir, "stylize", precision, upsampling)
        pictures.append(run(model, inputs) if precision == "fp32" else half_session(model).run(None, inputs)[0])
    difference = np.abs(pictures[0].astype(int) - pictures[1])
    assert pictures[0].std() > 10
    assert difference.max() <= (1 if precision == "fp32" else 4)
    assert difference.mean() < 0.5
