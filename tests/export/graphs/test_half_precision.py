"""Graphs in half precision: which types are where, how close the pictures are, and that nothing overflows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper

from adain_export.graphs.engine_graph import engine_model
from adain_export.graphs.passes import ExplicitRoundingPass, HalfPrecisionPass
from adain_export.graphs.passes.editing import constant, convolutions
from adain_export.graphs.passes.half_precision import LARGEST
from adain_export.psnr import psnr
from adain_export.torch.verify import half_session
from adain_models import reference
from adain_models.errors import AdainError
from adain_models.weights import checkpoint, store
from adain_rt import contract
from adain_rt.contract import Pixels

Codes = tuple[np.ndarray, np.ndarray]


@pytest.fixture(params=["lite", "vgg19"], scope="module")
def model_dir(request) -> Path:
    """The directory of each model's fp32 graphs."""
    return store.model_dir("lite") if request.param == "lite" else request.getfixturevalue("vgg19_dir")


@pytest.fixture(scope="module")
def run(model_dir) -> Callable[[str, dict[str, np.ndarray]], list[np.ndarray]]:
    """Run one of each model's graphs in half precision, rounding as a GPU does."""
    sessions: dict[str, onnxruntime.InferenceSession] = {}

    def running(graph: str, inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        if graph not in sessions:
            sessions[graph] = half_session(engine_model(model_dir, graph, "fp16"))
        return sessions[graph].run(None, inputs)

    return running


def types_of(model: onnx.ModelProto) -> dict[str, int]:
    """Return the type of each value of a graph, as ONNX infers it."""
    del model.graph.value_info[:]
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True).graph
    return {value.name: value.type.tensor_type.elem_type for value in (*graph.input, *graph.value_info, *graph.output)}


def small(nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray]) -> ir.Model:
    """Return a graph from x, float (1, 1, 4, 4), to y."""
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(numbers, name) for name, numbers in constants.items()],
    )
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10))


def residual_network(gain: float) -> ir.Model:
    """Return x through Abs and Relu, then three residual blocks whose convolutions multiply by a gain, times 0."""
    nodes = [helper.make_node("Abs", ["x"], ["start"]), helper.make_node("Abs", ["start"], ["sum0"])]
    constants = {"zero": np.zeros((), np.float32)}
    for block in range(3):
        for name, sign in (("a", 1), ("b", (-1) ** block)):
            constants[f"{block}{name}.weight"] = np.full((1, 1, 1, 1), sign * gain, np.float32)
            constants[f"{block}{name}.bias"] = np.zeros(1, np.float32)
        a, b = ([f"{block}{name}.weight", f"{block}{name}.bias"] for name in "ab")
        nodes += [
            helper.make_node("Conv", [f"sum{block}", *a], [f"wide{block}"]),
            helper.make_node("Relu", [f"wide{block}"], [f"relu{block}"]),
            helper.make_node("Conv", [f"relu{block}", *b], [f"branch{block}"]),
            helper.make_node("Add", [f"sum{block}", f"branch{block}"], [f"sum{block + 1}"]),
        ]
    return small([*nodes, helper.make_node("Mul", ["sum3", "zero"], ["y"])], constants)


def codes_of(model: onnx.ModelProto) -> set[str]:
    """The code that the decoder gets, and what modulations make of it before they change features."""
    found = {name for node in model.graph.node if node.op_type == "Concat" for name in node.output}
    for node in model.graph.node:
        if node.op_type in {"Conv", "Resize"} and node.input[0] in found:
            found.update(node.output)
    return found


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_convolutions_are_float16_and_adain_is_float32(model_dir, graph):
    model = ir.to_proto(engine_model(model_dir, graph, "fp16"))
    onnx.checker.check_model(model, full_check=True)
    types = types_of(model)
    half, single = TensorProto.FLOAT16, TensorProto.FLOAT
    codes = codes_of(model)
    for node in model.graph.node:
        given = {types[name] for name in node.output}
        if codes.intersection(node.input):
            assert given == {single}
        elif node.op_type in {"Conv", "MaxPool", "Pad", "Resize"}:
            assert given == {half}
        elif node.op_type in {"Mul", "Div", "Sqrt", "ReduceMean", "ReduceSum", "Sub", "Round"}:
            assert half not in given
        elif node.op_type == "AveragePool":
            is_blur = helper.get_node_attr_value(node, "kernel_shape") == [2, 2]
            assert given == {half if is_blur else single}  # the masks' is the other
    weights = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] not in codes:
            assert [weights[name] for name in node.input[1:]] == [half, half]
    assert single in set(types.values())


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_float16_is_left_and_entered_for_adain_and_modulations_alone(model_dir, graph):
    """The picture and AdaIN's output go in; the features and the picture come out; each modulation comes and goes."""
    model = ir.to_proto(engine_model(model_dir, graph, "fp16"))
    modulations = sum(name.endswith(".gain.weight") for node in model.graph.node for name in node.input)
    types = types_of(model)
    casts = [node for node in model.graph.node if node.op_type == "Cast" and TensorProto.FLOAT16 in
             (types[node.input[0]], types[node.output[0]])]  # fmt: skip
    assert len(casts) == (2 if graph in ("encode", "measure") else 4 + 2 * modulations)


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_inputs_and_outputs_are_those_of_fp32(model_dir, graph):
    fp32, fp16 = (ir.to_proto(engine_model(model_dir, graph, precision)).graph for precision in ("fp32", "fp16"))
    assert list(fp32.input) == list(fp16.input)
    assert list(fp32.output) == list(fp16.output)


