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
from adain_rt import fit, paint
from adain_rt.jobs import stills
from adain_rt.jobs.stills import Done, Failed, Remark, Skipped, Stills
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
    photo, painting = (read_picture(path).pixels for path in (PHOTO, Path("painting.png")))
    expected = paint(stylizer, photo, fit(stylizer, photo, stylizer.encode(painting)))
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
    assert remark == Remark("cut.jpg: its end is missing, but no pixel is; it may have been cut short")
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
    options = {"contents": contents, "fit": False}
    assert len(list(job("painting.png", output="plain/", **options).run(stylizer))) == 2
    assert len(encoded) == 1
    assert len(list(job("painting.png", color="coral", output="coral/", **options).run(stylizer))) == 2
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


def test_two_contents_of_one_name_are_refused_and_so_is_a_content_that_is_its_own_styles_result(desk):
    for folder in ("one", "two"):
        (desk / folder).mkdir()
        (desk / folder / "a.jpg").write_bytes((desk / "photo.jpg").read_bytes())
    with pytest.raises(AdainError, match="would both become"):
        job("@great-wave", contents=[Path("one/a.jpg"), Path("two/a.jpg")], output="out")
    (desk / "photo_stylized_painting.jpg").write_bytes((desk / "photo.jpg").read_bytes())
    contents = [PHOTO, Path("photo_stylized_painting.jpg")]
    with pytest.raises(AdainError, match=r"^photo_stylized_painting.jpg: is an input, and would be overwritten"):
        job("painting.png", contents=contents, overwrite=True)


def test_a_content_may_be_a_style_as_well(desk, stylizer):
    (done,) = job("photo.jpg", output="out/").run(stylizer)
    assert isinstance(done, Done)
    assert done.output == Path("out/photo_stylized_photo.jpg")


def test_results_in_subfolders_keep_apart_what_has_one_name(desk, stylizer):
    folders = {Path("one/a.jpg"): Path("one"), Path("two/a.jpg"): Path("two/deep")}
    for path in folders:
        path.parent.mkdir()
        path.write_bytes(PHOTO.read_bytes())
    outcomes = list(Stills(folders, [parse("@great-wave")], output="out").run(stylizer))
    assert [each.output.as_posix() for each in outcomes if isinstance(each, Done)] == [
        "out/one/a_stylized_great-wave.jpg",
        "out/two/deep/a_stylized_great-wave.jpg",
    ]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_result_replaces_no_other_where_two_names_are_one(desk, stylizer, overwrite):
    """A link made during the job stands for a file system that takes two names for one."""
    contents = [PHOTO, Path("painting.png")]
    work = job("@great-wave", contents=contents, output="out", overwrite=overwrite).run(stylizer)
    done = next(work)
    assert isinstance(done, Done)
    Path("out/painting_stylized_great-wave.png").symlink_to(done.output.name)
    before = done.output.read_bytes()
    (failed,) = work
    assert isinstance(failed, Failed)
    assert str(failed.error) == (
        f"out{os.sep}painting_stylized_great-wave.png: is the result of photo.jpg already under a like name; "
        "rename one of the two"
    )
    assert done.output.read_bytes() == before


def test_a_file_that_appears_during_the_job_is_not_replaced(desk, stylizer):
    work = job("@great-wave", contents=[PHOTO, Path("painting.png")], output="out").run(stylizer)
    next(work)
    Path("out/painting_stylized_great-wave.png").write_text("of another program")
    (failed,) = work
    assert isinstance(failed, Failed)
    assert "exists already" in failed.error.message
    assert Path("out/painting_stylized_great-wave.png").read_text() == "of another program"


def test_a_resumed_job_does_what_is_missing_and_touches_nothing_else(desk, stylizer, monkeypatch):
    (desk / "styles").mkdir()
    for name in ("a.png", "b.png"):
        (desk / "styles" / name).write_bytes((desk / "painting.png").read_bytes())
    contents = [PHOTO, Path("painting.png")]
    first = job("styles", contents=contents, output="out").run(stylizer)
    written = [next(first).output for _ in range(3)]
    first.close()
    before = {path: path.stat() for path in written}
    read = []
    read_content = stills.read_content
    monkeypatch.setattr(stills, "read_content", lambda path: read.append(path) or read_content(path))
    *skipped, done = job("styles", contents=contents, output="out", resume=True).run(stylizer)
    assert [type(each) for each in skipped] == [Skipped] * 3
    assert [each.output for each in skipped] == written
    assert isinstance(done, Done)
    assert (done.content, done.style, read) == (Path("painting.png"), "b", [Path("painting.png")])
    assert {path: path.stat() for path in written} == before


