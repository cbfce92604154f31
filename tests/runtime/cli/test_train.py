"""``adain-rt train``, as a person runs it."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from adain_models.networks.vgg19 import Vgg19
from adain_models.weights import checkpoint

SMALL = ("--steps", "2", "--batch", "1", "--size", "64")


@pytest.fixture
def desk(tmp_path, monkeypatch, china, flower):
    """A folder with photographs and paintings, of which some are held out."""
    monkeypatch.chdir(tmp_path)
    for folder, picture in (("photos", china), ("paintings", flower)):
        (tmp_path / folder).mkdir()
        for number in range(12):
            Image.fromarray(picture[number : number + 100, :140]).save(tmp_path / folder / f"{number:05}.png")
    return tmp_path


def test_a_run_leaves_weights_a_state_samples_and_a_log(run, desk, narrow_teacher):
    options = ("--content", "photos", "--style", "paintings:2", "--teacher", narrow_teacher, *SMALL, "-o", "run")
    assert run("train", *options).status == 0
    assert {path.name for path in (desk / "run").iterdir()} >= {
        "weights.safetensors", "state.pt", "samples-000002.jpg", "log.jsonl",
    }  # fmt: skip
    assert checkpoint.load(desk / "run" / "weights.safetensors").architecture == "lite"
    (line,) = map(json.loads, (desk / "run" / "log.jsonl").read_text().splitlines())
    assert line["step"] == 2
    assert line.keys() >= {"content", "style", "texture", "identity", "steps_per_second"}
    run("train", *options).refused("holds a run already", "--resume")
    assert run("train", *options, "--resume").status == 0


def test_a_run_ends_when_its_minutes_are_over(run, desk, narrow_teacher):
    options = ("--content", "photos", "--style", "paintings", "--teacher", narrow_teacher, "--size", "64")
    assert run("train", *options, "--minutes", "0.02", "-o", "run").status == 0
    (*_, line) = map(json.loads, (desk / "run" / "log.jsonl").read_text().splitlines())
    assert {path.name for path in (desk / "run").iterdir()} >= {"state.pt", f"samples-{line['step']:06d}.jpg"}
    assert run("train", *options, "--minutes", "0.02", "-o", "run", "--resume").out.startswith("run/weights")


def test_without_a_teacher_a_decoder_is_trained_afresh(run, desk):
    checkpoint.save(Vgg19(width=4), desk / "mine" / "weights.safetensors")
    before = checkpoint.load(desk / "mine" / "weights.safetensors")
    options = ("--content", "photos", "--style", "paintings", "--model", "mine", "--fresh", *SMALL, "-o", "run")
    assert run("train", *options).status == 0
    after = checkpoint.load(desk / "run" / "weights.safetensors")
    assert after.encoder.conv1_1.weight.equal(before.encoder.conv1_1.weight)
    assert not after.decoder.conv1_1.weight.equal(before.decoder.conv1_1.weight)


def test_what_needs_a_teacher_is_refused_without_one(run, desk):
    options = ("--content", "photos", "--style", "paintings", *SMALL, "-o", "run")
    run("train", *options).refused("lite", "--teacher")
    checkpoint.save(Vgg19(width=4), desk / "mine" / "weights.safetensors")
    run("train", *options, "--model", "mine", "--unrest-weight", "3").refused("--unrest-weight", "--teacher")
    run("train", *options, "--model", "mine", "--vgg16", "vgg16.safetensors").refused("--vgg16", "--teacher")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--style", "nowhere"), "nowhere"),
        (("--style", "paintings:0"), "more than 0"),
        (("--style", "paintings:much"), "no such directory"),
        (("--size", "72"), "multiple of 16"),
        (("--rate", "0"), "--rate"),
        (("--rate", "nan"), "nan is not a finite number"),
        (("--minutes", "nan"), "nan is not a finite number"),
        (("--unrest-weight", "inf"), "inf is not a finite number"),
        (("--teacher", "none.safetensors"), "none.safetensors: there is no such file"),
        (("--teacher", "photos/00000.png"), "not a safetensors file"),
        (("--resume",), "nothing to resume"),
    ],
)
def test_bad_options_are_refused_in_one_line(run, desk, narrow_teacher, options, said):
    usual = ("--content", "photos", "--style", "paintings", "--teacher", narrow_teacher, *SMALL, "-o", "run")
    run("train", *usual, *options).refused(said)
    assert not (desk / "run" / "state.pt").exists()
