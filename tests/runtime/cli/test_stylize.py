"""``adain-rt stylize``: what it makes of every kind of argument, and what it refuses."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from adain_rt.color import coral, keep_chroma
from adain_rt.media.pictures import resize_to
from adain_rt.style import Style

STYLE = ("--style", "painting.png", "--style-size", "0")


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


@pytest.fixture
def codes(desk, stylizer) -> dict[str, Style]:
    """The styles of the two pictures, at their own size."""
    return {name: stylizer.encode(pixels(name)) for name in ("painting.png", "photo.jpg")}


def test_a_photo_is_painted_beside_nothing_else_and_in_silence(run, desk, stylizer, codes):
    result = run("stylize", "photo.jpg", *STYLE)
    assert (result.status, result.out, result.err) == (0, "", "")
    assert sorted(path.name for path in desk.iterdir()) == ["painting.png", "photo.jpg", "photo_stylized_painting.jpg"]
    made = pixels("photo_stylized_painting.jpg").astype(int)
    assert np.abs(made - stylizer.stylize(pixels("photo.jpg"), codes["painting.png"])).mean() < 3  # JPEG's loss


@pytest.mark.parametrize("alpha", ["0", "0.4", "1"])
def test_alpha_is_the_strength(run, stylizer, codes, alpha):
    assert run("stylize", "photo.jpg", *STYLE, "--alpha", alpha, "-o", "out.png").status == 0
    expected = stylizer.stylize(pixels("photo.jpg"), codes["painting.png"], strength=float(alpha))
    np.testing.assert_array_equal(pixels("out.png"), expected)


def test_several_styles_are_mixed_by_their_weights(run, stylizer, codes):
    assert (
        run(
            "stylize",
            "photo.jpg",
            "--style",
            "painting.png:3",
            "--style",
            "photo.jpg",
            "--style-size",
            0,
            "-o",
            "out.png",
        ).status
        == 0
    )
    expected = stylizer.stylize(pixels("photo.jpg"), Style.mix([codes["painting.png"], codes["photo.jpg"]], [3, 1]))
    np.testing.assert_array_equal(pixels("out.png"), expected)


def test_masks_give_each_style_its_region(run, desk, stylizer, codes):
    left = np.zeros((64, 96), np.uint8)
    left[:, :40] = 255
    Image.fromarray(left).save("left.png")
    Image.fromarray(255 - left).save("right.png")
    styles = (
        "--style",
        "painting.png",
        "--style",
        "photo.jpg",
        "--style-size",
        0,
        "--mask",
        "left.png",
        "--mask",
        "right.png",
    )
    assert run("stylize", "photo.jpg", *styles, "-o", "out.png").status == 0
    both = [codes["painting.png"], codes["photo.jpg"]]
    expected = stylizer.stylize(pixels("photo.jpg"), both, masks=np.stack([left, 255 - left]))
    np.testing.assert_array_equal(pixels("out.png"), expected)


def test_masks_are_cropped_and_resized_with_the_content(run, desk):
    Image.fromarray(np.full((64, 96), 255, np.uint8)).save("all.png")
    options = ("--mask", "all.png", "--crop", "--size", 32)
    assert run("stylize", "photo.jpg", *STYLE, *options, "-o", "out.png").status == 0
    assert pixels("out.png").shape == (32, 32, 3)


def test_coral_recolours_the_style_and_luma_keeps_the_chroma(run, stylizer, codes):
    content, painting = pixels("photo.jpg"), pixels("painting.png")
    assert run("stylize", "photo.jpg", *STYLE, "--color", "coral", "-o", "coral.png").status == 0
    expected = stylizer.stylize(content, stylizer.encode(coral(painting, content)))
    np.testing.assert_array_equal(pixels("coral.png"), expected)
    assert run("stylize", "photo.jpg", *STYLE, "--color", "luma", "-o", "luma.png").status == 0
    expected = keep_chroma(content, stylizer.stylize(content, codes["painting.png"]))
    np.testing.assert_array_equal(pixels("luma.png"), expected)


def test_size_is_the_shorter_sides_and_crop_makes_a_square(run, desk):
    assert run("stylize", "photo.jpg", *STYLE, "--size", 32, "-o", "out.png").status == 0
    assert pixels("out.png").shape == (32, 48, 3)
    assert run("stylize", "photo.jpg", *STYLE, "--crop", "-o", "square.png").status == 0
    assert pixels("square.png").shape == (64, 64, 3)


def test_directories_are_painted_every_content_in_every_style(run, desk):
    (desk / "photos").mkdir()
    (desk / "styles").mkdir()
    for name in ("a.png", "b.jpg"):
        Image.fromarray(pixels("photo.jpg")).save(desk / "photos" / name)
    (desk / "photos" / "notes.txt").write_text("no picture")
    Image.fromarray(pixels("painting.png")).save(desk / "styles" / "p.png")
    assert run("style", "save", "painting.png", "-o", "styles/q.safetensors").status == 0
    assert run("stylize", "photos", "--style", "styles", "-o", "out").status == 0
    assert sorted(path.name for path in (desk / "out").iterdir()) == [
        "a_stylized_p.png",
        "a_stylized_q.png",
        "b_stylized_p.jpg",
        "b_stylized_q.jpg",
    ]


def test_a_glob_is_expanded_here_where_no_shell_did(run, desk):
    Image.fromarray(pixels("photo.jpg")).save("photo2.jpg")
    assert run("stylize", "photo*.jpg", *STYLE, "-o", "out").status == 0
    assert len(list((desk / "out").iterdir())) == 2


def test_a_preset_and_a_saved_style_paint_the_same(run, desk, stylizer):
    source = stylizer.directory / "presets" / "great-wave.safetensors"
    (desk / "saved.safetensors").write_bytes(source.read_bytes())
    assert run("stylize", "photo.jpg", "--style", "@great-wave", "-o", "one.png").status == 0
    assert run("stylize", "photo.jpg", "--style", "saved.safetensors", "-o", "two.png").status == 0
    np.testing.assert_array_equal(pixels("one.png"), pixels("two.png"))


def test_json_says_what_was_done(run, desk):
    result = run("stylize", "photo.jpg", *STYLE, "-o", "out.png", "--json")
    said = json.loads(result.out)
    assert (said["model"], said["backend"], said["failures"]) == ("lite", "openvino", [])
    (output,) = said["outputs"]
    assert output.pop("seconds") > 0
    assert output == {"content": "photo.jpg", "style": "painting", "output": "out.png", "width": 96, "height": 64}


def test_alpha_channels_and_exif_pass_through(run, desk):
    image = Image.fromarray(pixels("photo.jpg"))
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    exif = Image.Exif()
    exif[0x013B] = "The Artist"
    image.save("see-through.png", exif=exif)
    assert run("stylize", "see-through.png", *STYLE).status == 0
    with Image.open("see-through_stylized_painting.png") as made:
        assert made.getexif()[0x013B] == "The Artist"
        np.testing.assert_array_equal(np.array(made.getchannel("A")), np.array(image.getchannel("A")))


def test_of_an_animation_the_first_frame_is_painted_and_that_is_said(run, desk):
    frames = [Image.fromarray(pixels("photo.jpg")), Image.new("RGB", (96, 64), "red")]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    result = run("stylize", "moving.gif", *STYLE)
    assert result.status == 0
    assert result.err == "adain-rt: moving.gif: has 2 frames or pages; the first is stylised\n"
    assert (desk / "moving_stylized_painting.png").exists()


def test_stdin_to_stdout_is_a_png_and_nothing_else(desk, stylizer, codes):
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", "from adain_rt.cli import main; main()", "stylize", "-", *STYLE],
        input=(desk / "photo.jpg").read_bytes(),
        capture_output=True,
        check=True,
    )
    (desk / "out.png").write_bytes(done.stdout)
    assert done.stderr == b""
    np.testing.assert_array_equal(pixels("out.png"), stylizer.stylize(pixels("photo.jpg"), codes["painting.png"]))


def test_an_existing_file_is_replaced_only_when_told(run, desk):
    (desk / "out.png").write_text("precious")
    run("stylize", "photo.jpg", *STYLE, "-o", "out.png").refused("out.png: exists already", "--overwrite")
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
        (["photo.jpg", "--style", "@zzz"], ["@zzz", "adain-rt style list"]),
        (["photo.jpg"], ["--style", "adain-rt stylize --help"]),
        (["photo.jpg", *STYLE, "--alpha", "1.5"], ["--alpha", "1.5 is not from 0 to 1"]),
        (["photo.jpg", *STYLE, "--alpha", "nan"], ["--alpha", "nan is not from 0 to 1"]),
        (["photo.jpg", "--style", "painting.png:0"], ["--style painting.png:0", "all 0"]),
        (["photo.jpg", "--style", "painting.png:-1"], ["style painting.png:-1", "0 or more"]),
        (["photo.jpg", "--style", "painting.png:nan"], ["style painting.png:nan", "0 or more"]),
        (["photo.jpg", *STYLE, "--mask", "photo.jpg", "--mask", "photo.jpg"], ["1 --style and 2 --mask"]),
        (["photo.jpg", *STYLE, "--mask", "painting.png"], ["--mask painting.png", "64x64", "96x64"]),
        (["photo.jpg", "--style", "painting.png:2", "--mask", "photo.jpg"], ["leave out the weights"]),
        (["photo.jpg", *STYLE, "-o", "out.xyz"], ["out.xyz", ".jpg"]),
        (["photo.jpg", *STYLE, "--model", "nothing"], ["'nothing'", "lite"]),
        (["photo.jpg", *STYLE, "--backend", "abacus"], ["--backend", "abacus"]),
        (["photo.jpg", *STYLE, "--color", "red"], ["--color", "coral"]),
        (["photo.jpg", "--style", "@great-wave", "--color", "coral"], ["great-wave", "use luma"]),
        (["photo.jpg", "painting.png", *STYLE, "-o", "out.png"], ["out.png", "end a directory's name with /"]),
        (["-", *STYLE, "--json"], ["stdout", "-o"]),
        (["photo.jpg", "--style", "."  , "--style", "painting.png"], ["--style .", "give it alone"]),
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


def test_among_others_a_broken_picture_is_named_and_the_others_are_painted(run, desk):
    (desk / "photos").mkdir()
    for name in ("a.png", "c.png"):
        Image.fromarray(pixels("photo.jpg")).save(desk / "photos" / name)
    (desk / "photos" / "b.png").write_bytes(b"broken")
    result = run("stylize", "photos", *STYLE, "-o", "out", "--json")
    assert result.status == 1
    assert result.err.count("\n") == 1
    assert "b.png" in result.err
    assert [path.name for path in sorted((desk / "out").iterdir())] == [
        "a_stylized_painting.png",
        "c_stylized_painting.png",
    ]
    (failure,) = json.loads(result.out)["failures"]
    assert failure["source"].endswith("b.png")


def test_in_a_directory_of_styles_a_broken_one_is_named_and_left_out(run, desk):
    (desk / "styles").mkdir()
    Image.fromarray(pixels("painting.png")).save(desk / "styles" / "good.png")
    (desk / "styles" / "bad.png").write_bytes(b"broken")
    result = run("stylize", "photo.jpg", "--style", "styles", "-o", "out/")
    assert result.status == 1
    assert "bad.png" in result.err
    assert [path.name for path in (desk / "out").iterdir()] == ["photo_stylized_good.jpg"]


def test_where_every_picture_is_broken_the_status_is_2(run, desk):
    for name in ("a.png", "b.png"):
        (desk / name).write_bytes(b"broken")
    result = run("stylize", "a.png", "b.png", *STYLE, "-o", "out")
    assert (result.status, result.err.count("\n")) == (2, 2)


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


def test_a_full_disk_leaves_nothing_half_written(desk):
    """A limit on file sizes stops the write in its middle, as a full disk does."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    before = sorted(desk.iterdir())
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-B", "-c", "from adain_rt.cli import main; main()", "stylize", "photo.jpg", *STYLE],
        capture_output=True,
        check=False,
        preexec_fn=limit,
        text=True,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 2
    assert done.stderr == "adain-rt: photo_stylized_painting.jpg: cannot be written (File too large)\n"
    assert sorted(desk.iterdir()) == before


