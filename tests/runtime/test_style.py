"""Styles: mixing, saving, loading, and files that are none."""

from __future__ import annotations

import json
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from adain_models.errors import AdainError
from adain_rt.style import Style


def style(seed: int = 0, **about: str) -> Style:
    generator = np.random.default_rng(seed)
    mean = generator.normal(size=6).astype(np.float32)
    return Style(mean, generator.uniform(0.1, 2, 6).astype(np.float32), "lite", "ab" * 32, about)


@given(st.lists(st.floats(0, 1e308, allow_subnormal=False), min_size=1, max_size=5).filter(any))
def test_a_mixture_is_the_weighted_mean_of_means_and_deviations(weights):
    styles = [style(seed) for seed in range(len(weights))]
    mixed = Style.mix(styles, weights)
    for name in ("mean", "std"):
        shares = np.array(weights) / max(weights)
        expected = np.average([getattr(each, name) for each in styles], axis=0, weights=shares)
        np.testing.assert_allclose(getattr(mixed, name), expected, rtol=1e-5, atol=1e-6)


def test_a_style_mixed_with_nothing_is_itself():
    np.testing.assert_array_equal(Style.mix([style()], [7]).mean, style().mean)


@pytest.mark.parametrize("weights", [[0, 0], [1, -1], [1, float("nan")], [1, float("inf")]])
def test_weights_that_say_nothing_are_refused(weights):
    with pytest.raises(AdainError, match="0 or more, and not all 0"):
        Style.mix([style(0), style(1)], weights)


def test_styles_that_cannot_be_mixed_are_refused():
    with pytest.raises(AdainError, match="2 styles cannot be mixed by 1 weights"):
        Style.mix([style(0), style(1)], [1])
    other = Style(style().mean, style().std, "vgg19", "cd" * 32)
    with pytest.raises(AdainError, match="different models"):
        Style.mix([style(), other], [1, 1])


def test_a_saved_style_comes_back_as_it_went(tmp_path):
    saved = style(title="Das Bild", artist="Füssli")
    saved.save(tmp_path / "s.safetensors")
    loaded = Style.load(tmp_path / "s.safetensors")
    np.testing.assert_array_equal(loaded.mean, saved.mean)
    np.testing.assert_array_equal(loaded.std, saved.std)
    assert (loaded.model, loaded.weights_sha256, loaded.about) == (saved.model, saved.weights_sha256, saved.about)


def damaged(tmp_path, **changes):
    good = {"mean": style().mean, "std": style().std}
    path = tmp_path / "s.safetensors"
    metadata = {"format": "adain-rt style 1", "model": "lite", "weights_sha256": "ab" * 32}
    save_file({name: tensor for name, tensor in (good | changes).items() if tensor is not None}, path, metadata)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"mean": np.full(6, np.nan, np.float32)},
        {"std": np.zeros(6, np.float32)},
        {"std": np.ones(5, np.float32)},
        {"mean": np.zeros((2, 3), np.float32)},
        {"mean": np.zeros(6)},
        {"mean": np.full(6, 1e30, np.float32)},
        {"std": None},
    ],
    ids=["nan", "flat", "short", "square", "double", "huge", "missing"],
)
def test_a_code_that_cannot_be_is_refused(tmp_path, changes):
    with pytest.raises(AdainError, match=r"s\.safetensors: the style is damaged"):
        Style.load(damaged(tmp_path, **changes))


def test_files_that_are_no_styles_are_told_apart(tmp_path):
    path = tmp_path / "s.safetensors"
    with pytest.raises(AdainError, match="cannot be read"):
        Style.load(path)
    path.write_bytes(b"not safetensors at all")
    with pytest.raises(AdainError, match="not a safetensors file, or is damaged"):
        Style.load(path)
    save_file({"x": np.zeros(3)}, path)
    with pytest.raises(AdainError, match="a safetensors file, but not a style; make"):
        Style.load(path)
    path.write_bytes(bytes(2 << 20))
    with pytest.raises(AdainError, match="a style is smaller"):
        Style.load(path)
    style().save(path)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(AdainError, match="damaged"):
        Style.load(path)


@pytest.mark.parametrize("place", ["about.title", "about.\x1b[31mkey", "model", "weights_sha256", "other"])
def test_control_characters_in_a_files_texts_are_refused(tmp_path, place):
    metadata = {"format": "adain-rt style 1", "model": "lite", "weights_sha256": "ab" * 32} | {place: "\x9b31mred"}
    save_file({"mean": style().mean, "std": style().std}, tmp_path / "s.safetensors", metadata)
    with pytest.raises(AdainError, match="control characters"):
        Style.load(tmp_path / "s.safetensors")


@given(st.text(st.characters()), st.text(st.characters()))  # all characters, surrogates and control characters too
def test_whatever_the_texts_what_is_saved_can_be_read(key, value):
    saved = replace(style(**{key: value}), model=value)
    with TemporaryDirectory() as folder:
        saved.save(f"{folder}/s.safetensors")
        assert Style.load(f"{folder}/s.safetensors") == saved


@pytest.mark.parametrize(
    ("given_title", "kept"),
    [
        ("Screenshot 9.41\u202fAM", "Screenshot 9.41\u202fAM"),  # as macOS writes it
        ("\u3000全角\u00a0\u00ad", "\u3000全角\u00a0\u00ad"),
        ("👩\u200d🎨", "👩\u200d🎨"),
        ("two\nlines\x1b[0m", "two\ufffdlines\ufffd[0m"),
        ("caf\udce9", "caf\ufffd"),  # a byte of a file's name that is no UTF-8
    ],
)
def test_texts_are_kept_except_what_no_file_or_terminal_should_get(given_title, kept):
    assert style(title=given_title).about == {"title": kept}


