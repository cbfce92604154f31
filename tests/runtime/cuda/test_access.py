"""Access to CUDA: the interface, and one line that says why there is none."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.runtime.fake_cuda import FakeCuda

from adain_models.errors import AdainError
from adain_rt import cuda


def test_nothing_installed_is_one_line_that_installs_it(monkeypatch):
    monkeypatch.setattr(cuda, "_is_installed", lambda _: False)
    assert cuda.hindrance() == "there is no access to CUDA; pip install cuda-bindings"


def test_a_broken_installation_is_one_line(monkeypatch):
    monkeypatch.setattr(cuda, "_is_installed", lambda package: package == "pycuda")
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.delitem(sys.modules, "adain_rt.cuda.pycuda", raising=False)
    said = cuda.hindrance()
    assert said is not None
    assert said.startswith("pycuda cannot be loaded (")
    assert "\n" not in said


def test_on_this_machine_what_is_true_is_said():
    """For real: a GPU is opened, or one line says why none is."""
    said = cuda.hindrance()
    if said is None:
        assert cuda.open_cuda().gpu.total_bytes > 0
    else:
        assert said.startswith(
            ("no NVIDIA GPU is here, or its driver is missing or too old: ", "there is no access to CUDA; ")
        )
        assert "\n" not in said
        with pytest.raises(AdainError):
            cuda.open_cuda()


def test_the_light_runtime_loads_nothing_of_it():
    code = (
        "import sys, adain_rt, adain_rt.cli; from adain_rt import Stylizer; "
        "print([name for name in ('cuda', 'pycuda', 'tensorrt', 'tensorrt_rtx', 'torch', 'onnxruntime', "
        "'adain_rt.cuda') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout == "[]\n"


def test_the_modules_are_the_interface():
    """What both offer is what ``Cuda`` asks for, and what the fake pretends."""
    wanted = {name for name in vars(cuda.Cuda) if not name.startswith("_")} | {"gpu", "can_capture"}
    offered = {name for name in dir(FakeCuda()) if not name.startswith("_")}
    assert wanted <= offered
