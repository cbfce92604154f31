"""The engine builder that is found by its entry point."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from adain_models.errors import AdainError
from adain_rt.backends import builder
from adain_rt.backends.builder import load_builder


def install(monkeypatch, load) -> None:
    """Let one builder be installed."""
    monkeypatch.setattr(builder, "entry_points", lambda **_: [SimpleNamespace(load=load)])


def test_the_export_registers_its_builder():
    built = load_builder("fp16")
    assert type(built).__module__ == "adain_export.tensorrt.builder"


def test_a_builder_is_made_by_what_the_entry_point_names(monkeypatch):
    install(monkeypatch, lambda: lambda: "a builder")
    assert load_builder("fp16") == "a builder"


def test_a_package_that_the_builder_needs_is_named_with_the_line_that_installs_it(monkeypatch):
    def load() -> None:
        raise ModuleNotFoundError("No module named 'onnx_ir'", name="onnx_ir")

    install(monkeypatch, load)
    with pytest.raises(AdainError, match=r"\Afp16 needs onnx_ir; pip install 'adain-rt\[engines\]'\Z"):
        load_builder("fp16")


def test_where_no_builder_is_installed_one_line_says_what_installs_it(monkeypatch):
    monkeypatch.setattr(builder, "entry_points", lambda **_: [])
    with pytest.raises(AdainError, match=r"\Afp16 needs an engine builder; pip install 'adain-rt\[engines\]'\Z"):
        load_builder("fp16")
