"""The memory of a graph's tensors, against a sum by hand."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

from adain_export.graphs.footprint import bytes_per_pixel


def test_the_most_that_is_alive_at_once_is_counted():
    """uint8 x 3 in; float x 3 after the cast; 6 channels, half as high and wide; then the sum over them."""
    nodes = [
        helper.make_node("Cast", ["image"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["y"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["y", "w"], ["z"], strides=[2, 2], kernel_shape=[2, 2]),
        helper.make_node("Relu", ["z"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["N", 6, None, None])],
        [helper.make_tensor("w", TensorProto.FLOAT, [6, 3, 2, 2], [0.0] * 72)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)])
    onnx.checker.check_model(model)
    assert bytes_per_pixel(model) == 12 + 12  # x and y: more than image and x, or y and z (6 * 4 / 4)


@pytest.mark.parametrize(("graph", "least", "most"), [("encode", 100, 200), ("stylize", 250, 300)])
def test_the_bundled_graphs_take_about_what_their_widest_layers_take(stylizer, graph, least, most):
    """The widest step of the decoder is 32 channels at full size, before and after padding: 256 bytes a pixel."""
    model = onnx.load(stylizer.directory / f"{graph}.onnx", load_external_data=False)
    assert least <= bytes_per_pixel(model) <= most
    assert {prop.key: prop.value for prop in model.metadata_props}["bytes_per_pixel"] == str(bytes_per_pixel(model))
