"""Weights put into an engine that was built without them; the library, which needs a GPU for it, is a stand-in."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

import pytest
from tests.runtime.backends.tensorrt.engines_on_disk import FACTS, LITE

from adain_models.errors import AdainError
from adain_rt.backends.tensorrt import refit as refit_module
from adain_rt.backends.tensorrt.engine_file import EngineFile
from adain_rt.backends.tensorrt.flavors import Flavor
from adain_rt.backends.tensorrt.manifest import Manifest, Origin, Recipe
from adain_rt.backends.tensorrt.refit import refit

RECIPE = Recipe("tensorrt", "fp16", (), weights="stripped", upsampling="phases")
MANIFEST = Manifest(Origin("encode", "", FACTS), RECIPE, "", "", "", "", "", 0, ())
FILE = EngineFile(Path("e.engine"), MANIFEST, trust=False)


@pytest.fixture
def library(monkeypatch) -> MagicMock:
    """The stand-in; it accepts weights."""
    trt = MagicMock(name="tensorrt")
    monkeypatch.setattr(Flavor, "library", lambda _: trt)
    monkeypatch.setattr(Flavor, "logger", lambda _: "the logger")
    return trt


@pytest.fixture
def builder() -> MagicMock:
    """A builder, whose graphs are five bytes."""
    fake = MagicMock(name="builder")
    fake.engine_graph.return_value = b"graph"
    return fake


def test_the_weights_are_those_of_the_graph_that_the_engine_was_built_from(library, builder):
    refit("the engine", FILE, LITE, builder)
    library.Refitter.assert_called_once_with("the engine", "the logger")
    library.OnnxParserRefitter.assert_called_once_with(library.Refitter.return_value, "the logger")
    builder.engine_graph.assert_called_once_with(LITE, "encode", "fp16", "phases")
    library.OnnxParserRefitter.return_value.refit_from_bytes.assert_called_once_with(b"graph")
    library.Refitter.return_value.refit_cuda_engine.assert_called_once_with()


@pytest.mark.parametrize("failing", ["parser", "refitter"])
def test_weights_that_do_not_fit_are_an_error_that_names_the_engine(library, builder, failing):
    step = {
        "parser": library.OnnxParserRefitter.return_value.refit_from_bytes,
        "refitter": library.Refitter.return_value.refit_cuda_engine,
    }[failing]
    step.return_value = False
    with pytest.raises(AdainError, match=r"e\.engine: the model's weights do not fit it; build it again"):
        refit("the engine", FILE, LITE, builder)


def test_the_builder_that_is_installed_is_asked_by_default(library, builder, monkeypatch):
    purposes = []
    monkeypatch.setattr(refit_module, "load_builder", lambda purpose: purposes.append(purpose) or builder)
    refit("the engine", FILE, LITE)
    assert purposes == ["e.engine: an engine without weights"]
    library.OnnxParserRefitter.return_value.refit_from_bytes.assert_called_once_with(b"graph")
