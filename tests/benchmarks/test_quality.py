"""The figures of picture quality, on pictures whose figures are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file

from adain_bench import quality_cli
from adain_bench.cli import command
from adain_bench.contenders import Contender
from adain_bench.optimize import optimize
from adain_bench.quality import Judge
from adain_export.psnr import psnr
from adain_models.adain import channel_statistics
from adain_models.crops import held_out
from adain_models.errors import AdainError
from adain_models.losses import Joint
from adain_models.teacher import Teacher, statistics


@pytest.fixture(scope="module")
def teacher(narrow_teacher):
    return Teacher(narrow_teacher)


def test_the_photo_itself_leaves_both_gaps_whole_and_no_distance(teacher, china, flower):
    photo, style = china[:96, :96], flower[:96, :96]
    judged = Judge(teacher, photo, style).judge(photo)
    assert (judged.style_gap, judged.texture_gap, judged.content) == pytest.approx((1, 1, 0))


def test_the_style_itself_leaves_no_gap_and_a_distance(teacher, china, flower):
    judged = Judge(teacher, china[:96, :96], flower[:96, :96]).judge(flower[:96, :96])
    assert (judged.style_gap, judged.texture_gap) == pytest.approx((0, 0), abs=1e-9)
    assert judged.content > 0.5


def test_a_photo_that_is_the_style_has_no_gap_to_be_left(teacher, china):
    with pytest.raises(AdainError, match="no gap"):
        Judge(teacher, china[:64, :64], china[:64, :64])


def test_a_mixture_of_the_two_lies_between(teacher, china, flower):
    photo, style = china[:96, :96], flower[:96, :96]
    half = ((photo.astype(int) + style) // 2).astype(np.uint8)
    judged = Judge(teacher, photo, style).judge(half)
    assert 0 < judged.style_gap < 1
    assert judged.content > 0


def test_texture_sees_strokes_and_style_sees_tones():
    generator = torch.Generator().manual_seed(0)
    features = torch.rand(1, 4, 16, 16, generator=generator) + torch.rand(1, 1, 16, 16, generator=generator)
    code, correlations = statistics(features)
    assert torch.allclose(code, torch.cat(channel_statistics(features), 1), atol=1e-6)
    assert torch.allclose(correlations.diagonal(dim1=1, dim2=2), torch.ones(1, 4), atol=1e-3)
    toned_code, toned_correlations = statistics(features * torch.tensor([1, 2, 3, 4])[:, None, None] + 5)
    assert torch.allclose(toned_correlations, correlations, atol=1e-3)
    assert not torch.allclose(toned_code, code, atol=0.5)
    shuffled = features.flatten(2)[:, :, torch.randperm(256, generator=generator)].view_as(features)
    mixed = torch.cat([features[:, :2], shuffled[:, 2:]], 1)
    mixed_code, mixed_correlations = statistics(mixed)
    assert torch.allclose(mixed_code, code, atol=1e-4)
    assert (mixed_correlations - correlations).abs().max() > 0.2


def test_optimised_pixels_come_nearer_to_the_style_than_the_photo(teacher, china, flower):
    photo, style = china[:64, :64], flower[:64, :64]
    made = optimize(Joint(teacher), photo, style, steps=30)
    assert made.shape == photo.shape
    assert Judge(teacher, photo, style).judge(made).style_gap < 0.5


def test_psnr_is_that_of_the_mean_square_error(china):
    assert psnr(china, china) == float("inf")
    shifted = np.where(china < 250, china + 5, china - 5).astype(np.uint8)
    assert psnr(shifted, china) == pytest.approx(10 * np.log10(255**2 / 25))


def test_a_file_that_is_no_teacher_is_named(tmp_path):
    with pytest.raises(AdainError, match=r"none\.safetensors: there is no such file"):
        Teacher(tmp_path / "none.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(AdainError, match=r"other\.safetensors: holds no conv1_1\.weight"):
        Teacher(tmp_path / "other.safetensors")
    save_file(
        {"conv1_1.weight": torch.zeros(8, 4, 3, 3), "conv1_1.bias": torch.zeros(8)}, tmp_path / "rgba.safetensors"
    )
    with pytest.raises(AdainError, match=r"rgba\.safetensors: conv1_1 is not VGG-19's"):
        Teacher(tmp_path / "rgba.safetensors")


@pytest.fixture
def desk(tmp_path, monkeypatch, china, flower):
    """Two photographs, and ten paintings of which some are held out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "styles").mkdir()
    for name, picture in (("a", china), ("b", china[::-1])):
        Image.fromarray(picture[:80, :96]).save(f"{name}.png")
    for number in range(10):
        Image.fromarray(flower[number * 8 :][:80, :96]).save(tmp_path / "styles" / f"{number:05}.png")
    return tmp_path


