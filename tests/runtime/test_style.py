"""Styles: mixing, saving, loading, and files that are none."""

from __future__ import annotations

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


def test_control_characters_in_a_styles_texts_are_refused(tmp_path):
    style(title="\x1b[31mred").save(tmp_path / "s.safetensors")
    with pytest.raises(AdainError, match="control characters"):
        Style.load(tmp_path / "s.safetensors")