def test_weights_and_alpha_count_with_masks_and_colours_too(run, stylizer, codes):
    Image.fromarray(np.full((64, 96), 255, np.uint8)).save("all.png")
    options = ("--mask", "all.png", "--alpha", "0.5", "--color", "luma")
    assert run("stylize", "photo.jpg", *STYLE, *options, "-o", "out.png").status == 0
    content, everywhere = pixels("photo.jpg"), np.full((1, 64, 96), 255, np.uint8)
    made = stylizer.stylize(content, [codes["painting.png"]], strength=0.5, masks=everywhere)
    np.testing.assert_array_equal(pixels("out.png"), keep_chroma(content, made))


def test_a_cut_out_is_stylised_as_if_it_were_all_there_is(run, desk, stylizer, codes, china):
    """What nobody sees counts in no statistics: neither of a content nor of a style."""
    content = np.ascontiguousarray(china[:424])
    rgba = np.zeros((744, 960, 4), np.uint8)
    rgba[160:584, 160:800] = np.dstack([content, np.full(content.shape[:2], 255, np.uint8)])
    Image.fromarray(rgba).save("sticker.png")
    assert run("stylize", "sticker.png", *STYLE, "-o", "out.png").status == 0
    plain = stylizer.stylize(content, codes["painting.png"]).astype(int)
    counted = stylizer.stylize(rgba[..., :3].copy(), codes["painting.png"])  # with the black that is not seen
    inside = np.s_[112:-112, 112:-112]  # nearer to its rim a pixel sees what is beside it
    made_off, counted_off = (
        np.abs(picture[160:584, 160:800] - plain)[inside].mean() for picture in (pixels("out.png"), counted)
    )
    assert made_off < 3
    assert made_off < 0.3 * counted_off
    assert run("style", "save", "sticker.png", "--style-size", 0, "-o", "sticker.safetensors").status == 0
    np.testing.assert_array_equal(Style.load(desk / "sticker.safetensors").mean, stylizer.encode(content).mean)