def test_the_command_pairs_contents_with_styles_and_names_the_worst(desk, narrow_teacher):
    options = ["--style", "styles/00000.png", "--teacher", str(narrow_teacher), "--size", "64"]
    said = CliRunner().invoke(command, ["quality", "a.png", "b.png", *options])
    assert "2 pairs, 64 px" in said.stdout
    assert "PSNR against fp32: median" in said.stdout
    assert "most texture gap left: styles/00000.png" in said.stdout
    pairs = json.loads(CliRunner().invoke(command, ["quality", "a.png", "b.png", *options, "--json"]).stdout)
    assert [pair["photo"] for pair in pairs] == ["a.png", "b.png"]
    for pair in pairs:
        assert pair["here"]["style_gap"] < 1
        assert pair["psnr"] > 25
        assert 0 < pair["identity"] < 30
        assert pair["optimized"] is None


def test_what_was_judged_is_said_though_a_later_picture_cannot_be_read(desk, narrow_teacher):
    (desk / "broken.png").write_bytes(b"no picture")
    options = ["--style", "styles/00000.png", "--teacher", str(narrow_teacher), "--size", "64"]
    said = CliRunner().invoke(command, ["quality", "a.png", "broken.png", "b.png", *options])
    assert isinstance(said.exception, AdainError)
    assert "broken.png" in str(said.exception)
    assert "; 1 pairs, 64 px" in said.stdout
    said = CliRunner().invoke(command, ["quality", "a.png", "broken.png", *options, "--json"])
    assert [pair["photo"] for pair in json.loads(said.stdout)] == ["a.png"]


class Untouched:
    """A stylist that gives the photo back."""

    def encode(self, painting):
        return painting.mean()

    def stylize(self, contents, code):
        return contents


def test_peers_are_judged_beside_and_one_that_is_not_installed_is_named(desk, narrow_teacher, monkeypatch):
    def others():
        yield Contender({"backend": "untouched"}, Untouched)
        yield Contender({"backend": "absent"}, Untouched, "pip install absent")

    monkeypatch.setattr(quality_cli, "packages", others)
    options = ["--style", "styles/00000.png", "--teacher", str(narrow_teacher), "--size", "64", "--peers"]
    said = CliRunner().invoke(command, ["quality", "a.png", *options])
    assert said.stderr.splitlines()[0] == "absent is left out: pip install absent"
    (row,) = [line.split() for line in said.stdout.splitlines() if line.startswith("untouched")]
    assert row == ["untouched", "1.000", "(1.000-1.000)", "1.000", "(1.000-1.000)", "0.000", "(0.000-0.000)"]
    (pair,) = json.loads(CliRunner().invoke(command, ["quality", "a.png", *options, "--json"]).stdout)
    assert pair["peers"]["untouched"] == pytest.approx({"style_gap": 1, "content": 0, "texture_gap": 1})


def test_the_command_keeps_to_what_training_never_saw_and_to_so_many_pairs(desk, narrow_teacher):
    options = ["--style", "styles", "--teacher", str(narrow_teacher), "--size", "64", "--json"]
    spread = json.loads(CliRunner().invoke(command, ["quality", "a.png", *options, "--pairs", "3"]).stdout)
    assert [pair["style"] for pair in spread] == [f"styles/{number:05}.png" for number in (0, 3, 6)]
    kept = [path for path in sorted((desk / "styles").iterdir()) if held_out(path)]
    assert 0 < len(kept) < 10
    (desk / "a.png").rename(kept[0].name)
    judged = CliRunner().invoke(command, ["quality", kept[0].name, "b.png", *options, "--held-out"])
    found = [(pair["photo"], pair["style"]) for pair in json.loads(judged.stdout)]
    assert found == [(kept[0].name, f"styles/{path.name}") for path in kept]
    refused = CliRunner().invoke(command, ["quality", "b.png", *options, "--held-out"])
    assert isinstance(refused.exception, AdainError)
