"""The passes that make a graph int8, each by its rules."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest
from onnx import TensorProto, helper
from onnx_ir.passes import common
from tests.inputs import random_inputs

from adain_export.graphs.passes import (
    BlockOutputPass,
    BoundActivationsPass,
    QuantizeActivationsPass,
    QuantizeBlursPass,
    QuantizeWeightsPass,
    RepeatEdgesPass,
    ReportRangesPass,
    RestoreBiasesPass,
    Uint8ActivationsPass,
    UpsamplePhasesPass,
    UpsampleTransposedPass,
)
from adain_export.graphs.passes.editing import (
    activations,
    constant,
    convolution_name,
    convolutions,
    producer,
    reader,
    source,
)
from adain_export.graphs.staging import read_graph
from adain_export.int8.calibration import calibrate
from adain_models.weights import store
from adain_rt import contract

MOVERS = {"Pad", "MaxPool", "Resize", "Transpose"}


@pytest.fixture(params=["lite", pytest.param("vgg19", marks=pytest.mark.slow)], scope="module")
def model_dir(request) -> Path:
    """The directory of each model's fp32 graphs."""
    return store.model_dir("lite") if request.param == "lite" else request.getfixturevalue("vgg19_dir")


@pytest.fixture(scope="module")
def ranges(model_dir, china, flower):
    """The ranges of each model's activations on one pair of pictures."""
    return calibrate(model_dir, [(china[:96, 100:228], flower[40:168, :96], 1.0)]).ranges


def run(model: ir.Model, inputs: dict[str, np.ndarray], *, as_written: bool = False) -> list[np.ndarray]:
    ir.external_data.load_to_model(model)
    options = onnxruntime.SessionOptions()
    if as_written:  # convolutions in float, between dequantising and quantising
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString(), options).run(None, inputs)


def inputs_for(model: ir.Model, china: np.ndarray) -> dict[str, np.ndarray]:
    """Return inputs of a graph whose styles stretch the content's."""
    channels = int(model.metadata_props["channels"])
    inputs = random_inputs(str(model.graph.name), china[None, :96, 100:228], channels=channels, low=0.5, high=1.5)
    return inputs | {name: 3 * inputs[name] for name in ("style_mean", "style_std") if name in inputs}