def test_rounding_is_what_halves_round_to():
    """ONNX Runtime by itself leaves it out: the same graph, not made explicit, gives other numbers."""
    third = np.full((1, 1, 1, 1), 1 / 3, np.float32)
    nodes = [
        helper.make_node("Abs", ["x"], ["positive"]),
        helper.make_node("Conv", ["positive", "c.weight", "c.bias"], ["third"]),
        helper.make_node("Conv", ["third", "d.weight", "d.bias"], ["y_half"]),
        helper.make_node("Neg", ["y_half"], ["y"]),
    ]
    zero = np.zeros(1, np.float32)
    model = small(nodes, {"c.weight": third, "c.bias": zero, "d.weight": third * 3, "d.bias": zero})
    HalfPrecisionPass()(model)
    ExplicitRoundingPass()(model)
    x = np.random.default_rng(0).normal(0, 100, (1, 1, 4, 4)).astype(np.float32)
    (made,) = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString()).run(None, {"x": x})
    halves = (np.abs(x).astype(np.float16).astype(np.float32) * np.float16(1 / 3).astype(np.float32)).astype(np.float16)
    np.testing.assert_array_equal(made, -halves.astype(np.float32))


def test_pictures_are_within_45_db_of_float64(model_dir, run, china, flower):
    """Whole calls on photographs: the style's picture is encoded in half precision too."""
    network = checkpoint.load(model_dir / store.WEIGHTS_NAME).double()
    image, painting = china[None, 200:328, 100:292], flower[None, 100:228, 200:296]
    code = reference.encode(network, torch.from_numpy(painting))
    expected = reference.stylize(network, torch.from_numpy(image), code, torch.ones(1).double()).numpy()
    mean, std = run("encode", {"image": painting})
    strength = np.ones(1, np.float32)
    (made,) = run("stylize", {"image": image, "style_mean": mean, "style_std": std, "strength": strength})
    assert expected.std() > 20
    assert psnr(made, expected) >= 45
    for numbers, wanted in zip((mean, std), code, strict=True):
        assert psnr(numbers, wanted.numpy(), wanted.abs().max().item()) >= 60


def spot(size: int) -> Pixels:
    picture = np.zeros((size, size, 3), np.uint8)
    picture[size // 2, size // 2] = 255
    return picture


def checkerboard(size: int) -> Pixels:
    squares = (np.indices((size, size)).sum(0) % 2 * 255).astype(np.uint8)
    return np.repeat(squares[..., None], 3, 2)


def saturated_noise(size: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 2, (size, size, 3)).astype(np.uint8) * np.uint8(255)


@pytest.mark.parametrize("picture", [spot, checkerboard, saturated_noise])
def test_every_number_of_hostile_pictures_is_a_number(model_dir, picture):
    """With a style whose deviation is far larger than any picture's, no value of the graph is NaN."""
    model = engine_model(model_dir, "stylize", "fp16")
    channels = int(model.metadata_props["channels"])
    ExplicitRoundingPass()(model)
    for node in list(model.graph):
        if node.op_type in {"Conv", "Clip", "Add", "AveragePool"}:
            model.graph.outputs.append(node.outputs[0])
            node.outputs[0].type, node.outputs[0].shape = ir.TensorType(ir.DataType.FLOAT), None
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())
    for deviation in (1e3, 1e6, 1e30):
        code = np.full((1, channels), deviation, np.float32)
        inputs = {"image": picture(96)[None], "style_mean": code, "style_std": code}
        values = session.run(None, inputs | {"strength": np.ones(1, np.float32)})
        assert not any(np.isnan(value).any() for value in values)


def test_a_bright_spot_on_a_large_flat_picture_stays_close_to_float64(lite):
    style = saturated_noise(256)
    network = checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME).double()
    code = reference.encode(network, torch.from_numpy(style[None]))
    image = spot(512)[None]
    expected = reference.stylize(network, torch.from_numpy(image), code, torch.ones(1).double()).numpy()
    session = half_session(engine_model(store.model_dir("lite"), "stylize", "fp16"))
    mean, std = (values.float().numpy() for values in code)
    inputs = {"image": image, "style_mean": mean, "style_std": std, "strength": np.ones(1, np.float32)}
    assert psnr(session.run(None, inputs)[0], expected) >= 45


