"""The PyTorch backend: its networks on the processor against the float64 reference, its logic on a fake GPU."""

from __future__ import annotations

import ctypes
import math
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tests.agreement import check, expected
from tests.inputs import random_inputs
from tests.runtime.fake_cuda import FakeArray, FakeCuda
from torch import nn

from adain_models.errors import AdainError
from adain_models.networks.base import Decoder, Network
from adain_models.weights import checkpoint, store
from adain_rt.backends import BACKENDS, Settings, open_backend
from adain_rt.backends.plans import Lane
from adain_rt.backends.torch import backend as module
from adain_rt.backends.torch import plain
from adain_rt.backends.torch.maps import Map
from adain_rt.backends.torch.network import FusedNetwork
from adain_rt.contract import GRAPHS
from adain_rt.errors import UnusableBackend

LITE = store.model_dir("lite")


class FakeLane(module.TorchLane):
    """A lane on the fake GPU: PyTorch's work is put on its streams, and its tensors are in its memory."""

    def __init__(self, cuda: FakeCuda) -> None:
        Lane.__init__(self, cuda)

    def compute(self, work) -> None:
        def later() -> None:
            with torch.inference_mode():
                work()

        self.cuda.put(self.stream.handle, later)

    capture = Lane.capture
    launch = Lane.launch
    clear = Lane.clear

    def tensor(self, spec, shape, address) -> torch.Tensor:
        nbytes = math.prod(shape) * np.dtype(spec.dtype).itemsize
        memory = (ctypes.c_ubyte * nbytes).from_address(address)
        return torch.frombuffer(memory, dtype=getattr(torch, spec.dtype)).view(shape)


class OnFakeGpu(module.TorchBackend):
    """The backend with its lanes on the fake GPU, and its network on the processor."""

    device = "cpu"

    def __init__(self, cuda: FakeCuda, precision: str = "fp32", **settings: object) -> None:
        self._fake = cuda
        super().__init__(LITE, precision, Settings(**settings))

    def _find_gpu(self) -> FakeCuda:
        return self._fake

    def _new_lane(self) -> FakeLane:
        return FakeLane(self._fake)


@pytest.fixture
def fake() -> FakeCuda:
    return FakeCuda()


@pytest.fixture(scope="module")
def exact() -> Network:
    return checkpoint.load(LITE / store.WEIGHTS_NAME).double()


@pytest.fixture
def image(china, flower) -> np.ndarray:
    return np.stack([china[200:264, 100:148], flower[200:264, 100:148]])


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_every_graph_agrees_with_the_float64_reference(fake, exact, graph, precision, image):
    backend = OnFakeGpu(fake, precision)
    for seed in range(4):  # plain, captured, replayed, with new numbers each time
        inputs = random_inputs(graph, np.roll(image, 9 * seed, axis=1), seed=seed)
        check(graph, precision, backend.run(graph, inputs), expected(exact, graph, inputs))


@pytest.mark.parametrize("size", [(16, 16), (16, 200), (128, 96)])
def test_every_size_agrees_with_the_float64_reference(fake, exact, china, size):
    inputs = random_inputs("stylize", np.ascontiguousarray(china[None, : size[0], : size[1]]))
    check("stylize", "fp32", OnFakeGpu(fake).run("stylize", inputs), expected(exact, "stylize", inputs))


@pytest.mark.parametrize("graph", GRAPHS)
def test_the_papers_network_agrees_with_the_float64_reference(vgg19, graph, china):
    fused, exact = FusedNetwork(vgg19, torch.float32, "cpu"), vgg19.double()
    inputs = random_inputs(graph, np.ascontiguousarray(china[None, 200:248, 100:164]), channels=exact.channels)
    wanted = expected(exact, graph, inputs)
    vgg19.float()
    names = [tensor.name for tensor in GRAPHS[graph].outputs]
    outputs = {name: torch.empty(each.shape, dtype=torch.uint8 if each.dtype == np.uint8 else torch.float32)
               for name, each in zip(names, wanted, strict=True)}  # fmt: skip
    with torch.inference_mode():
        fused.run(graph, {name: torch.from_numpy(array) for name, array in inputs.items()}, outputs)
    check(graph, "fp32", tuple(each.numpy() for each in outputs.values()), wanted)


