"""The configuration of each Triton model, as Triton's own protobuf.

The fields are described in Triton's ``model_config.proto``, and what the backends read of them in
https://github.com/triton-inference-server/onnxruntime_backend and
https://github.com/triton-inference-server/tensorrt_backend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf import text_format  # type: ignore[import-untyped]
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup, ModelWarmup

from adain_rt.contract import GRAPHS, MIN_SIDE, MULTIPLE, TensorSpec

__all__ = ["configure_graph", "configure_pictures", "use_onnxruntime", "use_tensorrt", "write_text"]

_DTYPES = {"uint8": "TYPE_UINT8", "float32": "TYPE_FP32"}

_WARM = {"H": 512, "W": 512, "R": 2}
"""The sizes of the picture that a model paints before Triton calls it ready."""

_KINDS = {
    "fp16": ModelInstanceGroup.KIND_GPU,  # it is no faster on a processor, if it runs there at all
    "fp32": ModelInstanceGroup.KIND_AUTO,  # on the GPUs, or on the processor where there is none
    "int8": ModelInstanceGroup.KIND_CPU,  # these graphs are made for processors
}

_MOST_PROCESSES = 16
"""More are not started to prepare pictures, whatever may be computed at once: each is a Python of its own."""

_CONTENT = TensorSpec("content", "uint8", ("H", "W", 3))
_STYLE = TensorSpec("style", "uint8", ("H", "W", 3))
_STRENGTH = TensorSpec("strength", "float32", (1,))
_STYLIZED = TensorSpec("stylized", "uint8", ("H", "W", 3))


def configure_graph(name: str, graph: str, channels: int, max_batch: int) -> ModelConfig:
    """Return the configuration that a graph has with every backend.

    Args:
        name: the Triton model's name.
        graph: one of the contract's.
        channels: C of the contract.
        max_batch: how many pictures of one size Triton may compute at once.

    """
    config = ModelConfig(name=name, max_batch_size=max_batch)
    ends = GRAPHS[graph]
    for tensors, described in ((ends.inputs, config.input), (ends.outputs, config.output)):
        for tensor in tensors:
            dims = _list_dims(tensor.shape[1:], {"C": channels})
            entry = described.add(name=tensor.name, data_type=_DTYPES[tensor.dtype], dims=dims or [1])
            if not dims:  # Triton wants a dimension beside the batch's, and takes it away again
                entry.reshape.SetInParent()
    if max_batch > 1:
        config.dynamic_batching.SetInParent()  # waits for no picture: what has queued meanwhile goes together
    config.model_warmup.append(_warm_up(ends.inputs, {"C": channels}))
    return config


def use_onnxruntime(config: ModelConfig, precision: str, instances: int) -> None:
    """Let ONNX Runtime run a graph, from ``model.onnx``."""
    config.backend = "onnxruntime"
    config.instance_group.add(kind=_KINDS[precision], count=instances)
    _set_parameters(
        config,
        {
            "enable_mem_pattern": "0",  # made for one shape: any other doubles the memory
            "cudnn_conv_algo_search": "1",  # cuDNN's own advice; the default searches again for each size
            "arena_extend_strategy": "1",  # as much as is asked for; doubling takes memory that larger pictures need
        },
    )
    cuda = config.optimization.execution_accelerators.gpu_execution_accelerator.add(name="cuda")
    cuda.parameters["use_tf32"] = "0"  # TF32 has three digits, fp32 seven


def use_tensorrt(config: ModelConfig, files: Mapping[str, str], profiles: Sequence[int], instances: int) -> None:
    """Let TensorRT run a graph.

    Args:
        config: the graph's.
        files: for each compute capability, such as ``8.9``, the engine's file; the first is for all others.
        profiles: the numbers of the optimisation profiles that Triton may use.
        instances: how many pictures are computed at the same time on each GPU.

    """
    config.backend = "tensorrt"
    config.default_model_filename = next(iter(files.values()))
    config.cc_model_filenames.update(files)
    config.instance_group.add(
        kind=ModelInstanceGroup.KIND_GPU, count=instances, profile=[str(place) for place in profiles]
    )
    # Memory for the profiles in use, not for the largest of the engine.
    _set_parameters(config, {"execution_context_allocation_strategy": "ON_PROFILE_CHANGE"})


def configure_pictures(name: str, encode: str, stylize: str, pictures: int) -> ModelConfig:
    """Return the configuration of the model that takes a picture and a style picture, of any sizes.

    Args:
        name: the Triton model's name.
        encode: the name of the Triton model of ``encode``.
        stylize: the name of the Triton model of ``stylize``.
        pictures: how many pictures the graphs may compute at once; as many processes prepare them, within reason.

    """
    config = ModelConfig(name=name, backend="python", max_batch_size=0)
    for tensor in (_CONTENT, _STYLE, _STRENGTH):
        config.input.add(
            name=tensor.name,
            data_type=_DTYPES[tensor.dtype],
            dims=_list_dims(tensor.shape, {}),
            optional=tensor is _STRENGTH,
        )
    config.output.add(name=_STYLIZED.name, data_type=_DTYPES[_STYLIZED.dtype], dims=_list_dims(_STYLIZED.shape, {}))
    config.instance_group.add(kind=ModelInstanceGroup.KIND_CPU, count=min(pictures, _MOST_PROCESSES))
    _set_parameters(
        config, {"encode": encode, "stylize": stylize, "multiple": str(MULTIPLE), "min_side": str(MIN_SIDE)}
    )
    return config


def write_text(config: ModelConfig) -> str:
    """Return the text of a ``config.pbtxt``."""
    return str(text_format.MessageToString(config))


def _list_dims(shape: Sequence[str | int], known: Mapping[str, int]) -> list[int]:
    """Return a shape as Triton writes it, where -1 is any size."""
    return [known.get(axis, -1) if isinstance(axis, str) else axis for axis in shape]


def _warm_up(tensors: Sequence[TensorSpec], known: Mapping[str, int]) -> ModelWarmup:
    """Return a request of one picture of noise, which loads kernels and memory before anyone waits for them."""
    warmup = ModelWarmup(name="one picture", batch_size=1)
    for tensor in tensors:
        given: dict[str, Any] = {"random_data": True} if tensor.dtype == "uint8" else {"zero_data": True}
        dims = tensor.sized({**_WARM, **known, "N": 1})[1:] or (1,)
        warmup.inputs[tensor.name].CopyFrom(
            ModelWarmup.Input(data_type=_DTYPES[tensor.dtype], dims=dims, **given),
        )
    return warmup


def _set_parameters(config: ModelConfig, values: Mapping[str, str]) -> None:
    for key, value in values.items():
        config.parameters[key].string_value = value
