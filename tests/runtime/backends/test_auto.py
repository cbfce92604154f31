"""Which backend ``auto`` takes, and how it goes on where one is unusable. Backends on a GPU are stand-ins here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import cuda
from adain_rt.backends import BACKENDS, Settings, candidates, choose, open_backend
from adain_rt.errors import UnusableBackend
from adain_rt.stylizer import Stylizer

LITE = store.model_dir("lite")
ON_GPU = [name for name, spec in BACKENDS.items() if spec.device == "gpu"]


@pytest.fixture
def stand_in(monkeypatch) -> Callable[..., None]:
    """Let a class be one of the backends on a GPU, and nothing hinder it."""

    def stand_in(name: str, backend: type[Any]) -> None:
        module = f"stand_in_for_{name.replace('-', '_')}"
        monkeypatch.setitem(sys.modules, module, SimpleNamespace(StandIn=backend))
        spec = replace(BACKENDS[name], module=module, backend="StandIn", hindrance=lambda: None)
        monkeypatch.setitem(BACKENDS, name, spec)

    return stand_in


class Works:
    """A backend that computes what ONNX Runtime does."""

    def __init__(self, directory, precision, settings) -> None:
        self.precision = precision
        self.inner = open_backend("onnxruntime", directory, "fp32", settings)

    def run(self, graph, inputs):
        return self.inner.run(graph, inputs)

    def open(self, graph):
        self.inner.open(graph)

    def facts(self, graph):
        return self.inner.facts(graph)

    def close(self):
        self.inner.close()


class Refuses(Works):
    """A backend whose library turns out not to run here."""

    closed = 0

    def close(self):
        type(self).closed += 1

    def open(self, graph):
        raise UnusableBackend("it does not run on this GPU")


class DoesNotOpen(Works):
    """A backend that says so as it is opened."""

    def __init__(self, directory, precision, settings) -> None:
        raise UnusableBackend("it has no engines for this GPU")


class Fails(Works):
    """A backend that runs, but not with what it is given."""

    def open(self, graph):
        raise AdainError("the engine is damaged")


class OnDevice(Works):
    """A backend that takes arrays on a GPU; here they are NumPy's."""

    def run_on_device(self, graph, inputs, outputs=None, stream=None):
        (made,) = self.run(graph, inputs)
        if outputs:
            outputs["stylized"][...] = made
            made = outputs["stylized"]
        return (made,)

    def free_bytes(self):
        return 1 << 34


def test_tensorrt_comes_first_then_others_on_a_gpu_then_processors():
    assert [name for name, spec in BACKENDS.items() if spec.auto] == [
        "tensorrt", "tensorrt-rtx", "onnxruntime-cuda", "torch", "openvino", "onnxruntime"
    ]  # fmt: skip


def test_auto_takes_a_gpu_in_fp16(stand_in, china):
    stand_in("tensorrt-rtx", Works)
    stylizer = Stylizer()
    assert (stylizer.backend, stylizer.precision) == ("tensorrt-rtx", "fp16")
    style = stylizer.encode(china[:64, :64])
    assert stylizer.stylize(china[:50, :70], style).shape == (50, 70, 3)


@pytest.mark.slow
def test_auto_goes_on_with_the_next_backend_and_says_so_once(stand_in, china, caplog):
    stand_in("tensorrt", Refuses)
    stand_in("tensorrt-rtx", Refuses)
    stylizer = Stylizer()
    style = stylizer.encode(china[:64, :64])
    assert (stylizer.backend, stylizer.precision) == ("openvino", Stylizer(backend="openvino").precision)
    assert stylizer.stylize(china[:64, :64], style).std() > 5  # a piece of sky
    assert [record.getMessage() for record in caplog.records] == [
        "tensorrt: it does not run on this GPU; going on with tensorrt-rtx",
        "tensorrt-rtx: it does not run on this GPU; going on with openvino",
    ]


def test_auto_goes_on_where_a_backend_does_not_open(stand_in, china):
    stand_in("tensorrt", DoesNotOpen)
    stand_in("tensorrt-rtx", Works)
    stylizer = Stylizer()
    stylizer.encode(china[:32, :32])
    assert stylizer.backend == "tensorrt-rtx"


def test_auto_closes_a_backend_that_it_leaves(stand_in, china, monkeypatch):
    monkeypatch.setattr(Refuses, "closed", 0)
    stand_in("tensorrt", Refuses)
    Stylizer().encode(china[:32, :32])
    assert Refuses.closed == 1


