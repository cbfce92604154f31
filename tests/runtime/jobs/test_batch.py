"""The plan of a batch, and what does its tasks."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.jobs import batch, painter
from adain_rt.jobs.batch import Batch
from adain_rt.jobs.painter import Painter, Result
from adain_rt.jobs.stills import Stills
from adain_rt.jobs.styles import parse


def plan(*contents: str, styles=("painting.png",), output="out/", **options) -> Batch:
    return Batch(contents, [parse(style) for style in styles], output, style_size=0, **options)


def paint(work: Batch, stylizer) -> list[Result]:
    return list(work.make_painter(stylizer).paint(work.tasks))


def test_tasks_are_in_words_that_another_folder_does_not_change(desk, stylizer, monkeypatch):
    work = plan("photo.jpg")
    (task,) = work.tasks
    assert task.content == str(desk / "photo.jpg")
    assert task.output == str(desk / "out" / "photo_stylized_painting.jpg")
    sent = pickle.dumps(work.make_painter(stylizer))
    (desk / "elsewhere").mkdir()
    monkeypatch.chdir(desk / "elsewhere")
    (result,) = pickle.loads(sent).paint(work.tasks)  # noqa: S301 - it was made above
    assert (result.status, result.width, result.height) == ("painted", 96, 64)
    assert (result.backend, result.precision) == (stylizer.backend, stylizer.precision)
    assert Path(task.output).is_file()


def test_a_result_has_the_bytes_of_the_plain_job(desk, stylizer):
    paint(plan("photo.jpg", strength=0.6, size=48, color="luma"), stylizer)
    plain = Stills([Path("photo.jpg")], [parse("painting.png")], (), 0.6, "luma", 48, style_size=0, output="plain.jpg")
    list(plain.run(stylizer))
    assert (desk / "out" / "photo_stylized_painting.jpg").read_bytes() == (desk / "plain.jpg").read_bytes()


def test_a_content_is_read_once_for_all_its_styles(desk, stylizer, monkeypatch):
    (desk / "styles").mkdir()
    for name in "ab":
        (desk / "styles" / f"{name}.png").write_bytes((desk / "painting.png").read_bytes())
    read = []
    monkeypatch.setattr(Stills, "_read", lambda job, path, old=Stills._read: read.append(path) or old(job, path))
    results = paint(plan("photo.jpg", styles=("styles",)), stylizer)
    assert [(result.style, result.status) for result in results] == [("a", "painted"), ("b", "painted")]
    assert read == [desk / "photo.jpg"]


def test_every_failure_is_a_result_with_its_way_out(desk, stylizer):
    (desk / "styles").mkdir()
    (desk / "styles" / "bad.png").write_bytes(b"broken")
    (desk / "styles" / "good.png").write_bytes((desk / "painting.png").read_bytes())
    (desk / "broken.jpg").write_bytes(b"broken")
    Image.new("RGB", (1, 60_000)).save("strip.png")
    results = paint(plan("broken.jpg", "strip.png", "photo.jpg", styles=("styles",), size=64), stylizer)
    statuses = {(Path(result.content).name, result.style): result.status for result in results}
    assert statuses.pop(("photo.jpg", "good")) == "painted"
    assert statuses == dict.fromkeys(
        [
            ("broken.jpg", "bad"),
            ("broken.jpg", "good"),
            ("strip.png", "bad"),
            ("strip.png", "good"),
            ("photo.jpg", "bad"),
        ],
        "failed",
    )
    for result in results:
        if result.status == "failed":
            name = "bad.png" if result.style == "bad" else result.content
            assert name in result.error
    (strip,) = (result for result in results if "strip" in result.content and result.style == "good")
    assert strip.hint == "use a smaller `size`, bound the longer side with `max_size`, or `crop` it"


def test_a_fault_of_ours_costs_one_content(desk, stylizer, monkeypatch):
    Image.new("RGB", (32, 32)).save("other.png")
    work = plan("other.png", "photo.jpg")

    def fail(job, path, old=Stills._read):
        return 1 // 0 if path.name == "other.png" else old(job, path)

    monkeypatch.setattr(Stills, "_read", fail)
    other, photo = paint(work, stylizer)
    assert (
        other.error
        == f"{desk / 'other.png'}: failed unexpectedly (ZeroDivisionError: integer division or modulo by zero)"
    )
    assert photo.status == "painted"


def test_remarks_come_with_the_result(desk, stylizer):
    frames = [Image.new("RGB", (20, 16), color) for color in ("red", "lime")]
    frames[0].save("moving.gif", save_all=True, append_images=frames[1:])
    (result,) = paint(plan("moving.gif"), stylizer)
    assert result.remarks == f"{desk / 'moving.gif'}: has 2 frames or pages; the first is stylised"


def test_a_style_that_cannot_be_used_at_all_is_refused(desk, stylizer):
    (desk / "painting.png").write_bytes(b"broken")
    with pytest.raises(AdainError, match=r"painting\.png: is broken"):
        plan("photo.jpg").make_painter(stylizer)


def test_a_task_that_is_tried_again_is_not_done_again(desk, stylizer):
    work = plan("photo.jpg")
    (first,) = paint(work, stylizer)
    before = Path(first.output).stat()
    (second,) = paint(work, stylizer)
    assert (second.status, second.remarks) == ("painted", painter._FOUND)
    assert Path(first.output).stat() == before


def test_with_overwrite_a_file_that_is_there_is_no_result(desk, stylizer):
    (desk / "out").mkdir()
    (desk / "out" / "photo_stylized_painting.jpg").write_bytes(b"old")
    (result,) = paint(plan("photo.jpg", overwrite=True), stylizer)
    assert (result.status, result.width) == ("painted", 96)


def test_what_an_earlier_run_finished_is_no_task(desk, stylizer):
    Image.new("RGB", (32, 32)).save("other.png")
    paint(plan("photo.jpg"), stylizer)
    work = plan("photo.jpg", "other.png", resume=True)
    assert [(Path(each.content).name, each.status) for each in work.finished] == [("photo.jpg", "skipped")]
    assert [Path(task.content).name for task in work.tasks] == ["other.png"]


def test_what_stylize_refuses_is_refused(desk):
    (desk / "out").mkdir()
    (desk / "out" / "photo_stylized_painting.jpg").write_bytes(b"old")
    with pytest.raises(AdainError, match="exists already"):
        plan("photo.jpg")
    with pytest.raises(AdainError, match=r"missing\.jpg: there is no such file"):
        plan("missing.jpg")
    with pytest.raises(AdainError, match="the number of styles is 1 and of masks 2"):
        plan("photo.jpg", output="new/", masks=[Path("a.png"), Path("b.png")])


@pytest.mark.parametrize(("content", "output"), [("-", "out/"), ("photo.jpg", "-"), ("photo.jpg", "/dev/stdout")])
def test_streams_are_refused(desk, content, output):
    with pytest.raises(AdainError, match="cannot share stdin or stdout"):
        plan(content, output=output)


def test_masks_are_found_from_another_folder(desk, stylizer, monkeypatch):
    Image.new("L", (96, 64), 255).save("mask.png")
    work = plan("photo.jpg", masks=[Path("mask.png")])
    ready = work.make_painter(stylizer)
    monkeypatch.chdir("/")
    (result,) = ready.paint(work.tasks)
    assert result.status == "painted"


def test_two_results_that_a_file_system_takes_for_one_are_told_apart(desk, monkeypatch):
    monkeypatch.setattr(batch, "identify", lambda path: str(path).casefold())
    results = [Result(name, "s", f"/out/{name}", "painted") for name in ("A.jpg", "a.jpg", "b.jpg")]
    first, second, third = plan("photo.jpg").settle(results)
    assert (first, third) == (results[0], results[2])
    assert second.error == "/out/a.jpg: is the result of A.jpg already under a like name; rename one of the two"


def test_a_painter_takes_a_styles_code_along_and_not_its_picture(desk, stylizer):
    work = plan("photo.jpg")
    (mix,) = work.make_painter(stylizer).mixes.values()
    assert mix.sources[0].code is not None
    assert len(pickle.dumps(work.make_painter(stylizer))) < (desk / "painting.png").stat().st_size
    (recolored,) = plan("photo.jpg", color="coral").make_painter(stylizer).mixes.values()
    assert recolored.sources[0].pixels is not None


def test_a_painter_can_be_given_other_tasks(desk, stylizer):
    work = plan("photo.jpg")
    ready: Painter = work.make_painter(stylizer)
    (task,) = work.tasks
    (result,) = ready.paint([replace(task, output=str(desk / "mine.png"))])
    assert result.output == str(desk / "mine.png")
    assert Path(result.output).is_file()
