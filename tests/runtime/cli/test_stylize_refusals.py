"""``adain-rt stylize``: what is refused, in one line, without leaving anything behind."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.runtime.cli.painted import STYLE, pixels

from adain_rt.style import Style


def test_an_existing_file_is_replaced_only_when_told(run, desk):
    (desk / "out.png").write_text("precious")
    run("stylize", "photo.jpg", *STYLE, "-o", "out.png").refused("out.png: exists already", "--overwrite", "--output")
    assert (desk / "out.png").read_text() == "precious"
    assert run("stylize", "photo.jpg", *STYLE, "-o", "out.png", "--overwrite").status == 0
    assert pixels("out.png").shape == (64, 96, 3)


@pytest.mark.parametrize("target", ["photo.jpg", "./photo.jpg", "painting.png"])
def test_an_input_is_never_overwritten(run, desk, target):
    before = (desk / target).read_bytes()
    run("stylize", "photo.jpg", *STYLE, "-o", target, "--overwrite").refused(target.removeprefix("./"), "is an input")
    assert (desk / target).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.jpg", *STYLE], ["missing.jpg", "no such file"]),
        (["*.tiff", *STYLE], ["*.tiff", "matches no file"]),
        (["photo.jpg", "--style", "missing.jpg"], ["missing.jpg", "no such file"]),
        (["photo.jpg", "--style", "@stary-night"], ["@stary-night", "did you mean @starry-night?"]),
        (["photo.jpg", "--style", "starry-night"], ["no such file", "did you mean @starry-night?"]),
        (["photo.jpg", "--style", "@zzz"], ["@zzz", "adain-rt style list"]),
        (["photo.jpg"], ["--style", "adain-rt stylize --help"]),
        (["photo.jpg", *STYLE, "--alpha", "1.5"], ["--alpha", "1.5 is not from 0 to 1"]),
        (["photo.jpg", *STYLE, "--alpha", "nan"], ["--alpha", "nan is not from 0 to 1"]),
        (["photo.jpg", "--style", "painting.png:0"], ["style painting.png:0", "all 0"]),
        (["photo.jpg", "--style", "painting.png:-1"], ["style painting.png:-1", "0 or more"]),
        (["photo.jpg", "--style", "painting.png:nan"], ["style painting.png:nan", "0 or more"]),
        (["photo.jpg", *STYLE, "--mask", "photo.jpg", "--mask", "photo.jpg"], ["number of styles is 1 and of masks 2"]),
        (["photo.jpg", *STYLE, "--mask", "painting.png"], ["mask painting.png", "64x64", "96x64"]),
        (["photo.jpg", "--style", "painting.png:2", "--mask", "photo.jpg"], ["leave out the weights"]),
        (["photo.jpg", *STYLE, "-o", "out.xyz"], ["out.xyz", ".jpg"]),
        (["photo.jpg", *STYLE, "--model", "nothing"], ["'nothing'", "lite"]),
        (["photo.jpg", *STYLE, "--backend", "abacus"], ["--backend", "abacus"]),
        (["photo.jpg", *STYLE, "--color", "red"], ["--color", "coral"]),
        (["photo.jpg", *STYLE, "--underpainting", "33"], ["--underpainting", "33 is not from 0 to 32"]),
        (["photo.jpg", *STYLE, "--underpainting", "nan"], ["--underpainting", "nan is not from 0 to 32"]),
        (["photo.jpg", *STYLE, "--strokes", "10"], ["at least 64 pixels", "set --strokes to 512, or to 0"]),
        (["photo.jpg", "--style", "@great-wave", "--color", "coral"], ["great-wave", "use --color luma"]),
        (["photo.jpg", "painting.png", *STYLE, "-o", "out.png"], ["out.png", "end a directory's name with /"]),
        (["-", *STYLE, "--json"], ["stdout", "-o"]),
        (["photo.jpg", "--style", "."  , "--style", "painting.png"], ["style .", "give it alone"]),
        (["--nonsense"], ["--nonsense"]),
    ],
)  # fmt: skip
def test_bad_arguments_are_refused_in_one_line_and_leave_nothing(run, desk, arguments, said):
    before = sorted(desk.iterdir())
    run("stylize", *arguments).refused(*said)
    assert sorted(desk.iterdir()) == before


BROKEN = {
    "text.jpg": b"this is no picture",
    "empty.png": b"",
    "bomb.png": bytes.fromhex("89504e470d0a1a0a0000000d49484452000186a0000186a00802000000") + bytes(4),
}


@pytest.mark.parametrize("name", [*BROKEN, "cut.jpg"])
def test_a_broken_picture_is_refused_as_content_as_style_and_as_mask(run, desk, name):
    data = BROKEN.get(name, (desk / "photo.jpg").read_bytes()[:1500])
    (desk / name).write_bytes(data)
    before = sorted(desk.iterdir())
    run("stylize", name, *STYLE, "-o", "out.png").refused(name)
    run("stylize", "photo.jpg", "--style", name, "-o", "out.png").refused(name)
    run("stylize", "photo.jpg", *STYLE, "--mask", name, "-o", "out.png").refused(name)
    assert sorted(desk.iterdir()) == before


def test_two_contents_of_one_name_do_not_overwrite_each_other(run, desk):
    for folder in ("one", "two"):
        (desk / folder).mkdir()
        Image.fromarray(pixels("photo.jpg")).save(desk / folder / "same.png")
    run("stylize", "one/same.png", "two/same.png", *STYLE, "-o", "out").refused("same_stylized_painting.png", "both")


def test_a_style_of_another_model_is_refused_by_its_file(run, desk, codes):
    style = codes["painting.png"]
    Style(style.mean, style.std, "vgg19", "f" * 64).save(desk / "other.safetensors")
    run("stylize", "photo.jpg", "--style", "other.safetensors").refused("other.safetensors", "vgg19", "save it again")


def test_a_model_that_was_not_fetched_says_how(run, desk, monkeypatch):
    monkeypatch.setenv("ADAIN_RT_CACHE", str(desk / "cache"))
    run("stylize", "photo.jpg", *STYLE, "--model", "vgg19").refused("vgg19", "adain-rt weights fetch vgg19")


def test_a_place_that_cannot_be_written_is_named(run, desk):
    (desk / "file").write_text("x")
    run("stylize", "photo.jpg", *STYLE, "-o", "file/out.png").refused("file/out.png", "cannot be written")
    assert (desk / "file").read_text() == "x"


def test_a_style_of_which_nothing_is_visible_is_refused(run, desk):
    Image.new("RGBA", (64, 64), (200, 10, 10, 0)).save("clear.png")
    run("stylize", "photo.jpg", "--style", "clear.png").refused("clear.png", "transparent all over")


def test_a_directory_of_which_no_style_can_be_read_is_refused_style_by_style(run, desk):
    (desk / "styles").mkdir()
    (desk / "styles" / "bad.png").write_bytes(b"broken")
    for output in ("x.png", "out/", "out"):
        run("stylize", "photo.jpg", "--style", "styles", "-o", output).refused("bad.png")


@pytest.mark.parametrize("place", ["content", "style", "output", "model"])
def test_a_name_longer_than_any_file_may_have_is_refused(run, desk, place):
    long = "x" * 300 + ".png"
    given = {"content": "photo.jpg", "style": "painting.png", "output": "out.png", "model": "lite"} | {place: long}
    arguments = [given["content"], "--style", given["style"], "-o", given["output"], "--model", given["model"]]
    run("stylize", *arguments).refused("xxx")


def test_masks_are_inputs_and_are_not_overwritten(run, desk):
    Image.fromarray(np.full((64, 96), 255, np.uint8)).save("all.png")
    run("stylize", "photo.jpg", *STYLE, "--mask", "all.png", "-o", "all.png", "--overwrite").refused("is an input")


def test_an_empty_argument_is_refused(run, desk):
    run("stylize", "photo.jpg", "--style", "").refused("an argument is empty")