class Odd(Network):
    """A network of layers in unusual orders, some of kinds that are not known."""

    channels = 8

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        reflect = {"padding": 1, "padding_mode": "reflect"}
        self.encoder = nn.Sequential(
            nn.Conv2d(3, 8, 3, **reflect), nn.MaxPool2d(2), nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1), nn.LeakyReLU(), nn.Conv2d(8, 8, 3, groups=2, **reflect),
        )  # fmt: skip
        self.decoder = Decoder(
            nn.Upsample(scale_factor=2, mode="nearest"), nn.ReLU(), nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Upsample(scale_factor=2, mode="bilinear"),
            nn.Conv2d(8, 12, 3, padding=2, padding_mode="replicate"), nn.AvgPool2d(3, 1), nn.ReLU(),
            nn.Conv2d(12, 3, 1),
        )  # fmt: skip

    def for_bytes(self) -> Network:
        folded = Odd()
        with torch.no_grad():
            folded.encoder[0].weight.div_(255)
            folded.decoder[-1].weight.mul_(255)
            folded.decoder[-1].bias.mul_(255)
        return folded


def test_layers_in_any_order_and_of_any_kind_agree_with_the_reference(china):
    odd = Odd()
    inputs = random_inputs("stylize", np.ascontiguousarray(china[None, :48, :64]), channels=8)
    out = torch.empty(1, 48, 64, 3, dtype=torch.uint8)
    with torch.inference_mode():
        fused = FusedNetwork(odd, torch.float32, "cpu")
        fused.run("stylize", {name: torch.from_numpy(array) for name, array in inputs.items()}, {"stylized": out})
    (wanted,) = expected(odd.double(), "stylize", inputs)
    assert wanted.std() > 10
    check("stylize", "fp32", (out.numpy(),), (wanted,))


def test_no_convolution_reads_what_is_infinite():
    infinite = torch.full((1, 8, 4, 4), math.inf, dtype=torch.float16)
    for x in (Map(infinite), Map(-infinite, bias=torch.ones(8)), Map(infinite, skip=infinite, relu=True)):
        assert plain.between(x, 1).isfinite().all()


def test_a_weight_that_is_no_half_is_refused(lite):
    large = checkpoint.load(LITE / store.WEIGHTS_NAME)
    with torch.no_grad():
        large.encoder.down1.weight[0, 0, 0, 0] = 1e6
    with pytest.raises(AdainError, match="a number that is too large for float16; use fp32"):
        FusedNetwork(large, torch.float16, "cpu")


def test_the_first_run_is_plain_the_second_is_captured_and_the_others_replay_it(fake, image):
    backend, inputs = OnFakeGpu(fake), random_inputs("stylize", image)
    backend.run("stylize", inputs)
    assert not {"capture", "launch"} & set(fake.calls)
    backend.run("stylize", inputs)
    fake.calls.clear()
    backend.run("stylize", inputs)
    assert fake.calls == ["launch", "synchronize"]  # copies and all


def test_arrays_on_the_gpu_are_read_and_written_where_they_are(fake, exact, image):
    backend, inputs = OnFakeGpu(fake), random_inputs("stylize", image)
    wanted = expected(exact, "stylize", inputs)
    content, target = FakeArray(fake, image), FakeArray(fake, np.zeros_like(image))
    for _ in range(4):  # captured as well, as all is where it was
        (made,) = backend.run_on_device("stylize", inputs | {"image": content}, {"stylized": target}, stream=1)
        assert made is target
        check("stylize", "fp32", (target.numpy(),), wanted)
    assert "capture" in fake.calls


def test_arrays_that_are_elsewhere_each_time_are_copied_and_the_rest_is_replayed(fake, exact, image):
    backend, kept = OnFakeGpu(fake), []
    for seed in range(5):
        inputs = random_inputs("stylize", np.roll(image, 9 * seed, axis=2), seed=seed)
        kept.append(FakeArray(fake, inputs["image"]))
        fake.calls.clear()
        (made,) = backend.run_on_device("stylize", inputs | {"image": kept[-1]})
        wanted = expected(exact, "stylize", inputs)
        check("stylize", "fp32", (fake.view(made.address, image.nbytes).reshape(image.shape),), wanted)
    assert fake.calls.count("launch") == 1
    assert fake.calls.count("copy") == 2


def test_threads_at_once_make_what_one_makes(fake, image):
    backend = OnFakeGpu(fake)
    pictures = [random_inputs("stylize", np.roll(image, 7 * seed, axis=2), seed=seed) for seed in range(4)]
    alone = [backend.run("stylize", inputs)[0] for inputs in pictures]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda inputs: backend.run("stylize", inputs)[0], pictures * 3))
    for one, other in zip(made, alone * 3, strict=True):
        np.testing.assert_array_equal(one, other)


