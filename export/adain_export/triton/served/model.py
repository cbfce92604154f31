"""Paints one picture in the style of another, on Triton's Python backend. It needs NumPy, and no more of adain-rt.

The networks are two other models of the same server. Where several pictures are prepared at the same time, Triton
gives those of one size to the network together.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from hashlib import sha256
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils  # Triton's own; it is there when Triton loads this file
from numpy.typing import NDArray

_MOST_STYLES = 256
"""How many styles' codes are kept, of some kilobytes each."""

_AXES = 3
_COLORS = 3


class _RefusedError(Exception):
    """A request asks for what cannot be; the message is for whoever sent it."""


class _FailedError(Exception):
    """One of the networks failed."""


class TritonPythonModel:
    """What Triton looks for in this file."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the names of the networks and the sizes that they take from the configuration."""
        parameters = json.loads(args["model_config"])["parameters"]
        values = {name: value["string_value"] for name, value in parameters.items()}
        self._encode, self._stylize = values["encode"], values["stylize"]
        self._multiple, self._min_side = int(values["multiple"]), int(values["min_side"])
        self._codes: OrderedDict[bytes, dict[str, NDArray[np.float32]]] = OrderedDict()

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request, with a picture or with an error of its own."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            stylized = self._paint(
                _read_picture(request, "content"), _read_picture(request, "style"), _read_strength(request)
            )
        except _RefusedError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))
        except _FailedError as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        return pb_utils.InferenceResponse([pb_utils.Tensor("stylized", stylized)])

    def _paint(self, content: NDArray[np.uint8], style: NDArray[np.uint8], strength: float) -> NDArray[np.uint8]:
        inputs: dict[str, NDArray[Any]] = {
            "image": self._pad(content),
            "strength": np.array([[strength]], np.float32),
            **self._find_code(style),
        }
        (stylized,) = _run(self._stylize, inputs, ["stylized"])
        height, width = content.shape[:2]
        return np.ascontiguousarray(stylized[0, :height, :width])

    def _find_code(self, style: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return a style's code, which is computed where none of the last styles was the same picture."""
        key = sha256(repr(style.shape).encode() + style.tobytes()).digest()
        if key not in self._codes:
            mean, std = _run(self._encode, {"image": self._pad(style)}, ["mean", "std"])
            self._codes[key] = {"style_mean": mean.copy(), "style_std": std.copy()}  # Triton's memory is not ours
            if len(self._codes) > _MOST_STYLES:
                self._codes.popitem(last=False)
        self._codes.move_to_end(key)
        return self._codes[key]

    def _pad(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return a batch of one picture, padded by reflection to the sizes that the networks take."""
        added = [max(self._min_side, side + -side % self._multiple) - side for side in picture.shape[:2]]
        return np.pad(picture, [*((0, more) for more in added), (0, 0)], mode="reflect")[None]


def _read_picture(request: Any, name: str) -> NDArray[np.uint8]:
    picture: NDArray[np.uint8] = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
    if picture.ndim != _AXES or picture.shape[2] != _COLORS or 0 in picture.shape:
        raise _RefusedError(f"{name} is a picture of shape (height, width, 3), not {picture.shape}")
    return picture


def _read_strength(request: Any) -> float:
    tensor = pb_utils.get_input_tensor_by_name(request, "strength")
    strength = 1.0 if tensor is None else float(tensor.as_numpy()[0])
    if not 0 <= strength <= 1:
        raise _RefusedError(f"strength is a number from 0 to 1, not {strength:g}")
    return strength


def _run(model: str, inputs: dict[str, NDArray[Any]], outputs: list[str]) -> list[NDArray[Any]]:
    """Return what another model of this server makes of its inputs."""
    request = pb_utils.InferenceRequest(
        model_name=model,
        requested_output_names=outputs,
        inputs=[pb_utils.Tensor(name, value) for name, value in inputs.items()],
        preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU),  # NumPy reads no GPU's
    )
    response = request.exec()
    if response.has_error():
        raise _FailedError(f"{model}: {response.error().message()}")
    return [pb_utils.get_output_tensor_by_name(response, name).as_numpy() for name in outputs]