def test_a_style_that_no_loader_would_take_is_not_written(tmp_path):
    with pytest.raises(AdainError, match="more than 1048576 bytes; shorten its texts"):
        style(title="x" * (1 << 20)).save(tmp_path / "s.safetensors")
    assert not any(tmp_path.iterdir())


@given(st.sampled_from([">f4", "<f4", ">f8", "f2", ">i2"]), st.sampled_from([1, -1, 2]), st.integers(0, 99))
def test_codes_in_any_memory_are_the_numbers_that_they_are(dtype, step, seed):
    generator = np.random.default_rng(seed)
    mean, std = (generator.integers(1, 9, 12).astype(dtype)[::step] for _ in range(2))
    made = Style(mean, std, "lite", "ab" * 32)
    for kept, was in ((made.mean, mean), (made.std, std)):
        assert kept.tolist() == was.tolist()
        assert kept.dtype == np.float32
        assert kept.dtype.isnative
        assert kept.flags.c_contiguous
    with TemporaryDirectory() as folder:
        made.save(Path(folder) / "s.safetensors")
        assert Style.load(Path(folder) / "s.safetensors") == made


def test_a_style_keeps_its_numbers_whatever_becomes_of_the_arrays():
    mean, std, about = np.zeros(6, np.float32), np.ones(6, np.float32), {"title": "before"}
    made = Style(mean, std, "lite", "ab" * 32, about)
    mean[:], std[:], about["title"] = 9, 9, "after"
    assert made.mean.tolist() == [0] * 6
    assert made.std.tolist() == [1] * 6
    assert made.about == {"title": "before"}
    with pytest.raises(ValueError, match="read-only"):
        made.mean[0] = 1


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"mean": np.full(6, np.nan)}, "finite numbers below a million"),
        ({"mean": np.full(6, -np.inf)}, "finite numbers below a million"),
        ({"mean": np.full(6, 1e30, np.float32)}, "finite numbers below a million"),
        ({"std": np.full(6, 1e300)}, "finite numbers below a million"),
        ({"std": np.zeros(6)}, "must be above 0"),
        ({"std": np.full(6, 1e-300)}, "must be above 0"),
        ({"std": -np.ones(6)}, "must be above 0"),
        ({"std": np.ones(5)}, "as many means as deviations, not 6 and 5"),
        ({"mean": np.ones((2, 3))}, r"vector of numbers, not float64 \(2, 3\)"),
        ({"mean": np.ones(6, bool)}, "vector of numbers, not bool"),
        ({"mean": np.ones(6, complex)}, "vector of numbers, not complex"),
        ({"mean": []}, "vector of numbers"),
        ({"mean": [[1], [1, 2]]}, "vector of numbers, not list"),
        ({"mean": None}, "vector of numbers"),
        ({"model": None}, "must be texts, not None"),
        ({"about": {"year": 1889}}, "must be texts, not 1889"),
        ({"about": "title"}, "dictionary of texts, not str"),
    ],
)
def test_a_style_that_cannot_be_is_not_made(changes, line):
    with pytest.raises(AdainError, match=line):
        replace(style(), **changes)


@pytest.mark.parametrize(
    ("styles", "weights", "line"),
    [
        (style(), [1], "only a list of styles"),
        ([style(), style().mean], [1, 0], "only a list of styles"),
        (None, [1], "only a list of styles"),
        ([style()], "a", "weights are not numbers"),
        ([style()], None, "cannot be mixed by"),
        ([style()], [1j], "weights are not numbers"),
        ([style()], [None], "0 or more"),
        ([], [], "0 styles cannot be mixed"),
        ([style(), replace(style(), mean=np.ones(5), std=np.ones(5))], [1, 1], "numbers of channels"),
    ],
)
def test_what_is_no_style_or_no_weight_is_not_mixed(styles, weights, line):
    with pytest.raises(AdainError, match=line):
        Style.mix(styles, weights)


def test_styles_are_equal_and_hashed_by_their_values():
    assert style(title="a") == style(title="a")
    assert len({style(), style(), style(1)}) == 2
    for other in (style(1), style(title="b"), replace(style(), model="vgg19"), "style", None):
        assert style() != other
    minus = replace(style(), mean=-np.zeros(6, np.float32))
    assert minus == replace(style(), mean=np.zeros(6, np.float32))
    assert hash(minus) == hash(replace(style(), mean=np.zeros(6, np.float32)))


def test_a_pickled_style_comes_back_frozen():
    came = pickle.loads(pickle.dumps(style(title="a")))  # noqa: S301 - our own
    assert came == style(title="a")
    assert not came.mean.flags.writeable


@pytest.mark.parametrize("shape", [[0, 1 << 62], [1 << 62, 0], [0, (1 << 64) - 1], [1] * 100, [1 << 63], []])
def test_a_shape_that_cannot_be_is_refused_as_damage(tmp_path, shape):
    size = 0 if 0 in shape else 4
    header = {"__metadata__": {"format": "adain-rt style 1", "model": "lite", "weights_sha256": "ab" * 32}}
    header |= {
        name: {"dtype": "F32", "shape": shape, "data_offsets": [start, start + size]}
        for name, start in (("mean", 0), ("std", size))
    }
    text, path = json.dumps(header).encode(), tmp_path / "s.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(2 * size))
    with pytest.raises(AdainError, match=r"s\.safetensors: .* damaged"):
        Style.load(path)
