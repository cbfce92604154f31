"""Operations and bytes, against counts by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from adain_bench.cost.costs import Costs, Group
from adain_bench.cost.counting import count, count_file
from adain_export.graphs.engine_graph import PRECISIONS, UPSAMPLINGS, engine_model
from adain_export.graphs.passes import (
    BlockOutputPass,
    BoundActivationsPass,
    QuantizeActivationsPass,
    QuantizeWeightsPass,
)
from adain_export.graphs.passes import editing as _graphs
from adain_export.graphs.passes.editing import CONVOLUTIONS
from adain_export.graphs.staging import read_graph
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import contract

LITE = store.model_dir("lite")
SIZES = {"N": 1, "R": 2, "H": 512, "W": 512}
FLOAT, HALF, INT8, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.UINT8


def graph(nodes, inputs, outputs, weights=()) -> onnx.ModelProto:
    """Return a model; inputs and outputs are names with a type and a shape each, weights names with arrays."""
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs],
        [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in outputs],
        [numpy_helper.from_array(array, name) for name, array in dict(weights).items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)])


def group_of(op_type, shapes, output, weights=(), **attributes) -> Group:
    """Return the only group of a graph of one node, which reads inputs of these shapes and then the weights."""
    inputs = [(f"x{place}", FLOAT, shape) for place, shape in enumerate(shapes)]
    kind = {"QuantizeLinear": UINT8}.get(op_type, FLOAT)
    names = [name for name, *_ in inputs] + [name for name, _ in weights]
    node = helper.make_node(op_type, names, ["y"], name="n", **attributes)
    held = [(name, array) for name, array in weights if name]
    (group,) = count(graph([node], inputs, [("y", kind, output)], held), {}).groups
    return group


def floats(*shape) -> np.ndarray:
    return np.zeros(shape, np.float32)


def test_a_convolution_sums_over_its_window_and_adds_its_bias():
    """2 pictures of 6 channels, 5 x 4 positions: 9 taps of 3 channels, each multiplied and added, and the bias."""
    group = group_of("Conv", [(2, 3, 7, 6)], (2, 6, 5, 4), [("w", floats(6, 3, 3, 3)), ("b", floats(6))])
    assert group.flops == 2 * 6 * 5 * 4 * (2 * 3 * 9 + 1)
    assert (group.read, group.weights, group.written) == (2 * 3 * 7 * 6 * 4, (6 * 3 * 9 + 6) * 4, 2 * 6 * 5 * 4 * 4)
    assert group.bytes == group.read + group.weights + group.written


def test_a_stride_and_groups_and_no_bias_count_less():
    group = group_of(
        "Conv", [(1, 4, 8, 8)], (1, 8, 4, 4), [("w", floats(8, 2, 3, 3))], strides=[2, 2], pads=[1, 1, 1, 1], group=2
    )
    assert group.flops == 8 * 4 * 4 * (2 * 2 * 9)


AXES = [("axes", np.array([2, 3]))]
QUANTIZER = [("s", np.float32(1)), ("z", np.uint8(0))]


def test_a_transposed_convolution_of_stride_2_sums_a_quarter_of_its_taps():
    weights = [("w", floats(6, 3, 4, 4)), ("b", floats(3))]
    group = group_of("ConvTranspose", [(1, 6, 5, 5)], (1, 3, 8, 8), weights, strides=[2, 2], pads=[2, 2, 2, 2])
    assert group.flops == 3 * 8 * 8 * (2 * 6 * 4 + 1)


@pytest.mark.parametrize(
    ("op_type", "shapes", "output", "weights", "attributes", "flops"),
    [
        ("MaxPool", [(1, 2, 8, 8)], (1, 2, 4, 4), [], {"kernel_shape": [2, 2], "strides": [2, 2]}, 32 * 3),
        ("AveragePool", [(1, 2, 8, 8)], (1, 2, 1, 1), [], {"kernel_shape": [8, 8], "strides": [8, 8]}, 2 * 64),
        ("ReduceMean", [(1, 2, 4, 4)], (1, 2, 1, 1), AXES, {}, 2 * (15 + 1)),
        ("ReduceSum", [(1, 2, 4, 4)], (1, 2, 1, 1), AXES, {}, 2 * 15),
        ("ReduceProd", [(1, 2, 4, 4)], (1, 2, 1, 1), AXES, {}, 2 * 15),
        ("Add", [(1, 2, 4, 4), (1, 2, 1, 1)], (1, 2, 4, 4), [], {}, 32),
        ("Sub", [(1, 2, 1, 1), (3, 1, 4, 4)], (3, 2, 4, 4), [], {}, 96),
        ("Mul", [(1, 2, 4, 4), (1, 2, 4, 4)], (1, 2, 4, 4), [], {}, 32),
        ("Div", [(2, 5), (2, 5)], (2, 5), [], {}, 10),
        ("Max", [(2, 5), (2, 5)], (2, 5), [], {}, 10),
        ("Sqrt", [(2, 5)], (2, 5), [], {}, 10),
        ("Relu", [(2, 5)], (2, 5), [], {}, 10),
        ("Round", [(2, 5)], (2, 5), [], {}, 10),
        ("Clip", [(2, 5)], (2, 5), [("low", np.float32(0))], {}, 10),
        ("Clip", [(2, 5)], (2, 5), [("low", np.float32(0)), ("high", np.float32(1))], {}, 20),
        ("Clip", [(2, 5)], (2, 5), [("", None), ("high", np.float32(1))], {}, 10),
        ("QuantizeLinear", [(2, 5)], (2, 5), QUANTIZER, {}, 30),
    ],
)
def test_other_operators_count_what_they_do_to_each_number(op_type, shapes, output, weights, attributes, flops):
    assert group_of(op_type, shapes, output, weights, **attributes).flops == flops


@pytest.mark.parametrize(
    ("op_type", "shape", "output", "weights", "attributes"),
    [
        ("Pad", (1, 2, 4, 4), (1, 2, 6, 6), [("p", np.array([0, 0, 1, 1, 0, 0, 1, 1]))], {"mode": "reflect"}),
        ("Resize", (1, 2, 4, 4), (1, 2, 8, 8), [("", None), ("s", np.array([1, 1, 2, 2], np.float32))], {}),
        ("DepthToSpace", (1, 8, 4, 4), (1, 2, 8, 8), [], {"blocksize": 2}),
        ("Transpose", (1, 2, 4, 4), (1, 4, 4, 2), [], {"perm": [0, 2, 3, 1]}),
        ("Cast", (1, 2, 4, 4), (1, 2, 4, 4), [], {"to": FLOAT}),
    ],
)
def test_moving_numbers_is_no_operation_but_moves_bytes(op_type, shape, output, weights, attributes):
    group = group_of(op_type, [shape], output, weights, **attributes)
    assert group.flops == 0
    assert (group.read, group.written) == (4 * np.prod(shape), 4 * np.prod(output))


@pytest.mark.parametrize(
    ("op_type", "shape", "output", "weights"),
    [
        ("Reshape", (2, 8), (2, 8, 1), [("to", np.array([2, 8, 1]))]),
        ("Unsqueeze", (2, 8), (2, 8, 1), [("axes", np.array([2]))]),
        ("Squeeze", (2, 8, 1), (2, 8), [("axes", np.array([2]))]),
    ],
)
def test_another_shape_of_the_same_numbers_is_free(op_type, shape, output, weights):
    group = group_of(op_type, [shape], output, weights)
    assert group.flops == 0
    relu = helper.make_node("Relu", ["x"], ["y"], name="relu")
    view = helper.make_node(op_type, ["y", weights[0][0]], ["z"], name="view")
    alone = count(graph([relu], [("x", FLOAT, shape)], [("y", FLOAT, shape)]), {}).groups
    viewed = count(graph([relu, view], [("x", FLOAT, shape)], [("z", FLOAT, output)], weights), {}).groups
    assert [(each.read, each.written) for each in viewed] == [(each.read, each.written) for each in alone]


def test_dequantizing_subtracts_and_multiplies():
    node = helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"], name="n")
    model = graph([node], [("x", UINT8, (2, 5))], [("y", FLOAT, (2, 5))], QUANTIZER)
    (group,) = count(model, {}).groups
    assert (group.flops, group.read, group.written, group.weights) == (20, 10, 40, 5)


def test_an_enlargement_that_interpolates_has_no_rule():
    scales = [("", None), ("s", np.array([1, 1, 2, 2], np.float32))]
    with pytest.raises(AdainError, match=r"node 'n'.* Resize .* linear"):
        group_of("Resize", [(1, 2, 4, 4)], (1, 2, 8, 8), scales, mode="linear")


def test_an_unknown_operator_is_an_error_that_names_it():
    with pytest.raises(AdainError, match=r"node 'n'.* Sigmoid"):
        group_of("Sigmoid", [(2, 5)], (2, 5))


def test_what_weights_and_sizes_alone_decide_is_free():
    """Weights that are dequantised, and the number of positions, are computed when the graph is loaded."""
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["weight"], axis=0),
        helper.make_node("Conv", ["x", "weight"], ["y"], name="conv"),
        helper.make_node("Shape", ["y"], ["shape"], start=2),
        helper.make_node("ReduceProd", ["shape"], ["count"], keepdims=0),
        helper.make_node("Cast", ["count"], ["divisor"], to=FLOAT),
        helper.make_node("Div", ["y", "divisor"], ["out"], name="div"),
    ]
    weights = {"w": np.zeros((4, 3, 1, 1), np.int8), "s": floats(4), "z": np.zeros(4, np.int8)}
    costs = count(graph(nodes, [("x", FLOAT, (1, 3, 8, 8))], [("out", FLOAT, (1, 4, 8, 8))], weights), {})
    assert [(layer.name, layer.flops) for layer in costs.layers] == [("conv", 256 * 2 * 3), ("div", 256)]
    assert costs.groups[0].weights == 12 + 4 * 4 + 4  # as they are stored: int8, with a scale and a zero point each
    assert costs.layers[0].precision == "int8"


def chain(kind=FLOAT) -> Costs:
    """Return the costs of two convolutions: pad, convolve, ReLU; double, pad, convolve, add the doubled picture."""
    edge = np.array([0, 0, 1, 1, 0, 0, 1, 1])
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    weights = {
        "edge": edge,
        "twice": np.array([1, 1, 2, 2], np.float32),
        "w": np.zeros((4, 4, 3, 3), dtype),
    }
    nodes = [
        helper.make_node("Pad", ["x", "edge"], ["p"], name="pad", mode="reflect"),
        helper.make_node("Conv", ["p", "w"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["r"], name="relu"),
        helper.make_node("Resize", ["r", "", "twice"], ["d"], name="double", mode="nearest"),
        helper.make_node("Pad", ["d", "edge"], ["q"], name="pad2", mode="reflect"),
        helper.make_node("Conv", ["q", "w"], ["b"], name="second"),
        helper.make_node("Add", ["d", "b"], ["y"], name="add"),
    ]
    return count(graph(nodes, [("x", kind, (1, 4, 8, 8))], [("y", kind, (1, 4, 16, 16))], weights), {})


def test_a_group_is_a_convolution_with_its_neighbours():
    costs = chain()
    assert [(group.name, [layer.name for layer in group.layers]) for group in costs.groups] == [
        ("first", ["pad", "first", "relu"]),
        ("second", ["double", "pad2", "second", "add"]),
    ]


def test_a_group_reads_what_is_stored_once_and_writes_what_leaves_it():
    """The doubled picture is made again from the small one, which is read once for both uses."""
    first, second = chain().groups
    small, large, weights = 4 * 8 * 8 * 4, 4 * 16 * 16 * 4, 4 * 4 * 9 * 4
    edge, twice = 8 * 8, 4 * 4
    assert (first.read, first.written, first.weights) == (small, small, weights + edge)
    assert (second.read, second.written, second.weights) == (small, large, weights + edge + twice)
    assert first.bytes == 2 * small + weights + edge


def test_every_operation_is_in_one_group():
    costs = chain()
    assert costs.flops == sum(layer.flops for layer in costs.layers) == sum(group.flops for group in costs.groups)


def test_half_precision_moves_half_the_bytes():
    (whole, _), (half, _) = chain().groups, chain(HALF).groups
    assert (half.read, half.written) == (whole.read // 2, whole.written // 2)
    assert half.flops_by_precision == {"fp16": whole.flops_by_precision["fp32"]}


def test_a_value_that_is_read_in_two_places_is_written_once():
    """A residual block: the second group reads the first's output and the input of the block."""
    weights = {"w": floats(4, 4, 1, 1)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], name="a"),
        helper.make_node("Conv", ["a", "w"], ["b"], name="b"),
        helper.make_node("Conv", ["b", "w"], ["c"], name="c"),
        helper.make_node("Add", ["a", "c"], ["y"], name="sum"),
    ]
    shape = (1, 4, 8, 8)
    costs = count(graph(nodes, [("x", FLOAT, shape)], [("y", FLOAT, shape)], weights), {})
    each = 4 * 8 * 8 * 4
    assert [(group.read, group.written) for group in costs.groups] == [(each, each), (each, each), (2 * each, each)]


