"""Why a backend cannot run here: found out quickly, without loading its library."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from adain_rt.backends import hindrances
from adain_rt.backends.onnxruntime import quiet


@pytest.mark.parametrize("library", ["libonnxruntime_providers_cuda.so", "onnxruntime_providers_cuda.dll"])
def test_onnxruntime_is_for_gpus_if_its_library_for_cuda_is_there(library, tmp_path, monkeypatch):
    package = tmp_path / "onnxruntime" / "__init__.py"
    (package.parent / "capi").mkdir(parents=True)
    package.touch()
    monkeypatch.setattr(hindrances, "find_spec", lambda _: SimpleNamespace(origin=str(package)))
    monkeypatch.setattr(quiet.onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert "pip install onnxruntime-gpu" in str(hindrances.check_onnxruntime_gpu("CUDAExecutionProvider"))
    (package.parent / "capi" / library).touch()
    why = "the ONNX Runtime here has no CUDAExecutionProvider"
    assert hindrances.check_onnxruntime_gpu("CUDAExecutionProvider") == why


def test_without_onnxruntime_the_line_that_installs_it_is_given(monkeypatch):
    monkeypatch.setattr(hindrances, "find_spec", lambda _: None)
    assert "pip install onnxruntime-gpu" in str(hindrances.check_onnxruntime_gpu("CUDAExecutionProvider"))
