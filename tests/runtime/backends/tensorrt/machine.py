"""A machine with a fake GPU and a fake TensorRT, which compute on the host what engines would."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tests.runtime.fake_cuda import FakeArray, FakeCuda
from tests.runtime.fake_tensorrt import FakeTensorRt

from adain_models.weights import store
from adain_rt.backends import Settings
from adain_rt.backends.tensorrt.backend import TensorRtBackend, TensorRtRtxBackend
from adain_rt.cuda.arrays import DeviceArray

LITE = store.model_dir("lite")
BACKENDS = {"tensorrt": TensorRtBackend, "tensorrt-rtx": TensorRtRtxBackend}


@dataclass
class Machine:
    """A fake GPU with a fake TensorRT."""

    cuda: FakeCuda
    trt: FakeTensorRt

    def open(self, flavor: str = "tensorrt", **settings: object):
        return BACKENDS[flavor](LITE, "fp32", Settings(**settings))

    def put(self, inputs: dict[str, np.ndarray], stream: int = 1) -> dict[str, FakeArray]:
        """Put inputs on the GPU, by work that is on a stream."""
        return {name: FakeArray(self.cuda, value, stream) for name, value in inputs.items()}

    def read(self, array: DeviceArray) -> np.ndarray:
        """Return what is in an array of ours now, without waiting for anything."""
        nbytes = int(np.prod(array.shape)) * array.dtype.itemsize
        return self.cuda.view(array.address, nbytes).view(array.dtype).reshape(array.shape).copy()


def assert_same(one, other) -> None:
    for left, right in zip(one, other, strict=True):
        np.testing.assert_array_equal(left, right)
        assert left.dtype == right.dtype