def test_a_style_of_which_nothing_is_visible_is_refused(run, desk):
    Image.new("RGBA", (64, 64), (200, 10, 10, 0)).save("clear.png")
    run("stylize", "photo.jpg", "--style", "clear.png").refused("clear.png", "transparent all over")


def test_a_narrow_style_is_not_blown_up(run, desk, stylizer):
    strip = np.random.default_rng(0).integers(0, 256, (16, 4000, 3), np.uint8)
    Image.fromarray(strip).save("strip.png")
    assert run("style", "save", "strip.png", "-o", "strip.safetensors").status == 0
    np.testing.assert_array_equal(Style.load(desk / "strip.safetensors").mean, stylizer.encode(strip).mean)


def test_a_style_picture_is_resized_before_it_is_encoded(run, desk, stylizer):
    assert run("style", "save", "painting.png", "--style-size", 32, "-o", "small.safetensors").status == 0
    expected = stylizer.encode(resize_to(pixels("painting.png"), 32))
    np.testing.assert_array_equal(Style.load(desk / "small.safetensors").mean, expected.mean)


def test_pictures_that_need_more_memory_than_there_is_are_named_and_the_others_stylised(run, desk, monkeypatch):
    Image.fromarray(pixels("photo.jpg")).resize((480, 320)).save("large.png")
    monkeypatch.setattr("adain_rt.machine.memory.available_bytes", lambda: 20_000_000)
    result = run("stylize", "large.png", "photo.jpg", *STYLE, "-o", "out")
    assert result.status == 1
    assert result.err.startswith("adain-rt: large.png: 480x320 pixels may take ")
    assert "pixels fits)" in result.err
    assert [path.name for path in (desk / "out").iterdir()] == ["photo_stylized_painting.jpg"]