def test_quantized_convolutions_hand_on_a_byte_for_each_number():
    costs = count_file(LITE / "int8" / "stylize.onnx", SIZES)
    first, second, *_ = costs.groups
    assert (first.read, first.written) == (512 * 512 * 3, 512 * 512 * 16)
    assert second.read == first.written
    assert set(first.flops_by_precision) == {"int8", "fp32"}


def test_bf16_stores_and_multiplies_in_two_bytes():
    plain, rounded = (count_file(LITE / "encode.onnx", SIZES, bf16=bf16) for bf16 in (False, True))
    assert rounded.flops == plain.flops
    assert rounded.groups[1].bytes < 0.51 * plain.groups[1].bytes
    assert set(rounded.groups[1].flops_by_precision) == {"bf16"}


def convolutions(costs: Costs) -> float:
    return sum(layer.flops for layer in costs.layers if layer.op_type in CONVOLUTIONS) / 1e9


def test_lite_takes_25_gflop():
    costs = count_file(LITE / "stylize.onnx", SIZES)
    assert convolutions(costs) == pytest.approx(25.0, abs=0.05)
    assert costs.flops / 1e9 == pytest.approx(25.1, abs=0.05)


def test_lites_convolutions_are_those_of_its_network(lite):
    """Each output position of a layer, by hand: 512 / scale squared, and those beyond the edge that blurs read."""
    scales = {
        "encoder.conv1": 1, "encoder.down1": 2, "encoder.down2": 4, "encoder.res1": 4, "encoder.down3": 8,
        "encoder.res2": 8, "decoder.res1": 8, "decoder.res2": 8, "decoder.res3": 8, "decoder.up1": 4,
        "decoder.res4": 4, "decoder.up2": 2, "decoder.up3": 1, "decoder.out": 1,
        **{f"decoder.style{number}": 512 for number in (1, 2, 3, 4)},  # of the code, which is one position
    }  # fmt: skip
    beyond = {"decoder.up1": 1, "decoder.up2": 1, "decoder.up3": 3}
    expected = 0
    for name, weight in lite.state_dict().items():
        if name.endswith(".weight"):
            ((layer, scale),) = (each for each in scales.items() if name.startswith(each[0] + "."))
            expected += (512 // scale + 2 * beyond.get(layer, 0)) ** 2 * weight.shape[0] * (2 * weight[0].numel() + 1)
    costs = count_file(LITE / "stylize.onnx", SIZES)
    assert sum(layer.flops for layer in costs.layers if layer.op_type == "Conv") == expected


def test_vgg19_takes_126_gflop_to_encode_and_as_many_to_decode(vgg19, vgg19_dir):
    """The paper's network by the same arithmetic as one of a quarter of its width, whose graphs are counted."""
    encode, stylize = (convolutions(count_file(vgg19_dir / f"{graph}.onnx", SIZES)) for graph in ("encode", "stylize"))
    assert encode == pytest.approx(gigaflops(vgg19.encoder, 512))
    assert stylize - encode == pytest.approx(gigaflops(vgg19.decoder, 64))
    paper = type(vgg19)()
    assert gigaflops(paper.encoder, 512) == pytest.approx(126.6, abs=0.1)
    assert gigaflops(paper.decoder, 64) == pytest.approx(126.6, abs=0.1)


def gigaflops(part, side: int) -> float:
    """Return what the convolutions of 3x3 of an encoder or a decoder take for square features."""
    from torch import nn

    operations = 0
    for layer in part:
        if isinstance(layer, nn.MaxPool2d):
            side //= 2
        elif isinstance(layer, nn.Upsample):
            side *= 2
        elif isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3):
            operations += side**2 * (2 * layer.weight.numel() + layer.out_channels)
    return operations / 1e9


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("graph", contract.GRAPHS)
@pytest.mark.parametrize("model", ["lite", "vgg19"])
def test_every_operator_of_every_graph_has_a_rule(model, graph, precision, upsampling, vgg19_dir):
    directory = LITE if model == "lite" else vgg19_dir
    costs = count(ir.to_proto(engine_model(directory, graph, precision, upsampling)), SIZES)
    names = [layer.name for layer in costs.layers]
    assert len(set(names)) == len(names)
    assert all(group.layers and group.bytes for group in costs.groups)