@pytest.mark.slow
def test_auto_leaves_a_backend_that_cannot_run_a_later_graph_for_all_graphs(stand_in, china):
    class RunsOneGraph(Works):
        def open(self, graph):
            if graph != "encode":
                raise UnusableBackend("it has no engine of this graph")

    stand_in("tensorrt", RunsOneGraph)
    stylizer = Stylizer(precision="fp32")
    style = stylizer.encode(china[:32, :32])
    assert stylizer.backend == "tensorrt"
    stylizer.stylize(china[:32, :32], style)
    assert stylizer.backend == "openvino"
    assert stylizer._backend.open("encode").backend_name == "openvino"


def test_where_no_backend_is_left_auto_says_why(stand_in, china, monkeypatch):
    for name, spec in BACKENDS.items():
        monkeypatch.setitem(BACKENDS, name, replace(spec, hindrance=lambda: "it is not installed"))
    stand_in("tensorrt", Refuses)
    with pytest.raises(AdainError, match="backend 'openvino' cannot run here, it is not installed"):
        Stylizer().encode(china[:32, :32])


@pytest.mark.slow
def test_auto_goes_on_in_the_precision_that_is_asked_for(stand_in, china):
    stand_in("tensorrt", Refuses)
    stylizer = Stylizer(precision="fp32")
    stylizer.encode(china[:32, :32])
    assert (stylizer.backend, stylizer.precision) == ("openvino", "fp32")


def test_a_backend_that_is_asked_for_by_name_is_not_left(stand_in, china):
    stand_in("tensorrt", Refuses)
    with pytest.raises(UnusableBackend, match="does not run on this GPU"):
        Stylizer(backend="tensorrt").encode(china[:32, :32])


def test_auto_does_not_hide_what_the_user_can_mend(stand_in, china):
    stand_in("tensorrt", Fails)
    with pytest.raises(AdainError, match="the engine is damaged"):
        Stylizer().encode(china[:32, :32])


def test_the_settings_reach_the_backend(stand_in, china):
    taken = []

    class Notes(Works):
        def __init__(self, directory, precision, settings) -> None:
            taken.append(settings)
            super().__init__(directory, precision, settings)

    stand_in("tensorrt", Notes)
    settings = Settings(engines=LITE, trust_engines=True, cuda_graph=False)
    Stylizer(backend="tensorrt", settings=settings).encode(china[:32, :32])
    assert taken == [settings]


def test_what_stays_on_the_gpu_is_the_picture_that_a_whole_call_makes(stand_in, china):
    stand_in("tensorrt", OnDevice)
    stylizer = Stylizer(backend="tensorrt")
    style, batch = stylizer.encode(china[:64, :64]), np.stack([china[:64, :96], china[64:128, :96]])
    expected = stylizer.stylize(batch, style, strength=0.5)
    np.testing.assert_array_equal(stylizer.stylize_on_device(batch, style, strength=0.5), expected)
    out = np.empty_like(batch)
    assert stylizer.stylize_on_device(batch, style, strength=0.5, out=out) is out
    np.testing.assert_array_equal(out, expected)


def test_a_processor_takes_no_arrays_on_a_gpu(china):
    stylizer = Stylizer(backend="onnxruntime")
    style = stylizer.encode(china[:64, :64])
    with pytest.raises(AdainError, match="backend onnxruntime does not take arrays on a GPU"):
        stylizer.stylize_on_device(china[None, :64, :64], style)
    with pytest.raises(AdainError, match="from 0 to 1"):
        stylizer.stylize_on_device(china[None, :64, :64], style, strength=2)


@pytest.mark.parametrize("name", ON_GPU)
def test_a_backend_on_a_gpu_does_not_compute_in_int8(name):
    with pytest.raises(AdainError, match=f"{name} does not compute in int8; .*`backend` openvino or onnxruntime"):
        open_backend(name, LITE, "int8")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_processor_does_not_compute_in_fp16(name):
    with pytest.raises(AdainError, match=f"{name} does not compute in fp16; .*`backend` tensorrt or"):
        open_backend(name, LITE, "fp16")


@pytest.mark.skipif(cuda.hindrance() is None, reason="a GPU is here")
@pytest.mark.parametrize("name", ON_GPU)
def test_without_a_gpu_each_backend_says_why_and_what_would_help(name):
    why = candidates()[name]
    assert why is not None
    assert "GPU" in why or "pip install" in why
    with pytest.raises(AdainError, match=f"backend '{name}' cannot run here"):
        choose(name)


def test_auto_chooses_a_precision_that_the_backend_has(monkeypatch):
    monkeypatch.setitem(BACKENDS, "onnxruntime", replace(BACKENDS["onnxruntime"], precisions=("fp32",)))
    assert Stylizer(backend="onnxruntime").precision == "fp32"