def test_a_size_that_is_too_large_for_one_picture_leaves_the_others(run, desk):
    Image.new("RGB", (4000, 1)).save("line.png")
    result = run("stylize", "line.png", "photo.jpg", *STYLE, "--size", 200, "-o", "out")
    assert result.status == 1
    assert result.err.startswith("adain-rt: line.png: ")
    assert [path.name for path in (desk / "out").iterdir()] == ["photo_stylized_painting.jpg"]


def test_in_a_directory_hidden_files_folders_and_pipes_are_passed_over(run, desk):
    (desk / "photos").mkdir()
    Image.fromarray(pixels("photo.jpg")).save(desk / "photos" / "a.png")
    (desk / "photos" / "._a.png").write_bytes(b"what some systems keep beside a picture")
    (desk / "photos" / "folder.jpg").mkdir()
    os.mkfifo(desk / "photos" / "pipe.png")
    assert run("stylize", "photos", *STYLE, "-o", "out").status == 0
    assert [path.name for path in (desk / "out").iterdir()] == ["a_stylized_painting.png"]


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


def test_a_long_name_is_cut_to_what_a_result_can_be_called(run, desk):
    name = "画" * 80 + ".png"
    Image.fromarray(pixels("photo.jpg")).save(name)
    assert run("stylize", name, *STYLE, "-o", "out/").status == 0
    assert len(list((desk / "out").iterdir())) == 1