@pytest.mark.parametrize("path", sorted((LITE / "int8").glob("*.onnx")), ids=lambda path: path.name)
def test_every_operator_of_every_int8_graph_has_a_rule(path):
    """Five ninths of two convolutions behind doublings are gone; blocks of 2x2 hold 6x6 weights for 5x5."""
    fp32 = convolutions(count_file(LITE / f"{path.name.split('.')[0]}.onnx", SIZES))
    behind_doublings = 2 * 9 * (128 * 64 * 128**2 + 64 * 32 * 256**2) / 1e9
    expected = fp32 - (0 if path.name.startswith(("encode", "measure")) else 5 / 9 * behind_doublings)
    assert expected <= convolutions(count_file(path, SIZES)) < 1.02 * expected


@pytest.mark.parametrize("graph", contract.GRAPHS)
def test_every_operator_of_vgg19_in_int8_has_a_rule(graph, vgg19_dir):
    model = read_graph(vgg19_dir, graph)
    ir.external_data.load_to_model(model)
    ranges = {}
    for convolution in _graphs.convolutions(model.graph):
        outputs, inputs, *_ = _graphs.constant(convolution.inputs[1]).shape
        for side, channels in (("input", inputs), ("output", outputs)):
            low_and_high = np.stack([np.zeros(channels), np.ones(channels)]).astype(np.float32)
            ranges[f"{_graphs.convolution_name(convolution)}.{side}"] = low_and_high
    bounding = BoundActivationsPass(ranges, branches=False)
    for each in (BlockOutputPass(), QuantizeWeightsPass(), bounding, QuantizeActivationsPass()):
        each(model)
    costs = count(ir.to_proto(model), SIZES)
    assert {layer.precision for layer in costs.layers if layer.op_type == "Conv"} == {"int8"}
    assert any(layer.op_type == "MaxPool" and layer.precision == "int8" for layer in costs.layers)


def test_operations_grow_with_pictures_and_pixels():
    one, more = (count_file(LITE / "stylize.onnx", {"N": n, "H": h, "W": 512}) for n, h in ((1, 256), (3, 512)))
    assert convolutions(more) == pytest.approx(6 * convolutions(one), rel=0.01)  # a frame around each grows by less


def test_a_missing_size_is_named():
    with pytest.raises(AdainError, match=r"style_mean has an axis R, and no size is given for it"):
        count_file(LITE / "stylize_regions.onnx", {"N": 1, "H": 64, "W": 64})


def test_a_file_that_is_no_graph_is_refused(tmp_path: Path):
    (tmp_path / "x.onnx").write_bytes(b"\xff" * 100)
    for name in ("x.onnx", "absent.onnx"):
        with pytest.raises(AdainError, match=rf"{name}: is not an ONNX graph"):
            count_file(tmp_path / name, SIZES)