def test_closed_it_holds_nothing_on_the_gpu(fake, image):
    backend, inputs = OnFakeGpu(fake), random_inputs("stylize", image)
    for _ in range(2):
        backend.run("stylize", inputs)
    backend.close()
    assert (fake.memory, fake.pinned, fake.events, fake.graphs) == ({}, {}, {}, {})
    assert backend._network is None


def test_a_run_under_way_as_it_is_closed_ends_and_frees_its_lane(fake, image, monkeypatch):
    backend, inputs = OnFakeGpu(fake), random_inputs("stylize", image)
    expected = backend.run("stylize", inputs)
    settle = FakeLane.settle

    def settle_late(lane: FakeLane) -> None:
        monkeypatch.setattr(FakeLane, "settle", settle)
        backend.close()
        settle(lane)

    monkeypatch.setattr(FakeLane, "settle", settle_late)
    np.testing.assert_array_equal(backend.run("stylize", inputs)[0], expected[0])
    assert (fake.memory, fake.pinned) == ({}, {})


def test_the_facts_are_the_graphs_own(fake):
    assert OnFakeGpu(fake).facts("stylize") == open_backend("onnxruntime", LITE).facts("stylize")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": np.zeros((2, 60, 48, 3), np.uint8)}, "multiples of 8 and at least 16, not 48x60 pixels"),
        ({"image": np.zeros((2, 8, 48, 3), np.uint8)}, "multiples of 8 and at least 16, not 48x8 pixels"),
        (
            {name: np.ones((2, 64), np.float32) for name in ("style_mean", "style_std")},
            "128 channels, and the style 64",
        ),
        ({"strength": np.ones(2)}, r"failed in torch \(strength must be float32, not float64\)"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(fake, image, change, said):
    with pytest.raises(AdainError, match=said) as caught:
        OnFakeGpu(fake).run("stylize", random_inputs("stylize", image) | change)
    assert "\n" not in str(caught.value)


def test_too_large_a_picture_is_one_line_with_the_size_that_would_fit(image, monkeypatch):
    fake = FakeCuda(16 << 20)
    backend = OnFakeGpu(fake)
    small = random_inputs("stylize", image)
    (before,) = backend.run("stylize", small)
    lacks = np.zeros((1, 1024, 1024, 3), np.uint8)

    def run(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate\nmore")

    with monkeypatch.context() as patch:
        patch.setattr(FusedNetwork, "run", run)
        patch.setattr(FakeLane, "compute", lambda _, work: work())
        with pytest.raises(AdainError, match=r"\A1024x1024 pixels .* GPU memory, .* \d+ pixels"):
            backend.run("stylize", random_inputs("stylize", lacks))
    np.testing.assert_array_equal(backend.run("stylize", small)[0], before)


def test_an_error_of_pytorchs_is_one_line(fake, image, monkeypatch):
    def run(*_: object) -> None:
        raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED\nand where")

    monkeypatch.setattr(FusedNetwork, "run", run)
    monkeypatch.setattr(FakeLane, "compute", lambda _, work: work())
    with pytest.raises(AdainError, match=r"\Athe graph stylize failed in PyTorch \(cuDNN error: \w+\)\Z"):
        OnFakeGpu(fake).run("stylize", random_inputs("stylize", image))


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_a_pytorch_that_sees_no_gpu_is_unusable():
    with pytest.raises(UnusableBackend, match=r"\Athe PyTorch here \(.*\) sees no GPU\Z"):
        open_backend("torch", LITE, "fp16")


def test_a_pytorch_that_does_not_load_is_unusable(monkeypatch):
    monkeypatch.delitem(sys.modules, module.__name__)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnusableBackend, match="PyTorch cannot be loaded"):
        open_backend("torch", LITE, "fp16")


def test_what_hinders_it_is_found_without_loading_pytorch(monkeypatch):
    hindrances = "adain_rt.backends.hindrances"
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.13.0+cpu")
    assert BACKENDS["torch"].hindrance() == "the PyTorch here (2.13.0+cpu) is not for GPUs"
    monkeypatch.setattr(f"{hindrances}.find_spec", lambda _: None)
    assert BACKENDS["torch"].hindrance() == "not installed: pip install 'adain-rt[torch]'"
    monkeypatch.setattr(f"{hindrances}.find_spec", lambda _: SimpleNamespace())
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.13.0")
    monkeypatch.setattr("adain_rt.cuda.hindrance", lambda: None)
    assert BACKENDS["torch"].hindrance() is None
