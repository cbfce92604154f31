"""Tiles: where they lie, what their statistics add up to, and that a picture in tiles is the whole picture."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adain_models.weights import store
from adain_rt import Stylizer
from adain_rt.auto import OpenGraph
from adain_rt.backends import BACKENDS, Settings, open_backend
from adain_rt.style import Style
from adain_rt.tiling import Moments, Tile, Window, find_window, lay_tiles

LITE = store.model_dir("lite")
ON_CPU = [name for name, spec in BACKENDS.items() if spec.device == "cpu" and spec.hindrance() is None]


@cache
def stylizer(backend: str = "onnxruntime", precision: str = "fp32", tile: int | str = "off") -> Stylizer:
    return Stylizer(backend=backend, precision=precision, tile=tile)


@pytest.fixture(scope="module")
def large(china, flower) -> np.ndarray:
    """Photographs side by side, uint8 (854, 1280, 3)."""
    return np.concatenate([np.concatenate([china, flower], 1), np.concatenate([flower[::-1], china[:, ::-1]], 1)])


@pytest.fixture(scope="module")
def styles(china, flower) -> list[Style]:
    return [stylizer().encode(flower), stylizer().encode(china[:200])]


def distance(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference in levels."""
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other.astype(int)).max())


SIDES = st.integers(2, 400).map(lambda eighths: 8 * eighths)


