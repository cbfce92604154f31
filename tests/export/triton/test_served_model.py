"""The model that Triton's Python backend loads, on a stand-in for Triton that runs the graphs of the bundled model."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import adain_export
from adain_models.weights import store
from adain_rt.backends import Settings
from adain_rt.backends.onnxruntime.cpu import OnnxRuntimeBackend
from adain_rt.contract import GRAPHS, MIN_SIDE, MULTIPLE
from adain_rt.stylizer import Stylizer

FILE = Path(adain_export.__file__).parent / "triton" / "served" / "model.py"


class Tensor:
    def __init__(self, name: str, values: np.ndarray) -> None:
        self.name, self._values = name, values

    def as_numpy(self) -> np.ndarray:
        return self._values


class TritonError(Exception):
    INVALID_ARG, INTERNAL = "invalid", "internal"

    def __init__(self, message: str, code: str = INTERNAL) -> None:
        super().__init__(message)
        self.code = code

    def message(self) -> str:
        return str(self)


class InferenceResponse:
    def __init__(self, tensors: Any = (), error: TritonError | None = None) -> None:
        self.tensors, self.failure = list(tensors), error

    def has_error(self) -> bool:
        return self.failure is not None

    def error(self) -> TritonError | None:
        return self.failure


class Triton:
    """Runs the graphs by name, counts how often, and takes shapes as Triton does: strength is (N, 1)."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self._backend = OnnxRuntimeBackend(store.model_dir("lite"), "fp32", Settings())

    def answer(self, model_name: str, requested_output_names: list[str], inputs: list[Tensor]) -> InferenceResponse:
        if model_name not in GRAPHS:
            return InferenceResponse(error=TritonError("there is no such model"))
        self.calls[model_name] += 1
        values = {tensor.name: tensor.as_numpy() for tensor in inputs}
        if "strength" in values:
            assert values["strength"].shape == (1, 1)
            values["strength"] = values["strength"][:, 0]
        GRAPHS[model_name].sizes_of({name: value.shape for name, value in values.items()})
        outputs = self._backend.run(model_name, values)
        names = [tensor.name for tensor in GRAPHS[model_name].outputs]
        assert requested_output_names == names
        return InferenceResponse([Tensor(name, value) for name, value in zip(names, outputs, strict=True)])


@pytest.fixture
def triton() -> Triton:
    return Triton()


@pytest.fixture
def model(triton, monkeypatch) -> Any:
    """The model, as Triton makes it."""

    class InferenceRequest:
        def __init__(self, preferred_memory: object, **request: Any) -> None:
            assert preferred_memory == "CPU"
            self.exec = lambda: triton.answer(**request)

    def get(holder: Any, name: str) -> Tensor | None:
        return next((tensor for tensor in holder.tensors if tensor.name == name), None)

    backend = SimpleNamespace(
        InferenceRequest=InferenceRequest,
        InferenceResponse=InferenceResponse,
        PreferredMemory=lambda memory: memory,
        TRITONSERVER_MEMORY_CPU="CPU",
        Tensor=Tensor,
        TritonError=TritonError,
        get_input_tensor_by_name=get,
        get_output_tensor_by_name=get,
    )
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend)
    spec = importlib.util.spec_from_file_location("served_model", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    loaded = module.TritonPythonModel()
    values = {"encode": "encode", "stylize": "stylize", "multiple": str(MULTIPLE), "min_side": str(MIN_SIDE)}
    parameters = {name: {"string_value": value} for name, value in values.items()}
    loaded.initialize({"model_config": json.dumps({"parameters": parameters})})
    return loaded


def request(content: np.ndarray, style: np.ndarray, strength: float | None = None) -> SimpleNamespace:
    tensors = [Tensor("content", content), Tensor("style", style)]
    if strength is not None:
        tensors.append(Tensor("strength", np.array([strength], np.float32)))
    return SimpleNamespace(tensors=tensors)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (61, 43), (9, 130), (1, 1)])
def test_it_paints_what_the_stylizer_paints_at_any_size(model, china, flower, height, width):
    content, style = china[:height, :width], flower[100:150, 200:277]
    (response,) = model.execute([request(content, style, 0.5)])
    with Stylizer("lite", "onnxruntime", "fp32") as stylizer:
        expected = stylizer.stylize(content, stylizer.encode(style), strength=0.5)
    np.testing.assert_array_equal(response.tensors[0].as_numpy(), expected)


def test_a_style_is_encoded_once_and_its_strength_is_full_unless_given(model, triton, china, flower):
    content = china[:32, :32]
    without, given = model.execute([request(content, flower), request(content, flower, 1.0)])
    np.testing.assert_array_equal(without.tensors[0].as_numpy(), given.tensors[0].as_numpy())
    assert triton.calls == {"encode": 1, "stylize": 2}


def test_the_oldest_styles_are_forgotten(model, triton, china, monkeypatch):
    monkeypatch.setitem(type(model).execute.__globals__, "_MOST_STYLES", 2)
    styles = [china[:16, start : start + 16] for start in (0, 50, 100)]
    model.execute([request(china[:16, :16], style) for style in (*styles, styles[2], styles[0])])
    assert triton.calls["encode"] == 4


@pytest.mark.parametrize(
    ("content", "strength", "says"),
    [
        (np.zeros((0, 8, 3), np.uint8), 1.0, "content is a picture of shape (height, width, 3), not (0, 8, 3)"),
        (np.zeros((8, 8, 4), np.uint8), 1.0, "not (8, 8, 4)"),
        (np.zeros((8, 8, 3), np.uint8), 1.5, "strength is a number from 0 to 1, not 1.5"),
        (np.zeros((8, 8, 3), np.uint8), float("nan"), "not nan"),
    ],
)
def test_a_bad_request_is_refused_and_the_next_one_is_answered(model, china, content, strength, says):
    bad, good = model.execute([request(content, china[:16, :16], strength), request(china[:16, :16], china[:16, :16])])
    assert says in bad.error().message()
    assert bad.error().code == TritonError.INVALID_ARG
    assert not good.has_error()


def test_what_a_network_complains_of_reaches_the_client(model, china):
    model._stylize = "nothing"
    (response,) = model.execute([request(china[:40, :40], china[:40, :40])])
    assert response.error().message() == "nothing: there is no such model"
    assert response.error().code == TritonError.INTERNAL
