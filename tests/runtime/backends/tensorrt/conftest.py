"""The fake machine, and what its pictures are compared with."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tests.runtime.backends.tensorrt.machine import LITE, Machine
from tests.runtime.fake_cuda import FakeCuda
from tests.runtime.fake_tensorrt import FakeEngines, FakeTensorRt

from adain_models.weights import store
from adain_rt.backends import open_backend
from adain_rt.backends.tensorrt import backend
from adain_rt.backends.tensorrt.flavors import Flavor


@pytest.fixture
def machine(monkeypatch, tmp_path) -> Iterator[Machine]:
    cuda = FakeCuda()
    trt = FakeTensorRt(cuda)
    monkeypatch.setenv(store.CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(backend, "open_cuda", lambda: cuda)
    monkeypatch.setattr(backend, "Engines", FakeEngines)
    monkeypatch.setattr(Flavor, "library", lambda _: trt)
    monkeypatch.setattr(Flavor, "logger", lambda _: None)
    yield Machine(cuda, trt)
    assert cuda.freed_early == 0


@pytest.fixture(scope="module")
def plain():
    """The backend that runs the same graphs without a GPU."""
    return open_backend("onnxruntime", LITE)


@pytest.fixture
def image(china) -> np.ndarray:
    return np.ascontiguousarray(china[None, 200:248, 100:164])
