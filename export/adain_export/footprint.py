"""How much memory a graph's tensors take while it runs."""

from __future__ import annotations

import math

import onnx

__all__ = ["bytes_per_pixel"]

_SIDE = 256
_SIZES = {"N": 1, "R": 2, "H": _SIDE, "W": _SIDE}


def bytes_per_pixel(model: onnx.ModelProto) -> int:
    """Return the most bytes that are alive at once, weights aside, for each pixel of a picture.

    A tensor is alive from the node that makes it to the last that reads it, in the graph's order. A backend needs
    more, by what its allocator and its own layouts waste. Two regions are counted where there are masks.
    """
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    for value in (*sized.graph.input, *sized.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_value = _SIZES[dim.dim_param]
    graph = onnx.shape_inference.infer_shapes(sized, strict_mode=True, data_prop=True).graph
    sizes = {value.name: _bytes(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    last_read = {name: place for place, node in enumerate(graph.node) for name in node.input}
    alive = {value.name: sizes[value.name] for value in graph.input}
    most = 0
    for place, node in enumerate(graph.node):
        alive |= {name: sizes[name] for name in node.output}
        most = max(most, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last_read.get(name, -1) > place}
    return math.ceil(most / _SIDE**2)


def _bytes(value: onnx.ValueInfoProto) -> int:
    tensor = value.type.tensor_type
    elements: int = math.prod(dim.dim_value for dim in tensor.shape.dim)
    return elements * onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