def small(nodes: list, constants: dict[str, np.ndarray]) -> ir.Model:
    """Return a graph from x to y, float (1, 2, 4, 4) to anything."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [
            helper.make_tensor(
                name, helper.np_dtype_to_tensor_dtype(numbers.dtype), numbers.shape, numbers.ravel().tolist()
            )
            for name, numbers in constants.items()
        ],
    )
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def quantize_weights(model: ir.Model) -> None:
    ir.passes.Sequential(UpsampleTransposedPass(), BlockOutputPass(), QuantizeWeightsPass(), QuantizeBlursPass())(model)


def quantize(model: ir.Model, ranges: dict[str, np.ndarray]) -> None:
    quantize_weights(model)
    ir.passes.Sequential(BoundActivationsPass(ranges, branches=True), QuantizeActivationsPass())(model)


def clipped_by(scale: float) -> ir.Model:
    """Return a graph of -x clipped to what int8 holds at a scale, padded, plus 1."""
    return small(
        [
            helper.make_node("Neg", ["x"], ["negative"]),
            helper.make_node("Clip", ["negative", "low", "high"], ["clipped"]),
            helper.make_node("Pad", ["clipped", "pads"], ["padded"], mode="reflect"),
            helper.make_node("Add", ["padded", "one"], ["y"]),
        ],
        {
            "low": np.array(-128 * scale, np.float32),
            "high": np.array(127 * scale, np.float32),
            "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
            "one": np.array(1, np.float32),
        },
    )


def test_a_picture_computed_in_blocks_is_the_same_picture(model_dir, china):
    model = read_graph(model_dir, "stylize")
    inputs = inputs_for(model, china)
    (before,) = run(model, inputs)
    last = convolutions(model.graph)[-1]
    outputs, _, side, _ = constant(last.inputs[1]).shape
    assert BlockOutputPass()(model).modified
    assert constant(last.inputs[1]).shape[::2] == (4 * outputs, side + 1)
    (after,) = run(model, inputs)
    assert before.std() > 10
    assert np.abs(before.astype(int) - after).max() <= 1  # a number halfway between two levels may go either way


def test_what_the_last_convolution_reads_stays_in_blocks_if_it_comes_out_of_a_smooth_doubling(china):
    model = read_graph(store.model_dir("lite"), "stylize")
    inputs = inputs_for(model, china)
    (before,) = run(model, inputs)
    ir.passes.Sequential(UpsampleTransposedPass(), BlockOutputPass())(model)
    enlarging, last = convolutions(model.graph)[-2:]
    assert [constant(each.inputs[1]).shape for each in (enlarging, last)] == [(64, 32, 3, 3), (12, 64, 3, 3)]
    assert producer(last.inputs[0]).op_type == "Relu"
    (after,) = run(model, inputs)
    assert before.std() > 10
    assert np.abs(before.astype(int) - after).max() <= 1


def test_a_graph_that_gives_no_picture_has_no_blocks(model_dir):
    model = read_graph(model_dir, "encode")
    assert not BlockOutputPass()(model).modified


def test_weights_become_int8_within_a_step_of_their_channel_and_keep_their_sums(model_dir):
    model = read_graph(model_dir, "stylize")
    UpsampleTransposedPass()(model)
    before = [constant(convolution.inputs[1]) for convolution in convolutions(model.graph)]
    QuantizeWeightsPass()(model)
    for convolution, weight in zip(convolutions(model.graph), before, strict=True):
        node = producer(convolution.inputs[1])
        stored, scales, zero = map(constant, node.inputs)
        axis = int(convolution.op_type == "ConvTranspose")
        assert (node.op_type, node.attributes["axis"].as_int()) == ("DequantizeLinear", axis)
        assert stored.dtype == zero.dtype == np.int8
        assert not zero.any()
        assert scales.shape == zero.shape == (weight.shape[axis],)
        steps = scales.reshape(-1, 1, 1) if axis else scales.reshape(-1, 1, 1, 1)
        assert (np.abs(stored.astype(int)).max((1 - axis, 2, 3)) >= 126).all()
        errors = (stored * steps - weight) / steps
        assert (np.abs(errors) < 1.001).all()
        places = range(2 if axis else 1)
        for sums in (errors[:, :, i :: len(places), j :: len(places)].sum((2, 3)) for i in places for j in places):
            assert (np.abs(sums) <= 0.501).all()
        assert constant(convolution.inputs[2]).dtype == np.float32


def test_a_filter_of_zeros_gets_a_scale_that_is_not_zero():
    weight = np.zeros((3, 2, 1, 1), np.float32)
    weight[0] = 0.5
    model = small(
        [helper.make_node("Conv", ["x", "c.weight", "c.bias"], ["y"])],
        {"c.weight": weight, "c.bias": np.ones(3, np.float32)},
    )
    QuantizeWeightsPass()(model)
    assert constant(model.graph.initializers["c.weight_scale"]) == pytest.approx(
        np.array([0.5, 0.5e-4, 0.5e-4]) / 127, rel=1e-6
    )


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_bounding_changes_nothing_that_lies_within_the_ranges(model_dir, ranges, graph, china, flower):
    plain, bounded = read_graph(model_dir, graph), read_graph(model_dir, graph)
    for model in (plain, bounded):
        quantize_weights(model)
    wide = {name: np.stack([low - 50, high + 50]) for name, (low, high) in ranges.items()}
    BoundActivationsPass(wide, branches=True)(bounded)
    inputs = inputs_for(plain, china)
    for kind, picture in (("style", flower[None, 40:168, :96]), ("content", china[None, :96, 100:228])):
        for name, code in zip(("mean", "std"), run(read_graph(model_dir, "encode"), {"image": picture}), strict=True):
            if f"{kind}_{name}" in inputs:  # the codes of which the ranges are, since modulations go as far as codes do
                inputs[f"{kind}_{name}"] = np.broadcast_to(code, inputs[f"{kind}_{name}"].shape)
    for before, after in zip(run(plain, inputs), run(bounded, inputs), strict=True):
        if before.dtype == np.uint8:
            assert np.abs(before.astype(int) - after).max() <= 1
        else:
            np.testing.assert_allclose(after, before, rtol=1e-3, atol=1e-3 * np.abs(before).max())


@pytest.mark.parametrize("branches", [True, False])
@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_every_convolution_reads_and_gives_what_int8_holds(model_dir, ranges, graph, branches):
    """All but what the last one gives, a picture, and residual branches unless they are asked for."""
    model = read_graph(model_dir, graph)
    quantize_weights(model)
    BoundActivationsPass(ranges, branches=branches)(model)
    for convolution in convolutions(model.graph):
        behind = reader(convolution.outputs[0])
        given = [] if behind.op_type == "Unsqueeze" or (behind.op_type == "Add" and not branches) else [behind]
        for clip in (producer(source(convolution)), *given):
            assert clip.op_type == "Clip"
            low, high = (constant(value) for value in clip.inputs[1:])
            assert low * 127 == pytest.approx(high * -128, rel=1e-6)
    assert "Relu" not in {node.op_type for node in model.graph}


def test_centring_what_a_code_scaled_adds_nothing_to_features_but_to_codes(model_dir, ranges, china):
    model = read_graph(model_dir, "stylize")
    quantize_weights(model)
    BoundActivationsPass(ranges, branches=False)(model)
    centred = [node.outputs[0] for node in model.graph if (node.name or "").endswith(".input_centred")]
    assert centred
    model.graph.outputs[:] = centred
    for value, numbers in zip(centred, run(model, inputs_for(model, china)), strict=True):
        assert numbers.shape[2:] == (1, 1), value.name


def test_a_relus_range_takes_all_levels_of_int8(model_dir, ranges):
    model = read_graph(model_dir, "encode")
    first = convolutions(model.graph)[0]
    QuantizeWeightsPass()(model)
    BoundActivationsPass(ranges, branches=True)(model)
    ((clip, _),) = first.outputs[0].uses()
    low, high = (constant(value) for value in clip.inputs[1:])
    assert high - low == pytest.approx(ranges[f"{convolution_name(first)}.output"].max(), rel=1e-6)


def test_quantising_rounds_what_is_clipped_and_does_nothing_else():
    scale = 0.03
    x = np.random.default_rng(0).normal(0, 3, (1, 2, 4, 4)).astype(np.float32)
    model = clipped_by(scale)
    QuantizeActivationsPass()(model)
    (made,) = run(model, {"x": x})
    rounded = (np.round(-x / np.float32(scale)).clip(-128, 127) * np.float32(scale)).astype(np.float32)
    assert np.abs(x).max() > 128 * scale  # some of it is cut off
    np.testing.assert_allclose(made, np.pad(rounded, [(0, 0), (0, 0), (1, 1), (1, 1)], mode="reflect") + 1, rtol=1e-6)


def test_uint8_activations_give_the_numbers_that_int8_ones_give():
    x = np.random.default_rng(0).normal(0, 3, (1, 2, 4, 4)).astype(np.float32)
    made = []
    for passes in ([], [Uint8ActivationsPass()]):
        model = clipped_by(0.03)
        ir.passes.Sequential(QuantizeActivationsPass(), *passes)(model)
        made.append(run(model, {"x": x})[0])
    np.testing.assert_array_equal(*made)


def test_an_int8_graph_in_phases_gives_the_numbers_that_transposed_convolutions_give(model_dir, ranges, china):
    pictures = []
    for kind in ("ConvTranspose", "DepthToSpace"):
        model = read_graph(model_dir, "stylize")
        quantize(model, ranges)
        if kind == "DepthToSpace":
            UpsamplePhasesPass()(model)
            ir.passes.Sequential(Uint8ActivationsPass(), common.RemoveUnusedNodesPass())(model)
        assert [node.op_type for node in model.graph].count(kind) == (2 if model_dir.name == "lite" else 3)
        inputs = inputs_for(model, china)
        pictures += run(model, inputs, as_written=True)
    assert pictures[0].std() > 10
    assert np.abs(pictures[0].astype(int) - pictures[1]).mean() < 0.5  # what is halfway between two may go either way


def test_a_clip_to_anything_else_stays():
    model = clipped_by(0.03)
    high = model.graph.initializers["high"]
    high.const_value = ir.tensor(np.array(1, np.float32), name="high")
    assert not QuantizeActivationsPass()(model).modified


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_what_only_moves_activations_moves_8_bits_and_nothing_is_dequantised_in_vain(model_dir, ranges, graph):
    model = read_graph(model_dir, graph)
    quantize(model, ranges)
    for convolution in convolutions(model.graph):
        above = producer(convolution.inputs[0])
        assert above.op_type == "DequantizeLinear"
        while (above := producer(above.inputs[0])).op_type in MOVERS:
            pass
        assert above.op_type == "QuantizeLinear"
        assert [use.node.op_type for use in convolution.outputs[0].uses()] == ["QuantizeLinear"]
    quantised = [node for node in model.graph if node.op_type in {"QuantizeLinear", "DequantizeLinear"}]
    assert all(node.outputs[0].uses() for node in quantised)
    zero_points = {node.inputs[2].name for node in quantised if "axis" not in node.attributes}
    assert zero_points == {"activation_zero_point"} | (
        {"picture_zero_point"} if graph not in ("encode", "measure") else set()
    )


def test_the_picture_is_quantised_to_what_it_was_cast_to(model_dir, china):
    model = read_graph(model_dir, "stylize")
    BlockOutputPass()(model)
    inputs = inputs_for(model, china)
    pictures = run(model, inputs)
    assert QuantizeActivationsPass()(model).modified
    (after,) = convolutions(model.graph)[-1].outputs[0].uses()
    assert after.node.op_type == "QuantizeLinear"
    assert not {"Round", "Clip"} & {node.op_type for node in model.graph}
    np.testing.assert_array_equal(*pictures, *run(model, inputs))


def test_a_blur_of_8_bits_is_the_blur():
    """To the last digits: its weights are whole numbers of sixteenths."""
    generator = np.random.default_rng(0)
    nodes = [
        helper.make_node("Neg", ["x"], ["negative"]),
        helper.make_node("Conv", ["negative", "c.weight", "c.bias"], ["convolved"]),
        helper.make_node("AveragePool", ["convolved"], ["mean"], kernel_shape=[2, 2]),
        helper.make_node("AveragePool", ["mean"], ["blurred"], kernel_shape=[2, 2]),
        helper.make_node("Relu", ["blurred"], ["y"]),
    ]
    numbers = {"c.weight": generator.normal(size=(3, 2, 1, 1)), "c.bias": generator.normal(size=3)}
    model = small(nodes, {name: each.astype(np.float32) for name, each in numbers.items()})
    assert list(activations(model.graph)) == ["c.input", "c.output", "c.smooth.output"]
    inputs = {"x": generator.normal(size=(1, 2, 4, 4)).astype(np.float32)}
    (before,) = run(model, inputs)
    assert QuantizeBlursPass()(model).modified
    assert [convolution_name(each) for each in convolutions(model.graph)] == ["c", "c.smooth"]
    assert list(activations(model.graph)) == ["c.input", "c.output", "c.smooth.output"]
    (after,) = run(model, inputs)
    np.testing.assert_allclose(after, before, atol=1e-6)


def test_repeating_edges_gives_the_numbers_that_computing_them_gives(china):
    made = []
    for repeating in (False, True):
        model = read_graph(store.model_dir("lite"), "stylize")
        ir.passes.Sequential(UpsampleTransposedPass(), BlockOutputPass(), QuantizeBlursPass())(model)
        if repeating:
            assert RepeatEdgesPass()(model).modified
        made += run(model, inputs_for(model, china))
    assert made[0].std() > 10
    assert np.abs(made[0].astype(int) - made[1]).max() <= 1
    pads = [each.attributes["pads"].as_ints()[0] for each in convolutions(model.graph) if "Tr" in each.op_type]
    assert pads == [3, 3]


def test_reported_ranges_are_those_of_the_network(lite, china):
    import torch

    model = read_graph(store.model_dir("lite"), "encode")
    names = list(activations(model.graph))
    ReportRangesPass()(model)
    image = china[None, :96, 100:228]
    _, _, *reported = run(model, {"image": image})
    assert [value.name for value in model.graph.outputs[2:4]] == [f"{names[0]}.low", f"{names[0]}.high"]
    folded = lite.for_bytes().encoder
    with torch.no_grad():
        first = torch.relu(folded.conv1(torch.from_numpy(image).float().permute(0, 3, 1, 2)))
    assert names[0] == "encoder.conv1.output"
    np.testing.assert_allclose(reported[0], first.amin((2, 3)), atol=1e-4)
    np.testing.assert_allclose(reported[1], first.amax((2, 3)), rtol=1e-4)


def test_a_bias_of_zeros_that_the_exporter_left_out_is_back():
    weight = np.ones((3, 2, 1, 1), np.float32)
    model = small([helper.make_node("Conv", ["x", "c.weight"], ["y"])], {"c.weight": weight})
    RestoreBiasesPass()(model)
    (convolution,) = convolutions(model.graph)
    assert convolution.inputs[2].name == "c.bias"
    np.testing.assert_array_equal(constant(convolution.inputs[2]), np.zeros(3, np.float32))
    assert not RestoreBiasesPass()(model).modified
