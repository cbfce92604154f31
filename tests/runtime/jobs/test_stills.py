"""The job that stylises pictures, as a program drives it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.jobs.stills import Done, Failed, Remark, Stills
from adain_rt.jobs.styles import parse
from adain_rt.media.pictures import read_picture

PHOTO = Path("photo.jpg")


def job(*styles: str, contents=(PHOTO,), **options) -> Stills:
    return Stills(list(contents), [parse(style) for style in styles], **options)


def test_a_result_is_yielded_when_it_is_written(desk, stylizer):
    (outcome,) = job("painting.png", style_size=0, output="out.png").run(stylizer)
    assert isinstance(outcome, Done)
    assert outcome.seconds > 0
    assert (outcome.content, outcome.style, outcome.output) == (PHOTO, "painting", Path("out.png"))
    assert (outcome.width, outcome.height) == (96, 64)
    expected = stylizer.stylize(read_picture(PHOTO).pixels, stylizer.encode(read_picture(Path("painting.png")).pixels))
    np.testing.assert_array_equal(read_picture(Path("out.png")).pixels, expected)


def test_nothing_is_computed_before_the_first_outcome_is_asked_for(desk, stylizer):
    work = job("painting.png", output="out.png")
    outcomes = work.run(stylizer)
    assert list(work.targets.values()) == [Path("out.png")]
    assert not (desk / "out.png").exists()
    next(outcomes)
    assert (desk / "out.png").exists()


def test_failures_and_remarks_are_outcomes_and_cost_nothing_else(desk, stylizer):
    (desk / "styles").mkdir()
    (desk / "styles" / "bad.png").write_bytes(b"broken")
    (desk / "styles" / "good.png").write_bytes((desk / "painting.png").read_bytes())
    (desk / "broken.jpg").write_bytes(b"broken")
    frames = [Image.new("RGB", (20, 16), color) for color in ("red", "lime")]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    contents = [Path("broken.jpg"), Path("moving.gif")]
    work = job("styles", contents=contents, output="out")
    style, content, remark, done = work.run(stylizer)
    assert isinstance(style, Failed)
    assert (style.source, style.results) == (f"styles{os.sep}bad.png", 2)
    assert isinstance(content, Failed)
    assert (content.source, content.results) == ("broken.jpg", 1)
    assert str(content.error).startswith("broken.jpg: ")
    assert remark == Remark("moving.gif: has 2 frames or pages; the first is stylised")
    assert isinstance(done, Done)
    assert len(work.targets) == style.results + content.results + 1


def test_what_is_lost_of_a_picture_is_a_remark(desk, stylizer):
    whole = (desk / PHOTO).read_bytes()
    Path("cut.jpg").write_bytes(whole.removesuffix(b"\xff\xd9"))
    remark, done = job("painting.png", contents=[Path("cut.jpg")], output="out.png").run(stylizer)
    assert remark == Remark("cut.jpg: lacks the end of a JPEG, but no pixel; it may have been cut short")
    assert isinstance(done, Done)


def test_a_failure_names_its_content_once(desk, stylizer, monkeypatch):
    def fail(*_, **__):
        raise AdainError("too much", hint="use another `backend`")

    monkeypatch.setattr("adain_rt.stylizer.Stylizer.stylize", fail)
    (outcome,) = job("@great-wave", output="out.png").run(stylizer)
    assert isinstance(outcome, Failed)
    assert (outcome.error.message, outcome.error.hint) == ("photo.jpg: too much", "use another `backend`")


def test_a_style_is_encoded_once_for_all_contents_and_never_with_coral(desk, stylizer, monkeypatch):
    encoded = []
    encode = type(stylizer).encode
    monkeypatch.setattr(type(stylizer), "encode", lambda self, pixels: encoded.append(1) or encode(self, pixels))
    contents = [PHOTO, Path("painting.png")]
    assert len(list(job("painting.png", contents=contents, output="plain/").run(stylizer))) == 2
    assert len(encoded) == 1
    assert len(list(job("painting.png", contents=contents, color="coral", output="coral/").run(stylizer))) == 2
    assert len(encoded) == 3  # recoloured, and so encoded, for each content


def test_a_saved_style_cannot_be_recoloured_and_no_picture_is_read_to_find_out(desk, stylizer, monkeypatch):
    monkeypatch.setattr("adain_rt.jobs.stills.read_content", None)
    with pytest.raises(AdainError, match="great-wave") as caught:
        list(job("@great-wave", color="coral").run(stylizer))
    assert "`color` luma" in caught.value.hint


@pytest.mark.parametrize("other", ["wave.png", "wave.safetensors"])
def test_two_styles_of_one_name_are_refused(desk, other):
    (desk / "styles").mkdir()
    for name in ("wave.jpg", other):
        (desk / "styles" / name).write_bytes((desk / "painting.png").read_bytes())
    with pytest.raises(AdainError) as caught:
        job("styles", output="out")
    assert str(caught.value).startswith(
        f"photo.jpg in the style styles{os.sep}wave.jpg and photo.jpg in the style styles{os.sep}{other} would both "
    )


def test_what_cannot_be_is_refused_before_there_is_a_stylizer(desk):
    with pytest.raises(AdainError, match="would be overwritten") as caught:
        job("painting.png", output="photo.jpg", overwrite=True)
    assert caught.value.hint == "choose another `output`"
    with pytest.raises(AdainError, match="number of styles is 1 and of masks 2"):
        job("painting.png", masks=[PHOTO, PHOTO])


def test_a_job_prints_nothing_and_needs_no_command_line(desk):
    program = (
        "import sys; from pathlib import Path; from adain_rt.jobs import sheets, stills, styles\n"
        "from adain_rt import Stylizer\n"
        "(done,) = stills.Stills([Path('photo.jpg')], [styles.parse('@great-wave')]).run(Stylizer())\n"
        "assert 'click' not in sys.modules and not any(name.startswith('adain_rt.cli') for name in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)  # noqa: S603
    assert (done.stdout, done.stderr) == (b"", b"")
    assert (desk / "photo_stylized_great-wave.jpg").exists()
