"""The figures of picture quality, on pictures whose figures are known."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file

from adain_bench.cli import command
from adain_bench.quality import Teacher
from adain_export.psnr import psnr
from adain_models.errors import AdainError

LAYERS = {
    "conv1_1": (3, 64), "conv1_2": (64, 64), "conv2_1": (64, 128), "conv2_2": (128, 128),
    "conv3_1": (128, 256), "conv3_2": (256, 256), "conv3_3": (256, 256), "conv3_4": (256, 256),
}  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A teacher's file, its weights random."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, (inputs, outputs) in LAYERS.items():
        tensors[f"{name}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * (2 / (9 * inputs)) ** 0.5
        tensors[f"{name}.bias"] = torch.zeros(outputs)
    path = tmp_path_factory.mktemp("teacher") / "vgg.safetensors"
    save_file(tensors, path)
    return path


def test_the_photo_itself_leaves_the_whole_gap_and_no_distance(weights, china, flower):
    photo, style = china[:96, :96], flower[:96, :96]
    judged = Teacher(weights).judge(photo, photo, style)
    assert (judged.style_gap, judged.content) == (pytest.approx(1), pytest.approx(0))


def test_the_style_itself_leaves_no_gap_and_a_distance(weights, china, flower):
    judged = Teacher(weights).judge(flower[:96, :96], china[:96, :96], flower[:96, :96])
    assert judged.style_gap == pytest.approx(0, abs=1e-9)
    assert judged.content > 0.5


def test_a_mixture_of_the_two_lies_between(weights, china, flower):
    photo, style = china[:96, :96], flower[:96, :96]
    half = ((photo.astype(int) + style) // 2).astype(np.uint8)
    judged = Teacher(weights).judge(half, photo, style)
    assert 0 < judged.style_gap < 1


def test_psnr_is_that_of_the_mean_square_error(china):
    assert psnr(china, china) == float("inf")
    shifted = np.where(china < 250, china + 5, china - 5).astype(np.uint8)
    assert psnr(shifted, china) == pytest.approx(10 * np.log10(255**2 / 25))


def test_a_file_that_is_no_teacher_is_named(tmp_path):
    with pytest.raises(AdainError, match=r"none\.safetensors: the teacher's weights cannot be read"):
        Teacher(tmp_path / "none.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(AdainError, match=r"other\.safetensors: holds no conv1_1\.weight"):
        Teacher(tmp_path / "other.safetensors")


def test_the_command_pairs_contents_with_styles_and_names_the_worst(weights, china, flower, tmp_path):
    for name, picture in (("a", china), ("b", china[::-1]), ("s", flower)):
        Image.fromarray(picture[:80, :96]).save(tmp_path / f"{name}.png")
    pictures = [str(tmp_path / f"{name}.png") for name in ("a", "b")]
    options = ["--style", str(tmp_path / "s.png"), "--teacher", str(weights), "--size", "64"]
    said = CliRunner().invoke(command, ["quality", *pictures, *options])
    assert "2 pairs, 64 pixels" in said.stdout
    assert "PSNR against fp32: median" in said.stdout
    pairs = json.loads(CliRunner().invoke(command, ["quality", *pictures, *options, "--json"]).stdout)
    assert [pair["photo"] for pair in pairs] == pictures
    assert all(pair["here"]["style_gap"] < 1 and pair["psnr"] > 25 for pair in pairs)