def test_where_all_is_there_a_resumed_job_reads_nothing(desk, stylizer):
    (desk / "out.jpg").write_text("whatever it holds")
    (outcome,) = job("missing.png", output="out.jpg", resume=True).run(stylizer)
    assert outcome == Skipped(PHOTO, "missing", Path("out.jpg"))


def test_a_broken_style_costs_a_resumed_job_only_what_is_missing(desk, stylizer):
    (desk / "styles").mkdir()
    (desk / "styles" / "bad.png").write_bytes(b"broken")
    (desk / "out").mkdir()
    (desk / "out" / "photo_stylized_bad.jpg").touch()
    work = job("styles", contents=[PHOTO, Path("painting.png")], output="out", resume=True)
    skipped, failed = work.run(stylizer)
    assert isinstance(skipped, Skipped)
    assert isinstance(failed, Failed)
    assert failed.results == 1


def test_a_directory_that_is_painted_into_itself_can_be_resumed(desk, stylizer):
    list(job("@great-wave").run(stylizer))
    contents = [Path("painting.png"), PHOTO, Path("photo_stylized_great-wave.jpg")]
    outcomes = list(job("@great-wave", contents=contents, resume=True).run(stylizer))
    assert [type(each) for each in outcomes] == [Skipped, Done]
    assert [each.content for each in outcomes] == [PHOTO, Path("painting.png")]
    assert sorted(path.name for path in desk.iterdir()) == [
        "painting.png", "painting_stylized_great-wave.png", "photo.jpg", "photo_stylized_great-wave.jpg",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "why"), [("photo.jpg", "is an input"), ("painting.png", "is an input"), ("gone.png", "exists already")]
)
def test_what_is_no_result_is_not_taken_for_one(desk, name, why):
    (desk / "gone.png").symlink_to("nowhere")
    with pytest.raises(AdainError, match=f"^{name}: {why}"):
        job("painting.png", output=name, resume=True)


def test_a_folder_is_not_taken_for_a_result(desk):
    (desk / "out" / "photo_stylized_painting.jpg").mkdir(parents=True)
    with pytest.raises(AdainError, match=r"photo_stylized_painting.jpg: is a folder"):
        job("painting.png", output="out", resume=True)


def test_resuming_and_overwriting_exclude_each_other(desk):
    with pytest.raises(AdainError, match="both skipped and replaced") as caught:
        job("painting.png", resume=True, overwrite=True)
    assert caught.value.hint == "leave out `resume` or `overwrite`"


def test_masks_are_bounded_with_their_content(desk, stylizer):
    mask = np.zeros((64, 96), np.uint8)
    mask[:, :48] = 255
    Image.fromarray(mask).save("left.png")
    work = job("@great-wave", masks=[Path("left.png")], max_size=48, output="out.png")
    (done,) = work.run(stylizer)
    assert isinstance(done, Done)
    assert (done.width, done.height) == (48, 32)
    expected = read_picture(PHOTO).fit(0, crop=False, max_size=48).pixels
    painted = read_picture(Path("out.png")).pixels
    np.testing.assert_array_equal(painted[:, 30:], expected[:, 30:])
    assert np.abs(painted[:, :20].astype(int) - expected[:, :20]).mean() > 5


def test_a_narrow_picture_is_refused_for_the_size_that_it_would_have(desk, stylizer):
    Image.new("RGB", (1, 65_537)).save("strip.png")
    (failed,) = job("@great-wave", contents=[Path("strip.png")], size=64, output="out.png").run(stylizer)
    assert isinstance(failed, Failed)
    assert failed.error.message == (
        "strip.png: the picture of 1 x 65537 pixels would have 64 x 4194368 when it is resized, "
        "and 89,478,485 pixels are the most"
    )
    assert "`max_size`" in str(failed.error.hint)
    (done,) = job("@great-wave", contents=[Path("strip.png")], size=64, max_size=512, output="out.png").run(stylizer)
    assert isinstance(done, Done)
    assert (done.width, done.height) == (1, 512)


def test_a_resized_picture_that_takes_too_much_memory_is_named_with_its_own_size(desk, stylizer, monkeypatch):
    monkeypatch.setattr("adain_rt.machine.memory.available_bytes", lambda: 2_000_000)
    (failed,) = job("@great-wave", size=400, output="out.png").run(stylizer)
    assert isinstance(failed, Failed)
    start = "photo.jpg (96x64 pixels before it was resized): 600x400 pixels may take "
    assert failed.error.message.startswith(start)


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
