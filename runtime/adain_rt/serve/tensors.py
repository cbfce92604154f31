"""Tensors in the requests and answers of the Open Inference Protocol: as JSON, or as bytes behind it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_rt.serve.refusals import Refusal

__all__ = ["DATATYPES", "Inference", "pack", "unpack"]

DATATYPES = {"uint8": "UINT8", "float32": "FP32"}
"""From NumPy's names of the contract's types to the protocol's."""

_DTYPES = {datatype: np.dtype(name).newbyteorder("<") for name, datatype in DATATYPES.items()}


@dataclass(frozen=True)
class Inference:
    """What a request asks for.

    Attributes:
        id: of the request, which the answer repeats.
        inputs: the arrays, by name.
        binary: for each output that is asked for, whether it is wanted as bytes; empty means all of them.
        all_binary: whether outputs that say nothing of it are wanted as bytes.

    """

    id: str | None
    inputs: Mapping[str, NDArray[Any]]
    binary: Mapping[str, bool]
    all_binary: bool


def unpack(body: bytes, json_bytes: str | None) -> Inference:
    """Return what the body of a request asks for.

    Args:
        body: JSON, and then the bytes of the tensors that are sent as such.
        json_bytes: how many bytes the JSON has, from the header ``Inference-Header-Content-Length``; without it, all.

    Raises:
        Refusal: the body is not of the protocol (400).

    """
    length = len(body) if json_bytes is None else int(json_bytes) if json_bytes.isdecimal() else -1
    if not 0 <= length <= len(body):
        raise Refusal(400, "the header Inference-Header-Content-Length does not fit the body")
    try:
        asked = json.loads(body[:length])
        inputs, rest = {}, memoryview(body)[length:]
        for each in asked["inputs"]:
            inputs[str(each["name"])], rest = _read_tensor(each, rest)
        all_binary = asked.get("parameters", {}).get("binary_data_output", False) is True
        outputs = {
            str(each["name"]): each.get("parameters", {}).get("binary_data", all_binary) is True
            for each in asked.get("outputs", ())
        }
        name = asked.get("id")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError, OverflowError) as error:
        raise Refusal(400, f"the request is not of the Open Inference Protocol ({_word(error)})") from None
    if rest:
        raise Refusal(400, f"{len(rest)} bytes of the body belong to no input")
    return Inference(None if name is None else str(name), inputs, outputs, all_binary)


def pack(graph: str, inference: Inference, outputs: Mapping[str, NDArray[Any]]) -> tuple[bytes, dict[str, str]]:
    """Return the body of an answer, and its headers.

    Raises:
        Refusal: an output that is asked for is not the graph's (400).

    """
    described, tails = [], []
    for name in inference.binary or outputs:
        if name not in outputs:
            raise Refusal(400, f"the graph {graph} has no output {name}", hint=f"it has {', '.join(outputs)}")
        array = outputs[name]
        tensor = {"name": name, "datatype": DATATYPES[array.dtype.name], "shape": array.shape}
        if inference.binary.get(name, inference.all_binary):
            tails.append(np.ascontiguousarray(array, _DTYPES[DATATYPES[array.dtype.name]]).tobytes())
            described.append({**tensor, "parameters": {"binary_data_size": len(tails[-1])}})
        else:
            described.append({**tensor, "data": array.ravel().tolist()})
    said = {"model_name": graph, "model_version": "1", "outputs": described}
    head = json.dumps(said if inference.id is None else {"id": inference.id, **said}).encode()
    if not tails:
        return head, {"Content-Type": "application/json"}
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(len(head))}
    return b"".join([head, *tails]), headers


def _read_tensor(given: Any, rest: memoryview) -> tuple[NDArray[Any], memoryview]:
    """Return an input, and the bytes that belong to the next."""
    shape = [int(side) for side in given["shape"]]
    dtype = _DTYPES.get(given["datatype"])
    if dtype is None:
        raise ValueError(f"datatype {given['datatype']} is not one of {', '.join(_DTYPES)}")
    if min(shape, default=0) < 0:
        raise ValueError("a shape is negative")
    size = given.get("parameters", {}).get("binary_data_size")
    if size is None:
        flat = np.asarray(given["data"])
        array = flat.astype(dtype, casting="unsafe")
        if dtype.kind == "u" and not np.array_equal(array, flat):
            raise ValueError(f"{given['name']} has values that are not {given['datatype']}")
        return array.reshape(shape), rest
    size = int(size)
    if not 0 <= size <= len(rest):
        raise ValueError(f"{given['name']} has fewer bytes than it says")
    return np.frombuffer(rest[:size], dtype).reshape(shape), rest[size:]


def _word(error: Exception) -> str:
    """Return what is wrong in a few words; a key that is missing is all that its error says."""
    return f"{error.args[0]} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]
