"""Pictures and models that several tests use, and the choice of the fast tests.

Nothing here imports PyTorch or a backend before a test needs it.
"""

from __future__ import annotations

import ast
import os
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from tests.photos import sample

from adain_models.weights import store
from adain_rt.contract import Pixels, has_graphs
from adain_rt.stylizer import Stylizer

if TYPE_CHECKING:
    from adain_models.networks.base import Network

SLOW_PACKAGES = ("torch", "openvino", "pyvips", "tensorrt", "tensorrt_rtx", "tritonclient", "ray", "pyarrow")
"""The packages that the extra ``dev`` leaves out. ``pytest --fast`` hides them where they are installed."""

SLOW_MODULES = (
    *SLOW_PACKAGES,
    "adain_bench.measure.exactness",
    "adain_bench.measure.paper",
    "adain_export.tensorrt.build",
    "adain_export.torch",
    "adain_export.triton",
    "adain_models.adain",
    "adain_models.networks",
    "adain_models.reference",
    "adain_models.training",
    "adain_models.weights.checkpoint",
    "adain_rt.backends.openvino",
    "adain_rt.backends.torch",
    "tests.agreement",
)
"""A test file that imports one of these at its top is not fast."""

SLOW_FIXTURES = {"lite", "vgg19", "vgg19_dir", "narrow_teacher"}
"""A test that uses one of these is not fast: they are made with PyTorch."""


WORKER = "PYTEST_XDIST_WORKER"
"""The variable that pytest-xdist gives each of several processes that test at once."""

if WORKER in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # PyTorch's threads spin while they wait for cores that other workers have


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="leave out slow tests and those that need PyTorch or OpenVINO")


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background jobs ignore it, as would their children
    if find_spec("hypothesis") is not None:  # the machine of a GPU may have pytest alone
        from hypothesis import settings

        settings.register_profile("tests", settings.default, deadline=None)  # the machine may be busy
        settings.load_profile("tests")
    if config.getoption("fast"):
        sys.modules.update(dict.fromkeys(SLOW_PACKAGES))  # an import of them now fails, as if they were not installed


def pytest_report_header(config: pytest.Config) -> str | None:
    return "fast: without slow tests and what needs PyTorch, OpenVINO or TensorRT" if config.getoption("fast") else None


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave a file that imports a slow module out of the fast tests."""
    if config.getoption("fast") and collection_path.suffix == ".py" and _imports_slow_module(collection_path):
        return True
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave a test that is marked slow, or uses a slow fixture, out of the fast tests."""
    if config.getoption("fast"):
        slow = [item for item in items if item.get_closest_marker("slow") or SLOW_FIXTURES & {*item.fixturenames}]
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if item not in slow]


def _imports_slow_module(path: Path) -> bool:
    """Return whether a file imports a slow module at its top. A test that imports one itself is marked slow."""
    names = []
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return any(f"{name}.".startswith(f"{slow}.") for name in names for slow in SLOW_MODULES)


@pytest.fixture(scope="session")
def china() -> Pixels:
    """A photograph, uint8 (427, 640, 3)."""
    return sample("china.jpg")


@pytest.fixture(scope="session")
def flower() -> Pixels:
    """Another, of the same size."""
    return sample("flower.jpg")


@pytest.fixture(scope="session")
def lite() -> Network:
    """The bundled network, float32."""
    from adain_models.weights import checkpoint

    return checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME)


@pytest.fixture(scope="session")
def vgg19_width() -> int:
    """The channels of the first block: a quarter of the paper's. The tests for GPUs have all 64."""
    return 16


@pytest.fixture(scope="session")
def vgg19(china: Pixels, vgg19_width: int) -> Network:
    """The paper's network with random weights that make pictures out of pictures."""
    from adain_bench.contenders.random_weights import randomize
    from adain_models.networks.vgg19 import Vgg19

    network = Vgg19(vgg19_width)
    randomize(network, china[:128, :128])
    return network.eval()


@pytest.fixture(scope="session")
def vgg19_dir(vgg19: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory of ``vgg19``, exported: by one of the processes that test at once, for all of them."""
    from adain_export.torch.export import export_model
    from adain_models.weights import checkpoint

    of_this_process = tmp_path_factory.getbasetemp()
    directory = (of_this_process.parent if WORKER in os.environ else of_this_process) / "vgg19-random"
    with FileLock(f"{directory}.lock"):
        if not has_graphs(directory, "fp32"):
            checkpoint.save(vgg19, directory / store.WEIGHTS_NAME)
            list(export_model(directory, "vgg19-random", directory))
    return directory


@pytest.fixture(scope="session")
def stylizer() -> Stylizer:
    """The bundled model on the default backend."""
    return Stylizer()


@pytest.fixture(scope="session")
def narrow_teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of VGG-19's layers, few channels wide, with random weights."""
    import torch
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(0)
    tensors, inputs = {}, 3
    for name, outputs in {"1_1": 8, "1_2": 8, "2_1": 12, "2_2": 12, "3_1": 16, "3_2": 16, "3_3": 16, "3_4": 16}.items():
        weight = torch.randn(outputs, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
        tensors |= {f"conv{name}.weight": weight, f"conv{name}.bias": torch.zeros(outputs)}
        inputs = outputs
    path = tmp_path_factory.mktemp("teacher") / "narrow.safetensors"
    save_file(tensors, path)
    return path
