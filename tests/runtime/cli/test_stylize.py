"""``adain-rt stylize``: the picture that each kind of argument makes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from tests.runtime.cli.painted import AS_IT_IS, ONCE, STYLE, pixels

from adain_rt import fit, paint
from adain_rt.color import coral, keep_chroma
from adain_rt.media.pictures import resize_to
from adain_rt.style import Style


def test_a_photo_is_painted_beside_nothing_else_and_in_silence(run, desk, stylizer, codes):
    result = run("stylize", "photo.jpg", *STYLE)
    assert (result.status, result.out, result.err) == (0, "", "")
    assert sorted(path.name for path in desk.iterdir()) == ["painting.png", "photo.jpg", "photo_stylized_painting.jpg"]
    made, photo = pixels("photo_stylized_painting.jpg").astype(int), pixels("photo.jpg")
    fitted = paint(stylizer, photo, fit(stylizer, photo, codes["painting.png"]))
    assert np.abs(made - fitted).mean() < 3  # JPEG's loss


def test_a_style_is_fitted_to_the_photo_unless_it_is_not_to_be(run, stylizer, codes):
    photo, style = pixels("photo.jpg"), codes["painting.png"]
    for options, code in (((), fit(stylizer, photo, style)), (("--no-fit",), style)):
        assert run("stylize", "photo.jpg", *STYLE, *options, "-o", "out.png", "--overwrite").status == 0
        np.testing.assert_array_equal(pixels("out.png"), paint(stylizer, photo, code))


@pytest.mark.parametrize("alpha", ["0", "0.4", "1"])
def test_alpha_is_the_strength(run, stylizer, codes, alpha):
    assert run("stylize", "photo.jpg", *ONCE, "--alpha", alpha, "-o", "out.png").status == 0
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
            *AS_IT_IS,
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
    assert run("stylize", "photo.jpg", *styles, *AS_IT_IS, "-o", "out.png").status == 0
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
    assert run("stylize", "photo.jpg", *ONCE, "--color", "coral", "-o", "coral.png").status == 0
    expected = stylizer.stylize(content, stylizer.encode(coral(painting, content)))
    np.testing.assert_array_equal(pixels("coral.png"), expected)
    assert run("stylize", "photo.jpg", *ONCE, "--color", "luma", "-o", "luma.png").status == 0
    expected = keep_chroma(content, stylizer.stylize(content, codes["painting.png"]))
    np.testing.assert_array_equal(pixels("luma.png"), expected)


def test_size_is_the_shorter_sides_and_crop_makes_a_square(run, desk):
    assert run("stylize", "photo.jpg", *STYLE, "--size", 32, "-o", "out.png").status == 0
    assert pixels("out.png").shape == (32, 48, 3)
    assert run("stylize", "photo.jpg", *STYLE, "--crop", "-o", "square.png").status == 0
    assert pixels("square.png").shape == (64, 64, 3)


def test_a_preset_and_a_saved_style_paint_the_same(run, desk, stylizer):
    source = stylizer.directory / "presets" / "great-wave.safetensors"
    (desk / "saved.safetensors").write_bytes(source.read_bytes())
    assert run("stylize", "photo.jpg", "--style", "@great-wave", "-o", "one.png").status == 0
    assert run("stylize", "photo.jpg", "--style", "saved.safetensors", "-o", "two.png").status == 0
    np.testing.assert_array_equal(pixels("one.png"), pixels("two.png"))


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


def test_weights_and_alpha_count_with_masks_and_colours_too(run, stylizer, codes):
    Image.fromarray(np.full((64, 96), 255, np.uint8)).save("all.png")
    options = ("--mask", "all.png", "--alpha", "0.5", "--color", "luma")
    assert run("stylize", "photo.jpg", *ONCE, *options, "-o", "out.png").status == 0
    content, everywhere = pixels("photo.jpg"), np.full((1, 64, 96), 255, np.uint8)
    made = stylizer.stylize(content, [codes["painting.png"]], strength=0.5, masks=everywhere)
    np.testing.assert_array_equal(pixels("out.png"), keep_chroma(content, made))


@pytest.mark.slow
def test_a_cut_out_is_stylised_as_if_it_were_all_there_is(run, desk, stylizer, codes, china):
    """What nobody sees counts in no statistics: neither of a content nor of a style."""
    content = np.ascontiguousarray(china[:424])
    rgba = np.zeros((744, 960, 4), np.uint8)
    rgba[160:584, 160:800] = np.dstack([content, np.full(content.shape[:2], 255, np.uint8)])
    Image.fromarray(rgba).save("sticker.png")
    assert run("stylize", "sticker.png", *ONCE, "--strokes", 0, "-o", "out.png").status == 0  # as the Stylizer does
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


def test_a_narrow_style_is_not_blown_up(run, desk, stylizer):
    strip = np.random.default_rng(0).integers(0, 256, (16, 4000, 3), np.uint8)
    Image.fromarray(strip).save("strip.png")
    assert run("style", "save", "strip.png", "-o", "strip.safetensors").status == 0
    np.testing.assert_array_equal(Style.load(desk / "strip.safetensors").mean, stylizer.encode(strip).mean)


def test_a_style_picture_is_resized_before_it_is_encoded(run, desk, stylizer):
    assert run("style", "save", "painting.png", "--style-size", 32, "-o", "small.safetensors").status == 0
    expected = stylizer.encode(resize_to(pixels("painting.png"), 32))
    np.testing.assert_array_equal(Style.load(desk / "small.safetensors").mean, expected.mean)
