"""The memory that a graph's tensors take while it runs."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx

from adain_models.errors import AdainError
from adain_models.files import explain

__all__ = ["bytes_per_pixel", "with_shapes"]

_SIDE = 256
_SIZES = {"N": 1, "R": 2, "H": _SIDE, "W": _SIDE}


def bytes_per_pixel(model: onnx.ModelProto) -> int:
    """Return the most bytes that are alive at once, weights aside, for each pixel of a picture.

    A tensor is alive from the node that makes it to the last node that reads it, in the graph's order. A backend needs
    more than this, since its allocator and its own layouts waste some. A graph with masks is counted for two regions.
    """
    graph = with_shapes(model, _SIZES)
    sizes = {value.name: _bytes(value) for value in (*graph.input, *graph.value_info, *graph.output)}
    last_read = {name: place for place, node in enumerate(graph.node) for name in node.input}
    alive = {value.name: sizes[value.name] for value in graph.input}
    most = 0
    for place, node in enumerate(graph.node):
        alive |= {name: sizes[name] for name in node.output}
        most = max(most, sum(alive.values()))
        alive = {name: size for name, size in alive.items() if last_read.get(name, -1) > place}
    return math.ceil(most / _SIDE**2)


def with_shapes(model: onnx.ModelProto, sizes: Mapping[str, int]) -> onnx.GraphProto:
    """Return a model's graph with every shape in numbers.

    Args:
        model: an ONNX graph, which is not changed.
        sizes: the size of each of its symbolic axes.

    Raises:
        AdainError: a size is missing or does not fit the graph.

    """
    sized = onnx.ModelProto()
    sized.CopyFrom(model)
    for value in (*sized.graph.input, *sized.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                if dim.dim_param not in sizes:
                    raise AdainError(
                        f"the graph's {value.name} has an axis {dim.dim_param}, and no size is given for it"
                    )
                dim.dim_value = sizes[dim.dim_param]
    try:
        graph = onnx.shape_inference.infer_shapes(sized, strict_mode=True, data_prop=True).graph
    except onnx.shape_inference.InferenceError as error:
        raise AdainError(f"the graph cannot take {dict(sizes)} ({explain(error)})") from None
    return graph


def _bytes(value: onnx.ValueInfoProto) -> int:
    tensor = value.type.tensor_type
    elements: int = math.prod(dim.dim_value for dim in tensor.shape.dim)
    return elements * onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
