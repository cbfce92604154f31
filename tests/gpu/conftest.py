"""What the tests on a GPU share: the backends that can run here, each with engines of the tests' own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from adain_models.weights import store
from adain_rt import cuda
from adain_rt.backends import BACKENDS, Backend, Settings, open_backend
from adain_rt.backends.tensorrt.flavors import FLAVORS
from adain_rt.contract import GRAPHS
from adain_rt.errors import UnusableBackend

LITE = store.model_dir("lite")

Open = Callable[..., Backend]


@pytest.fixture(scope="session")
def vgg19_width() -> int:
    """The paper's network at its full size."""
    return 64


@pytest.fixture(scope="session", autouse=True)
def _gpu() -> None:
    """Skip all of it where there is no GPU."""
    if hindrance := cuda.hindrance():
        pytest.skip(hindrance)


@pytest.fixture(scope="session", autouse=True)
def cache(_gpu, tmp_path_factory) -> Iterator[Path]:
    """A cache for the whole session: an engine is built once."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(store.CACHE_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="session", params=[name for name, spec in BACKENDS.items() if spec.device == "gpu"])
def name(_gpu, request) -> str:
    """The name of each backend on a GPU that can run here."""
    if hindrance := BACKENDS[request.param].hindrance():
        pytest.skip(hindrance)
    return request.param


@pytest.fixture(scope="session", params=[name for name, spec in BACKENDS.items() if spec.on_device])
def on_device(_gpu, request) -> str:
    """The name of each backend that can run here and takes arrays on the GPU."""
    if hindrance := BACKENDS[request.param].hindrance():
        pytest.skip(hindrance)
    return request.param


@pytest.fixture(scope="session", params=FLAVORS)
def flavor(_gpu, request) -> str:
    """The name of each TensorRT that is installed."""
    if not FLAVORS[request.param].installed:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="session")
def opened() -> Open:
    """Open a backend, once for each kind; skip where it proves unusable on this chip."""
    kept: dict[object, Backend] = {}

    def opened(name: str, precision: str = "fp32", directory: Path = LITE, **settings: object) -> Backend:
        key = (name, precision, directory, tuple(settings.items()))
        if key not in kept:
            try:
                backend = open_backend(name, directory, precision, Settings(**settings))  # type: ignore[arg-type]
                backend.open("stylize")
            except UnusableBackend as error:
                pytest.skip(str(error))
            kept[key] = backend
        return kept[key]

    return opened


@pytest.fixture
def inputs_of(china, flower) -> Callable[..., dict[str, np.ndarray]]:
    """Make inputs for a graph: photographs of a size, and styles of no picture."""

    def inputs_of(
        graph: str, height: int, width: int, count: int = 1, seed: int = 0, channels: int = 128
    ) -> dict[str, np.ndarray]:
        generator = np.random.default_rng(seed)
        photos = [np.pad(photo, [(0, max(0, height - 427)), (0, max(0, width - 640)), (0, 0)], mode="wrap")
                  for photo in (china, flower)]  # fmt: skip
        image = np.stack(
            [np.roll(photos[place % 2], 31 * (place + seed), 1)[:height, :width] for place in range(count)]
        )
        sizes = {"N": count, "H": height, "W": width, "R": 2, "C": channels}
        made = {}
        for tensor in GRAPHS[graph].inputs:
            shape = tuple(sizes.get(size, size) for size in tensor.shape)
            spread = (0.0, 0.5) if tensor.name.endswith("mean") else (0.2, 0.8)
            made[tensor.name] = generator.uniform(*spread, shape).astype(tensor.dtype)
        if "masks" in made:
            made["masks"][...] = 0
            made["masks"][:, 0, :, : width // 2], made["masks"][:, 1, height // 4 :, width // 3 :] = 255, 130
        return made | {"image": np.ascontiguousarray(image)}

    return inputs_of
