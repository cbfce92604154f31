"""The figures of picture quality, on pictures whose figures are known."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file, save_file

from adain_bench.cli import command
from adain_bench.cli import quality as quality_cli
from adain_bench.contenders.contender import Contender
from adain_bench.quality.brushwork import strokes
from adain_bench.quality.judge import Judge, Teachers
from adain_bench.quality.optimize import optimize
from adain_bench.quality.pairs import AsCommands, InPyTorch
from adain_export.psnr import psnr
from adain_models.adain import channel_statistics
from adain_models.errors import AdainError
from adain_models.training.crops import held_out
from adain_models.training.losses import Joint
from adain_models.training.teacher import Teacher, Vgg16, statistics
from adain_models.weights import checkpoint
from adain_rt.stylizer import Stylizer


@pytest.fixture(scope="module")
def narrow_vgg16(narrow_teacher, tmp_path_factory):
    """A file of VGG-16's layers, narrow, with random weights; all but the last are VGG-19's."""
    tensors = load_file(narrow_teacher)
    tensors |= {f"conv4_1.{kind}": tensors.pop(f"conv3_4.{kind}") for kind in ("weight", "bias")}
    path = tmp_path_factory.mktemp("teacher") / "vgg16.safetensors"
    save_file(tensors, path)
    return path


@pytest.fixture(scope="module")
def teachers(narrow_teacher, narrow_vgg16):
    return Teachers(Teacher(narrow_teacher), Vgg16(narrow_vgg16))


def test_the_photo_itself_leaves_every_gap_whole_and_no_distance(teachers, china, flower):
    photo, style = china[:96, :96], flower[:96, :96]
    judge = Judge(teachers, photo, style)
    judged = judge.judge(photo)
    assert judged == judge.untouched
    assert (judged.style_gap, judged.texture_gap, judged.patches_4, judged.patches_3) == pytest.approx((1, 1, 1, 1))
    assert (judged.content, judged.content_4) == pytest.approx((0, 0), abs=1e-9)
    assert judged.strokes_8 == pytest.approx(strokes(photo, 8) / strokes(style, 8))


def test_the_style_itself_leaves_no_gap_and_a_distance(teachers, china, flower):
    photo, style = china[:96, :96], flower[:96, :96]
    judge = Judge(teachers, photo, style)
    judged = judge.judge(style)
    gaps = judged.style_gap, judged.texture_gap, judged.patches_4, judged.patches_3
    assert gaps == pytest.approx((0, 0, 0, 0), abs=1e-9)
    assert (judged.strokes_8, judged.strokes_16) == (1, 1)
    assert judged.content > 0.5
    assert judged.content_4 > 0.5
    assert (judge.painting.content, judge.painting.content_4) == (None, None)
    assert judge.painting.strokes_16 == 1


def test_a_photo_that_is_the_style_has_no_gap_to_be_left(teachers, china):
    with pytest.raises(AdainError, match="no gap"):
        Judge(teachers, china[:64, :64], china[:64, :64])


def test_a_mixture_of_the_two_lies_between(teachers, china, flower):
    photo, style = china[:96, :96], flower[:96, :96]
    half = ((photo.astype(int) + style) // 2).astype(np.uint8)
    judged = Judge(teachers, photo, style).judge(half)
    assert 0 < judged.style_gap < 1
    assert judged.content > 0
    assert judged.content_4 > 0


def test_a_teacher_that_is_not_there_gives_no_figures(teachers, china, flower):
    photo, style, picture = china[:96, :96], flower[:96, :128], china[96:192, :96]
    whole = Judge(teachers, photo, style).judge(picture)
    none = Judge(Teachers(), photo, style).judge(picture)
    by_vgg19 = Judge(Teachers(vgg19=teachers.vgg19), photo, style).judge(picture)
    by_vgg16 = Judge(Teachers(vgg16=teachers.vgg16), photo, style).judge(picture)
    no_vgg19 = {"style_gap": None, "texture_gap": None, "content": None}
    no_vgg16 = {"patches_4": None, "patches_3": None, "content_4": None}
    assert by_vgg19 == replace(whole, **no_vgg16)
    assert by_vgg16 == replace(whole, **no_vgg19)
    assert none == replace(whole, **no_vgg16, **no_vgg19)


def test_a_style_without_strokes_has_none_to_compare_with(china):
    judged = Judge(Teachers(), china[:64, :64], np.full((64, 64, 3), 9, np.uint8)).judge(china[64:128, :64])
    assert (judged.strokes_8, judged.flat_strokes_16) == (None, None)
    assert (judged.tones, judged.colours) == (None, None)


def test_a_picture_of_half_the_contrast_has_half_the_tones_and_colours(china, flower):
    faded = (64 + flower[:64, :64] / 2).astype(np.uint8)
    judged = Judge(Teachers(), china[:64, :64], flower[:64, :64]).judge(faded)
    assert (judged.tones, judged.colours) == (pytest.approx(0.5, abs=0.01), pytest.approx(0.5, abs=0.01))


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


def test_optimised_pixels_come_nearer_to_the_style_than_the_photo(teachers, china, flower):
    photo, style = china[:64, :64], flower[:64, :64]
    made = optimize(Joint(teachers.vgg19, style=30, texture=4), photo, style, steps=30)
    assert made.shape == photo.shape
    assert Judge(teachers, photo, style).judge(made).style_gap < 0.5


def test_psnr_is_that_of_the_mean_square_error(china):
    assert psnr(china, china) == float("inf")
    shifted = np.where(china < 250, china + 5, china - 5).astype(np.uint8)
    assert psnr(shifted, china) == pytest.approx(10 * np.log10(255**2 / 25))


def test_a_file_that_is_no_teacher_is_named(tmp_path, narrow_teacher):
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
    with pytest.raises(AdainError, match=r"narrow\.safetensors: holds no conv4_1\.weight, which VGG-16 has"):
        Vgg16(narrow_teacher)


@pytest.fixture
def desk(tmp_path, monkeypatch, china, flower):
    """Two photographs, and ten paintings of which some are held out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "styles").mkdir()
    for name, picture in (("a", china), ("b", china[::-1])):
        Image.fromarray(picture[160:240, 160:256]).save(f"{name}.png")
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
    table = columns_of(said.stdout)
    assert table["untouched"]["style gap left"] == "1.000 (1.00-1.00)"
    assert table["untouched"]["grid modulo 8"] == table["photos"]["grid modulo 8"]
    (pair,) = json.loads(CliRunner().invoke(command, ["quality", "a.png", *options, "--json"]).stdout)
    peer = pair["peers"]["untouched"]
    assert peer["noise_gain"] == pytest.approx(1.08, abs=0.05)
    assert {**peer, "noise_gain": None} == pair["untouched"]


