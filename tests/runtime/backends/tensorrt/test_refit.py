"""Weights put into an engine that was built without them; the library, which needs a GPU for it, is a stand-in."""

from __future__ import annotations

import sys
from pathlib import Path
from unittest.mock import MagicMock

import pytest

from adain_export.graphs.engine_graph import engine_graph
from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt.backends.tensorrt import flavors
from adain_rt.backends.tensorrt.engine_file import EngineFile
from adain_rt.backends.tensorrt.manifest import Manifest, Origin, Recipe
from adain_rt.backends.tensorrt.refit import refit

LITE = store.model_dir("lite")
RECIPE = Recipe("tensorrt", "fp16", (), weights="stripped", upsampling="phases")
FILE = EngineFile(Path("e.engine"), Manifest(Origin("encode", "", {}), RECIPE, "", "", "", "", "", 0, ()), trust=False)


@pytest.fixture
def library(monkeypatch) -> MagicMock:
    """The stand-in; it accepts weights."""
    trt = MagicMock(name="tensorrt")
    monkeypatch.setattr(flavors, "library", lambda _: trt)
    monkeypatch.setattr(flavors, "logger", lambda _: "the logger")
    return trt


def test_the_weights_are_those_of_the_graph_that_the_engine_was_built_from(library):
    refit("the engine", FILE, LITE)
    library.Refitter.assert_called_once_with("the engine", "the logger")
    library.OnnxParserRefitter.assert_called_once_with(library.Refitter.return_value, "the logger")
    graph = engine_graph(LITE, "encode", "fp16", "phases")
    library.OnnxParserRefitter.return_value.refit_from_bytes.assert_called_once_with(graph)
    library.Refitter.return_value.refit_cuda_engine.assert_called_once_with()


@pytest.mark.parametrize("failing", ["parser", "refitter"])
def test_weights_that_do_not_fit_are_an_error_that_names_the_engine(library, failing):
    step = {
        "parser": library.OnnxParserRefitter.return_value.refit_from_bytes,
        "refitter": library.Refitter.return_value.refit_cuda_engine,
    }[failing]
    step.return_value = False
    with pytest.raises(AdainError, match=r"e\.engine: the model's weights do not fit it; build it again"):
        refit("the engine", FILE, LITE)


def test_what_is_missing_is_said(library, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx_ir", None)
    for name in [name for name in sys.modules if name.startswith("adain_export")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(AdainError, match=r"onnx_ir is needed: pip install 'adain-rt\[tensorrt\]'"):
        refit("the engine", FILE, LITE)