@given(height=SIDES, width=SIDES, halo=st.integers(1, 14).map(lambda eighths: 8 * eighths), inner=SIDES)
def test_every_pixel_is_the_own_of_one_tile_and_a_halo_from_what_is_not_read(height, width, halo, inner):
    window = Window(inner + 2 * halo, inner + 2 * halo)
    tiles = lay_tiles(height, width, window, halo)
    owners = np.zeros((height // 8, width // 8), int)
    for tile in tiles:
        for span, side in zip(tile, (height, width), strict=True):
            end = span.start + span.length
            assert not any(number % 8 for number in span)
            assert 0 <= span.start <= span.begin < span.end <= end <= side
            assert span.start == 0 or span.begin - span.start >= halo
            assert end == side or end - span.end >= halo
        owners[tuple(slice(each.start // 8, each.stop // 8) for each in tile.own)] += 1
    assert (owners == 1).all()
    assert len({(tile.rows.length, tile.columns.length) for tile in tiles}) == 1
    assert max(tiles[0].rows.length, tiles[0].columns.length) <= window.height


def test_no_more_tiles_are_laid_than_cover_the_picture():
    spans = {length: lay_tiles(16, length, Window(16, 1248), 112) for length in (1248, 1256, 2272, 2280)}
    assert {length: len(tiles) for length, tiles in spans.items()} == {1248: 1, 1256: 2, 2272: 2, 2280: 3}
    assert spans[1256][0].columns.length < 800  # two of half the size, and not a large and a small one


@given(height=SIDES, width=SIDES, pixels=st.integers(1 << 12, 1 << 24))
def test_a_window_has_no_more_pixels_than_it_may_and_no_side_beyond_the_pictures(height, width, pixels):
    window = find_window(height, width, pixels)
    assert window.height * window.width <= max(pixels, 64)
    assert window.height <= height
    assert window.width <= width
    assert not window.height % 8
    assert not window.width % 8
    if height * width <= pixels:
        assert window == (height, width)


def test_a_narrow_picture_has_long_windows():
    assert find_window(80_000, 160, 1 << 20) == Window(6552, 160)
    assert find_window(160, 80_000, 1 << 20) == Window(160, 6552)


@given(seed=st.integers(0, 99), parts=st.integers(1, 5), regions=st.integers(1, 3))
def test_moments_of_parts_add_up_to_those_of_the_whole(seed, parts, regions):
    """Of numbers a million deviations from nought, which sums of squares would lose."""
    generator = np.random.default_rng(seed)
    features = [1e6 + generator.normal(size=(size, 4)) for size in generator.integers(1, 50, parts)]
    weights = [generator.uniform(0, 1, (regions, len(part))) for part in features]
    measured = Moments.none(regions, 4)
    for part, weight in zip(features, weights, strict=True):
        mean = weight @ part / weight.sum(1, keepdims=True)
        m2 = np.stack([each @ (part - own) ** 2 for each, own in zip(weight, mean, strict=True)])
        measured += Moments(weight.sum(1), mean, m2)
    whole, weight = np.concatenate(features), np.concatenate(weights, 1)
    np.testing.assert_allclose(measured.count, weight.sum(1))
    np.testing.assert_allclose(measured.mean, weight @ whole / weight.sum(1, keepdims=True), rtol=1e-12)
    expected = [each @ (whole - own) ** 2 for each, own in zip(weight, measured.mean, strict=True)]
    np.testing.assert_allclose(measured.m2, expected, rtol=1e-6, atol=1e-12)


def test_a_region_without_a_position_changes_nothing():
    empty = Moments(np.zeros(1), np.full((1, 2), 7.0), np.zeros((1, 2)))
    some = Moments(np.full(1, 3.0), np.full((1, 2), 2.0), np.ones((1, 2)))
    for both in (empty + some, some + empty):
        np.testing.assert_array_equal(both.mean, some.mean)
        np.testing.assert_array_equal(both.m2, some.m2)


@pytest.mark.parametrize("backend", ON_CPU)
def test_a_picture_in_tiles_is_the_whole_picture_on_every_backend(backend, large, styles):
    for size in ((843, 1203), (260, 1280), (854, 64)):
        content = large[: size[0], : size[1]]
        whole = stylizer(backend).stylize(content, styles[0], strength=0.8)
        assert distance(whole, stylizer(backend, tile=256).stylize(content, styles[0], strength=0.8)) <= 1
    assert whole.std() > 20  # a picture, not a grey sheet on which everything agrees


@settings(max_examples=12, deadline=None)
@given(height=st.integers(1, 330), width=st.integers(1, 330), tile=st.sampled_from([64, 72, 128, 200]))
def test_a_picture_of_any_size_in_tiles_of_any_size_is_the_whole_picture(height, width, tile):
    generator = np.random.default_rng(height * 331 + width)
    content = generator.integers(0, 256, (-(-height // 9), -(-width // 9), 3), np.uint8).repeat(9, 0).repeat(9, 1)
    content = content[:height, :width]
    style = Style.load(LITE / "presets" / "great-wave.safetensors")
    assert distance(stylizer().stylize(content, style), stylizer(tile=tile).stylize(content, style)) <= 1


@pytest.mark.parametrize("shape", [(1, 700), (700, 1), (257, 256), (256, 257), (9, 513)])
def test_the_oddest_sizes_in_tiles_are_the_whole_picture(large, styles, shape):
    content = large[300 : 300 + shape[0], 100 : 100 + shape[1]]
    assert distance(stylizer().stylize(content, styles[0]), stylizer(tile=128).stylize(content, styles[0])) <= 1


@pytest.mark.parametrize("backend", ON_CPU)
def test_regions_in_tiles_are_those_of_the_whole_picture(backend, large, styles):
    """They overlap, one is soft, and most of the picture is in none."""
    content = large[:500, :611]
    masks = np.zeros((2, *content.shape[:2]), np.uint8)
    masks[0, :150, :240], masks[1, 100:300, 145:450] = 255, 200
    masks[0, 140:150] //= 2
    whole = stylizer(backend).stylize(content, styles, masks=masks)
    tiled = stylizer(backend, tile=200).stylize(content, styles, masks=masks)
    assert distance(whole, tiled) <= 1
    np.testing.assert_array_equal(tiled[400:], content[400:])


def test_a_full_mask_in_tiles_is_the_plain_path(large, styles):
    content = large[:300, :400]
    masks = np.full((1, 300, 400), 255, np.uint8)
    plain = stylizer(tile=128).stylize(content, styles[0])
    assert distance(plain, stylizer(tile=128).stylize(content, styles[:1], masks=masks)) <= 1


def test_mixtures_and_given_content_codes_work_in_tiles(large, styles):
    content, mixture = large[:400, :600], Style.mix(styles, [2, 1])
    whole = stylizer().stylize(content, mixture, content_code=styles[1])
    assert distance(whole, stylizer(tile=200).stylize(content, mixture, content_code=styles[1])) <= 1


def test_a_style_in_tiles_is_the_whole_pictures(large):
    whole, tiled = stylizer().encode(large), stylizer(tile=256).encode(large)
    np.testing.assert_allclose(tiled.mean, whole.mean, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(tiled.std, whole.std, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ON_CPU)
def test_in_int8_a_picture_in_tiles_is_the_whole_of_the_same_statistics_bit_for_bit(backend, large, styles):
    content, int8 = large[:504, :600], stylizer(backend, "int8", tile=256)
    mean, std = int8.measure_tiles(content)
    graph = open_backend(backend, LITE / "int8", "int8")
    inputs = {"style_mean": styles[0].mean[None], "style_std": styles[0].std[None], "strength": np.ones(1, np.float32)}
    inputs |= {"content_mean": mean, "content_std": std}
    (whole,) = graph.run("stylize_fixed", inputs | {"image": content[None]})
    np.testing.assert_array_equal(int8.stylize(content, styles[0]), whole[0])


def test_a_batch_in_tiles_is_its_pictures_one_by_one(large, styles):
    batch = np.stack([large[:300, :400], large[400:700, 500:900]])
    tiled = stylizer(tile=128).stylize(batch, styles[0])
    for made, picture in zip(tiled, batch, strict=True):
        np.testing.assert_array_equal(made, stylizer(tile=128).stylize(picture, styles[0]))


def test_progress_rises_to_1(large, styles):
    shares: list[float] = []
    stylizer(tile=128).stylize(large[:300, :400], styles[0], progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) >= 8
    assert shares[-1] == 1


def test_painting_goes_on_at_any_tile(large, styles):
    content, tiled = large[:400, :600], stylizer(tile=128)
    measured = tiled.measure_tiles(content)
    tiles = list(tiled.split(content, styles[:1]).paint(measured))
    assert len(tiles) > 3
    for start in range(len(tiles) + 1):
        rest = list(tiled.split(content, styles[:1]).paint(measured, start=start))
        assert [part[:2] for part in rest] == [part[:2] for part in tiles[start:]]
        for one, other in zip(rest, tiles[start:], strict=True):
            np.testing.assert_array_equal(one[2], other[2])
    rows, columns, _ = tiles[-1]
    assert (rows.stop, columns.stop) == (400, 600)


def test_on_a_gpu_tiles_run_side_by_side_and_stay_in_order(monkeypatch, large, styles):
    """A backend that takes none of the host's memory counts as one on a GPU. Each run keeps to its own thread there."""
    monkeypatch.setitem(BACKENDS, "onnxruntime", replace(BACKENDS["onnxruntime"], host_memory_factor={}))
    content = large[:400, :600]
    with Stylizer(backend="onnxruntime", precision="fp32", settings=Settings(threads=1), tile=128) as on_gpu:
        made = on_gpu.stylize(content, styles[0])
    with Stylizer(backend="onnxruntime", precision="fp32", settings=Settings(threads=1), tile=128) as alone:
        monkeypatch.undo()
        np.testing.assert_array_equal(made, alone.stylize(content, styles[0]))


def test_the_tile_is_the_part_of_a_picture_that_it_says():
    (tile,) = lay_tiles(64, 48, Window(64, 48), 8)
    assert tile == Tile((0, 64, 0, 64), (0, 48, 0, 48))
    assert tile.read == tile.own == tile.own_in_read == (slice(0, 64), slice(0, 48))


def test_each_pass_gives_up_its_memory_when_it_ends(monkeypatch, large, styles):
    trimmed: list[str] = []
    monkeypatch.setattr(OpenGraph, "trim", lambda opened: trimmed.append(opened.graph))
    tiled = stylizer(tile=128)
    code = tiled.measure_tiles(large[:200, :300])
    assert trimmed[-1] == "measure"
    painting = tiled.split(large[:200, :300], styles[:1]).paint(code)
    trimmed.clear()
    next(painting)
    assert trimmed == []
    list(painting)
    assert trimmed == ["stylize_fixed"]


def test_whole_pictures_before_leave_tiles_all_the_memory(monkeypatch, large, styles):
    trimmed: list[str] = []
    monkeypatch.setattr(OpenGraph, "trim", lambda opened: trimmed.append(opened.graph))
    with Stylizer(backend="onnxruntime", precision="fp32", tile=128) as tiled:
        tiled.stylize(large[:128, :128], styles[0])
        assert trimmed == []
        tiled.stylize(large[:200, :200], styles[0])
    assert trimmed[0] == "stylize"


TRIM = """
import os, sys
from pathlib import Path
import numpy as np
from adain_models.weights import store
from adain_rt.backends import Settings, open_backend

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

backend = open_backend(sys.argv[1], store.model_dir("lite") / "int8", "int8", Settings())
def encode(side):
    outputs = backend.run("encode", {"image": np.full((1, side, side, 3), 99, np.uint8)})
    return [output.copy() for output in outputs]  # ONNX Runtime lends its own memory
encode(64)
sizes = [resident()]
first = encode(1536)
sizes.append(resident())
backend.trim("encode")
sizes.append(resident())
assert all((one == other).all() for one, other in zip(first, encode(1536)))
print(*sizes)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read from /proc")
@pytest.mark.parametrize("backend", ON_CPU)
def test_what_a_run_keeps_is_freed_and_taken_again(backend):
    done = subprocess.run([sys.executable, "-c", TRIM, backend], capture_output=True, text=True, check=True)  # noqa: S603
    before, kept, after = map(int, done.stdout.split())
    assert kept - before > 50e6
    assert after - before < 0.5 * (kept - before)
