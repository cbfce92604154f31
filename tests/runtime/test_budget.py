"""What is computed at once: pictures that fit as ever, others in tiles, within the memory that is allowed."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from adain_models.errors import AdainError
from adain_rt import Stylizer
from adain_rt.auto import OpenGraph
from adain_rt.backends import BACKENDS
from adain_rt.budget import Budget
from adain_rt.contract import GraphFacts
from adain_rt.errors import too_large

MB = 1 << 20
GB = 1 << 30


@pytest.fixture
def free(monkeypatch) -> list[int | None]:
    """How many bytes are free, which a test may change."""
    left: list[int | None] = [64 * GB]
    monkeypatch.setattr("adain_rt.machine.memory.available_bytes", lambda: left[0])
    return left


def graph(on_gpu: bool = False, per_pixel: float = 500.0, halo: int = 112) -> OpenGraph:
    """A graph, and nothing that runs it."""
    facts = GraphFacts("lite", "0" * 64, 2, 128, "fp32", 250, halo)
    return OpenGraph("stylize_fixed", facts, None, "none", per_pixel, on_gpu)  # type: ignore[arg-type]


def test_a_picture_that_takes_less_than_2_gib_is_computed_at_once(free):
    assert Budget().fits(graph(), (1, 2000, 2000, 3))
    assert not Budget().fits(graph(), (1, 2100, 2100, 3))
    assert Budget(memory=4 * GB).fits(graph(), (1, 2100, 2100, 3))
    assert not Budget(memory=GB).fits(graph(), (1, 2000, 2000, 3))


def test_what_is_free_bounds_it_too(free):
    free[0] = GB
    assert not Budget().fits(graph(), (1, 2000, 2000, 3))
    assert not Budget(memory=4 * GB).fits(graph(), (1, 2000, 2000, 3))
    free[0] = None  # a system that does not say
    assert Budget().fits(graph(), (1, 2000, 2000, 3))


def test_off_never_splits_and_refuses_what_does_not_fit(free):
    assert Budget("off").fits(graph(), (1, 8000, 8000, 3))
    free[0] = GB
    with pytest.raises(AdainError, match=r"8000x8000 pixels may take 32.0 GB of memory, and 1.1 GB are free"):
        Budget("off").fits(graph(), (1, 8000, 8000, 3))


def test_a_side_splits_whatever_is_larger(free):
    assert Budget(512).fits(graph(), (1, 512, 400, 3))
    assert not Budget(512).fits(graph(), (1, 513, 400, 3))
    assert Budget(512).window(graph(), 2000, 3000) == (512 + 224, 512 + 224)
    assert Budget(510).window(graph(), 2000, 3000) == (504 + 224, 504 + 224)


@pytest.mark.parametrize("megapixels", [16, 64, 200])
def test_a_window_and_the_picture_take_no_more_than_the_memory(free, megapixels):
    """The picture is there three times: the photo, what it is painted over from, and the result."""
    side = round((megapixels * 1e6) ** 0.5)
    window = Budget(memory=4 * GB).window(graph(), side, side)
    taken = window.height * window.width * 500 + side * side * 9
    assert 0.9 * 4 * GB < taken <= 4 * GB
    free[0] = 2 * GB
    window = Budget(memory=4 * GB).window(graph(), side, side)
    assert window.height * window.width * 500 + side * side * 3 <= 2 * GB


def test_a_picture_that_fills_the_memory_leaves_tiles_a_quarter(free):
    window = Budget(memory=2 * GB).window(graph(), 20_000, 20_000)
    assert window.height * window.width * 500 == pytest.approx(GB / 2, rel=0.02)


def test_memory_that_no_tile_fits_into_is_refused_before_any_is_taken(free):
    free[0] = 64 * MB + 1000 * 1000 * 3
    with pytest.raises(AdainError, match=r"1000x1000 pixels may take 0.\d GB of memory"):
        Budget().window(graph(per_pixel=1000), 1000, 1000)
    free[0] = GB
    with pytest.raises(AdainError, match=r"20000x20000 pixels may take 1.2 GB of memory"):  # the result alone
        Budget().fits(graph(), (1, 20_000, 20_000, 3))


def test_a_batch_is_refused_or_computed_at_once_unless_a_picture_of_it_is_for_tiles(free):
    assert Budget().fits(graph(), (10, 1000, 1000, 3))
    assert not Budget().fits(graph(), (2, 4000, 4000, 3))
    free[0] = GB
    with pytest.raises(AdainError, match="fewer pictures at once"):
        Budget().fits(graph(), (10_000, 16, 16, 3))


def test_each_region_beyond_the_second_needs_more_memory(free):
    areas = [np.prod(Budget().window(graph(), 9000, 9000, regions)) for regions in (1, 2, 3, 4)]
    assert areas[0] == areas[1]
    assert areas[0] / areas[2] == pytest.approx(1.3, rel=0.02)
    assert areas[0] / areas[3] == pytest.approx(1.6, rel=0.02)


def test_a_gpu_is_tried_first_and_its_memory_is_asked_for_afterwards(monkeypatch):
    on_gpu = graph(on_gpu=True)
    assert Budget().fits(on_gpu, (1, 9000, 9000, 3))
    assert not Budget(memory=GB).fits(on_gpu, (1, 9000, 9000, 3))
    monkeypatch.setattr(OpenGraph, "free_bytes", lambda _: 8 * GB)
    window = Budget().window(on_gpu, 20_000, 20_000)
    assert 0.9 * 4 * GB < window.height * window.width * 500 <= 4 * GB  # two tiles run side by side
    monkeypatch.setattr(OpenGraph, "free_bytes", lambda _: 800 * GB)
    assert Budget().window(on_gpu, 20_000, 20_000) == (4096, 4096)


def test_what_a_gpu_has_no_room_for_is_computed_in_tiles(monkeypatch, china, flower):
    """A backend that takes none of the host's memory counts as one on a GPU; this GPU has room for 400 rows."""
    plain = Stylizer(backend="onnxruntime", precision="fp32")
    style, run, asked = plain.encode(flower), OpenGraph.run, []
    whole = plain.stylize(china, style)

    def run_small(opened, inputs):
        asked.append(inputs["image"].shape[1:3])
        if inputs["image"].shape[1] > 400:
            raise too_large(427, 640, None, 0, "GPU memory")
        return run(opened, inputs)

    monkeypatch.setattr(OpenGraph, "run", run_small)
    monkeypatch.setattr("adain_rt.budget._MOST_ON_GPU", 304)
    monkeypatch.setitem(BACKENDS, "onnxruntime", replace(BACKENDS["onnxruntime"], host_memory_factor={}))
    with Stylizer(backend="onnxruntime", precision="fp32") as on_gpu:
        assert np.abs(on_gpu.stylize(china, style).astype(int) - whole).max() <= 1
        assert asked[0] == (432, 640)
    with (
        Stylizer(backend="onnxruntime", precision="fp32", tile="off") as off,
        pytest.raises(AdainError, match="more GPU memory than there is"),
    ):
        off.stylize(china, style)


@pytest.mark.parametrize(
    ("tile", "memory"), [("none", None), (0, None), (63, None), (True, None), (1.5, None), ("auto", 0)]
)
def test_what_is_no_tile_and_no_memory_is_refused(tile, memory):
    with pytest.raises(AdainError, match=r"tiles are auto, off, or|the memory is a number of bytes"):
        Stylizer(tile=tile, memory=memory)


def test_a_stylizer_keeps_them_in_other_processes():
    one = pickle.loads(pickle.dumps(Stylizer(tile=512, memory=GB)))  # noqa: S301
    assert one._budget == Budget(512, GB)