def test_masks_are_inputs_and_are_not_overwritten(run, desk):
    Image.fromarray(np.full((64, 96), 255, np.uint8)).save("all.png")
    run("stylize", "photo.jpg", *STYLE, "--mask", "all.png", "-o", "all.png", "--overwrite").refused("is an input")


def test_an_empty_argument_is_refused(run, desk):
    run("stylize", "photo.jpg", "--style", "").refused("an argument is empty")


def test_weights_that_differ_are_in_the_results_name(run, desk):
    assert run("stylize", "photo.jpg", "--style", "painting.png:3", "--style", "photo.jpg", "-o", "out/").status == 0
    assert [path.name for path in (desk / "out").iterdir()] == ["photo_stylized_painting-3+photo-1.jpg"]


def terminal(*arguments: str) -> tuple[int, str]:
    """Run the command on a terminal; return its exit status and what was shown."""
    screen, ours = pty.openpty()
    command = [sys.executable, "-c", "from adain_rt.cli import main; main()", *arguments]
    process = subprocess.Popen(command, stdin=ours, stdout=ours, stderr=ours)  # noqa: S603 - our own program
    os.close(ours)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal says that the other end is closed
        while block := os.read(screen, 1 << 16):
            shown += block
    os.close(screen)
    return process.wait(), shown.decode()


def test_on_a_terminal_there_is_a_progress_bar_and_what_was_written(desk):
    status, shown = terminal("stylize", "photo.jpg", *STYLE, "-o", "out.png")
    assert status == 0
    assert "Stylizing" in shown
    assert "100%" in shown
    assert "out.png  96x64" in shown


def test_a_picture_is_not_written_to_a_terminal(desk):
    status, shown = terminal("stylize", "photo.jpg", *STYLE, "-o", "-")
    assert status == 2
    assert "name a file with -o" in shown


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_program_without_one_of_its_streams_still_works(desk, closed):
    command = f"{sys.executable} -c 'from adain_rt.cli import main; main()' stylize photo.jpg"
    done = subprocess.run(  # noqa: S602 - the shell is what closes a stream
        f"{command} --style painting.png -o out.png {closed}", shell=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert pixels("out.png").shape == (64, 96, 3)


@pytest.mark.parametrize("command", ["stylize - --style painting.png", "info", "--help"])
def test_a_full_disk_behind_stdout_is_one_line(desk, command):
    program = f"{sys.executable} -c 'from adain_rt.cli import main; main()' {command}"
    done = subprocess.run(  # noqa: S602 - the shell redirects
        f"{program} < photo.jpg > /dev/full", shell=True, capture_output=True, check=False, text=True
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "No space left on device" in done.stderr


@pytest.mark.parametrize(("signal_number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_batch_says_what_failed_and_leaves_nothing_half_written(desk, signal_number, status):
    (desk / "photos").mkdir()
    (desk / "photos" / "0.png").write_bytes(b"broken")
    for number in range(1, 200):
        (desk / "photos" / f"{number:03}.jpg").write_bytes((desk / "photo.jpg").read_bytes())
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", "from adain_rt.cli import main; main()", "stylize", "photos", *STYLE, "-o", "out/"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (desk / "out").exists() or len(list((desk / "out").iterdir())) < 3:
        time.sleep(0.01)
    process.send_signal(signal_number)
    _, said = process.communicate()
    assert process.returncode == status
    assert "0.png" in said
    assert "Traceback" not in said
    assert {path.suffix for path in (desk / "out").iterdir()} == {".jpg"}
    assert len(list((desk / "out").iterdir())) < 199