def columns_of(said):
    """The table of figures, by column and by row."""
    header, _, *rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in said.splitlines() if line.startswith("|")
    ]
    return {name: {row[0]: row[number] for row in rows} for number, name in enumerate(header) if number}


@pytest.fixture
def folder(desk, china, flower):
    """Two pairs, with what one program made of both and another of the second."""
    folder = desk / "pairs"
    folder.mkdir()
    for name, picture in {
        "00_content": china[:64, :96], "00_style": flower[:64, :64], "00_copy": china[:64, :96],
        "01_content": china[100:164, :80], "01_style": flower[100:200, :64], "01_copy": china[100:164, :80],
        "01_other_way": china[164:228, :80], "notes": flower[:64, :64],
    }.items():  # fmt: skip
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


def test_pictures_in_a_folder_are_judged_by_the_programs_they_are_of(folder, narrow_teacher, narrow_vgg16):
    teachers = ["--teacher", str(narrow_teacher), "--vgg16", str(narrow_vgg16)]
    said = CliRunner().invoke(command, ["quality", "pairs", *teachers, "--size", "64"])
    table = columns_of(said.stdout)
    assert list(table) == ["styles", "photos", "here", "fp32", "copy", "other_way"]
    assert {**table["copy"], "noise gain": ""} == table["photos"]
    assert table["here"]["noise gain"]
    assert table["styles"]["content distance, relu4_1"] == ""
    assert len(table["here"]) == 19


def test_without_teachers_the_rows_are_those_of_pixels(folder):
    said = CliRunner().invoke(command, ["quality", "pairs", "--size", "64", "--pairs", "1"])
    rows = list(columns_of(said.stdout)["here"])
    assert rows[:3] == ["grid modulo 8", "grid modulo 4", "mesh"]
    assert rows[-1] == "noise gain"
    assert len(rows) == 13
    assert "most style gap" not in said.stdout


def test_weights_are_judged_without_graphs(folder, lite, tmp_path):
    checkpoint.save(lite, tmp_path / "w.safetensors")
    said = CliRunner().invoke(command, ["quality", "pairs", "--size", "64", "--weights", "w.safetensors", "--json"])
    for pair in json.loads(said.stdout):
        ours, exact = (
            {name: figure for name, figure in quality.items() if figure is not None}
            for quality in (pair["peers"]["w.safetensors"], pair["fp32"])
        )
        assert "noise_gain" in ours
        assert ours == pytest.approx(exact, rel=0.02)  # a pixel here and there is another level


@pytest.mark.parametrize(("fitted", "underpainting"), [(False, 0), (True, 0), (True, 4)])
def test_pytorchs_pictures_of_any_size_are_the_runtimes(fitted, underpainting, tmp_path, lite, china, flower):
    checkpoint.save(lite, tmp_path / "w.safetensors")
    stylist = InPyTorch(tmp_path / "w.safetensors", fitted, underpainting)
    photos, painting = china[None, :70, :91], flower[:67, :64]
    made = stylist.stylize(photos, stylist.encode(painting))
    exact = Stylizer("lite", "onnxruntime", "fp32")
    exact = AsCommands(exact, fitted, underpainting)
    expected = exact.stylize(photos, exact.encode(painting))
    assert np.abs(made.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("02_content", (64, 64, 3), "02_content has no 02_style beside it"),
        ("00_small", (60, 96, 3), "00_small.png: is 96x60 pixels, but the photo is judged at 96x64"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused_in_one_line(folder, name, shape, said):
    Image.fromarray(np.zeros(shape, np.uint8)).save(folder / f"{name}.png")
    refused = CliRunner().invoke(command, ["quality", "pairs", "--size", "64"])
    assert isinstance(refused.exception, AdainError)
    assert said in str(refused.exception)


def test_what_needs_more_than_is_given_is_refused(folder):
    for options, said in (
        (["styles"], "holds no pairs"),
        (["a.png"], "Missing option '--style'"),
        (["pairs", "--held-out"], "Missing option '--style'"),
        (["pairs", "--optimize", "1"], "--optimize needs --teacher"),
    ):
        refused = CliRunner().invoke(command, ["quality", *options])
        assert refused.exit_code != 0
        assert said in str(refused.exception) + refused.output


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
