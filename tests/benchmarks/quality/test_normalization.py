"""Batch, instance and adaptive instance normalisation: the arithmetic, and the command that compares them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from adain_bench.cli import command
from adain_bench.quality.normalization import NORMALIZATIONS, compare, normalize
from adain_models import reference
from adain_models.adain import EPSILON
from adain_models.errors import AdainError

BY_NAME = {each.name: each for each in NORMALIZATIONS}


def in_numpy(f, style_mean, style_std, name):
    """The formula, written out for each layer in float64; f is (N, C, H, W)."""

    def statistics(axes):
        return f.mean(axes, keepdims=True), np.sqrt(f.var(axes, ddof=1, keepdims=True) + EPSILON)

    batch, picture = statistics((0, 2, 3)), statistics((2, 3))
    style = style_mean[:, :, None, None], style_std[:, :, None, None]
    (mean, deviation), (shift, scale) = {
        "no normalisation": (picture, picture),
        "batch normalisation": (batch, style),
        "instance normalisation": (picture, batch),
        "AdaIN": (picture, style),
    }[name]
    return (f - mean) / deviation * scale + shift


@pytest.fixture
def batch():
    """Features of three pictures that are unlike one another, and a style's code."""
    generator = np.random.default_rng(0)
    features = generator.standard_normal((3, 5, 6, 7)) * generator.uniform(0.2, 3, (3, 5, 1, 1))
    features += generator.uniform(-4, 4, (3, 5, 1, 1))
    return features, generator.uniform(-2, 2, (1, 5)), generator.uniform(0.1, 2, (1, 5))


@pytest.mark.parametrize("name", BY_NAME)
def test_a_normalisation_is_its_formula_in_float64(batch, name):
    features, mean, std = batch
    made = normalize(torch.tensor(features), (torch.tensor(mean), torch.tensor(std)), BY_NAME[name])
    np.testing.assert_allclose(made.numpy(), in_numpy(features, mean, std, name), rtol=1e-12, atol=1e-12)


def test_only_batch_normalisation_depends_on_the_other_pictures(batch):
    features, *code = (torch.tensor(each) for each in batch)
    for name, same in (("no normalisation", True), ("batch normalisation", False), ("AdaIN", True)):
        together, apart = (normalize(each, code, BY_NAME[name]) for each in (features, features[:2]))
        assert torch.allclose(together[:2], apart) is same


def test_a_batch_of_one_picture_again_and_again_has_that_pictures_statistics(batch):
    features, *code = (torch.tensor(each) for each in batch)
    features = features[:1].repeat(1000, 1, 1, 1)  # which the divisor n - 1 still tells apart, in the fourth digit
    by_batch, by_picture = (normalize(features, code, BY_NAME[name]) for name in ("batch normalisation", "AdaIN"))
    assert torch.allclose(by_batch, by_picture, rtol=0.02, atol=0.05)


@pytest.fixture
def photos(china, flower):
    return np.stack([china[150:214, 150:214], flower[:64, :64], china[200:264, :64]])


@pytest.fixture
def style(lite, flower):
    return reference.encode(lite, torch.tensor(flower[None, 200:264, 200:264]))


def test_the_pictures_with_no_layer_and_with_adain_are_the_references(lite, photos, style):
    outcomes = {each.normalization.name: each.pictures for each in compare(lite, photos, style)}
    for name, strength in (("no normalisation", 0.0), ("AdaIN", 1.0)):
        expected = reference.stylize(lite, torch.tensor(photos), style, torch.full((3,), strength)).numpy()
        assert np.abs(outcomes[name].astype(int) - expected).max() <= 1


def test_adain_closes_the_gap_between_features_and_batch_normalisation_leaves_some(lite, photos, style):
    found = {each.normalization.name: each.figures for each in compare(lite, photos, style)}
    assert [each.feature_gap for each in found["no normalisation"]] == pytest.approx([1, 1, 1])
    flat = 1e-3  # a channel that is flat in a photo stays flat
    assert [each.feature_gap for each in found["AdaIN"]] == pytest.approx([0, 0, 0], abs=flat)
    assert all(each.feature_gap > 0.01 for each in found["batch normalisation"])
    assert max(each.content for each in found["no normalisation"]) < min(each.content for each in found["AdaIN"])


def test_photos_that_cannot_be_compared_are_refused(lite, photos, style):
    with pytest.raises(AdainError, match="two contents or more"):
        compare(lite, photos[:1], style)
    own = reference.encode(lite, torch.tensor(photos))
    with pytest.raises(AdainError, match="no gap to close"):
        compare(lite, photos, (own[0][:1], own[1][:1]))


@pytest.fixture
def desk(tmp_path, monkeypatch, china, flower):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(china).save("china.png")
    Image.fromarray(flower).save("flower.png")
    return tmp_path


SMALL = ("normalization", "china.png", "flower.png", "--size", "64")


def test_the_command_writes_pictures_and_prints_a_row_for_each_normalisation(desk):
    done = CliRunner().invoke(command, [*SMALL, "--style", "@starry-night", "-o", "sheet.png"])
    assert done.exit_code == 0, done.output
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [name for name in BY_NAME if any(name in row for row in rows)] == list(BY_NAME)
    assert "VGG-19" not in done.stdout
    with Image.open("sheet.png") as sheet:
        assert sheet.width > 5 * 64
    again = CliRunner().invoke(command, [*SMALL, "--style", "@starry-night", "-o", "sheet.png"])
    assert isinstance(again.exception, AdainError)


def test_a_teacher_judges_the_pictures_of_a_style_that_is_a_picture(desk, narrow_teacher, china):
    Image.fromarray(china[::-1, ::-1, ::-1]).save("style.png")
    options = [*SMALL, "--teacher", str(narrow_teacher), "--json"]
    done = CliRunner().invoke(command, [*options, "--style", "style.png"])
    by_name = {each["name"]: each["figures"] for each in json.loads(done.stdout)}
    assert [each["photo"] for each in by_name["AdaIN"]] == ["china.png", "flower.png"]
    assert all(each["style_gap"] is not None and each["vgg19_content"] > 0 for each in by_name["AdaIN"])
    refused = CliRunner().invoke(command, [*options, "--style", "@starry-night"])
    assert "needs the style's picture" in str(refused.exception)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--size", "100", "--style", "@starry-night"), "multiple of 8"),
        (("--style", "@starry-night:2"), "one style"),
        (("--style", "."), "one style"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(desk, arguments, expected):
    refused = CliRunner().invoke(command, [*SMALL, *arguments])
    assert isinstance(refused.exception, AdainError)
    assert expected in str(refused.exception)
    assert "\n" not in str(refused.exception)