@pytest.mark.parametrize("gain", [0.5, 300, 60000])
def test_residual_sums_stay_finite_whatever_goes_in(gain):
    """y is 0 times the last sum: 0 if that is finite, NaN if it is infinite or none."""
    model = residual_network(gain)
    HalfPrecisionPass()(model)
    ExplicitRoundingPass()(model)
    session = onnxruntime.InferenceSession(ir.to_proto(model).SerializeToString())
    for x in (1, 1e4, 1e38, np.inf):
        (made,) = session.run(None, {"x": np.full((1, 1, 4, 4), x, np.float32)})
        np.testing.assert_array_equal(made, 0)


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_what_is_clipped_is_far_from_what_photographs_give(model_dir, graph):
    """Values reach 20 at most on photographs; a Clip below a few hundred would be a change of the network."""
    model = engine_model(model_dir, graph, "fp16")
    highs = [constant(node.inputs[2]).item() for node in model.graph if node.op_type == "Clip" and len(node.inputs) > 2]
    limits = [high for high in highs if high != 255]
    assert len(limits) >= 5
    assert all(500 <= high <= LARGEST for high in limits)


def test_the_types_say_float16_and_no_convolution_is_lost(model_dir):
    fp32, fp16 = (engine_model(model_dir, "stylize", precision) for precision in ("fp32", "fp16"))
    assert len(convolutions(fp32.graph)) == len(convolutions(fp16.graph))
    assert {node.op_type for node in fp16.graph} == {node.op_type for node in fp32.graph} - {"Relu"} | {"Clip"}


def test_a_filter_keeps_the_sum_of_its_taps(model_dir):
    """What rounding takes from one tap it gives to another; rounding each by itself loses far more."""
    fp32, fp16 = (engine_model(model_dir, "stylize", precision) for precision in ("fp32", "fp16"))
    for before, after in zip(convolutions(fp32.graph), convolutions(fp16.graph), strict=True):
        weight, halves = (constant(node.inputs[1]).astype(np.float64) for node in (before, after))
        alone = weight.astype(np.float16).astype(np.float64)
        lost, lost_alone = (np.square((each - weight).sum((2, 3))).mean() ** 0.5 for each in (halves, alone))
        assert lost < lost_alone / 4
        assert np.abs(halves - weight).max() <= 2**-10 * np.abs(weight).max()


def test_the_picture_is_centred_and_the_first_bias_knows(model_dir):
    fp32, fp16 = (engine_model(model_dir, "encode", precision) for precision in ("fp32", "fp16"))
    weight, bias = map(constant, convolutions(fp32.graph)[0].inputs[1:])
    whole = bias + 128 * weight.sum((1, 2, 3), dtype=np.float64)
    np.testing.assert_array_equal(constant(convolutions(fp16.graph)[0].inputs[2]), whole.astype(np.float16))
    cast, centring = list(fp16.graph)[:2]
    assert (cast.op_type, centring.op_type, constant(centring.inputs[1]).item()) == ("Cast", "Add", -128)


def test_a_weight_that_float16_cannot_hold_is_refused():
    model = residual_network(7e4)
    with pytest.raises(AdainError, match=r"0a.weight holds a number that is too large for float16"):
        HalfPrecisionPass()(model)


def residual_block(bias: float) -> ir.Model:
    """Return x through Abs, then y = |x| + b(relu(a(|x|))), whose last convolution adds a bias."""
    one, zero = np.ones((1, 1, 1, 1), np.float32), np.zeros(1, np.float32)
    nodes = [
        helper.make_node("Abs", ["x"], ["start"]),
        helper.make_node("Conv", ["start", "a.weight", "a.bias"], ["wide"]),
        helper.make_node("Relu", ["wide"], ["relu"]),
        helper.make_node("Conv", ["relu", "b.weight", "b.bias"], ["branch"]),
        helper.make_node("Add", ["start", "branch"], ["sum"]),
        helper.make_node("Conv", ["sum", "c.weight", "c.bias"], ["y"]),
    ]
    constants = {
        "a.weight": one,
        "a.bias": zero,
        "b.weight": one,
        "b.bias": zero + bias,
        "c.weight": one,
        "c.bias": zero,
    }
    return small(nodes, {name: numbers.astype(np.float32) for name, numbers in constants.items()})


def test_a_bias_beyond_what_a_residual_sum_may_be_is_refused():
    with pytest.raises(AdainError, match="too large for float16: use fp32"):
        HalfPrecisionPass()(residual_block(40000))


def test_what_a_branch_reads_leaves_room_for_its_bias_and_for_rounding():
    """|branch| stays within the term, bias and all, and the whole sum below the largest half by a term."""
    bias = 9000.0
    model = residual_block(bias)
    HalfPrecisionPass()(model)
    high = float(constant(model.graph.initializers["wide_clipped_high"]))
    term = LARGEST / 3  # two terms in the longest sum, and one to spare
    assert 0 < high + bias <= term
    assert high + bias > 0.99 * term
