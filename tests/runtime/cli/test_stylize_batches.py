"""``adain-rt stylize`` on many pictures: what is painted, how results are named, and what a failure costs."""

from __future__ import annotations

import json
import os

import pytest
from PIL import Image
from tests.runtime.cli.painted import STYLE, pixels


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


@pytest.mark.slow
@pytest.mark.slow
def test_json_says_what_was_done(run, desk):
    result = run("stylize", "photo.jpg", *STYLE, "-o", "out.png", "--json")
    said = json.loads(result.out)
    assert (said["model"], said["backend"], said["failures"]) == ("lite", "openvino", [])
    (output,) = said["outputs"]
    assert output.pop("seconds") > 0
    assert output == {"content": "photo.jpg", "style": "painting", "output": "out.png", "width": 96, "height": 64}


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


def test_a_long_name_is_cut_to_what_a_result_can_be_called(run, desk):
    name = "画" * 80 + ".png"
    Image.fromarray(pixels("photo.jpg")).save(name)
    assert run("stylize", name, *STYLE, "-o", "out/").status == 0
    assert len(list((desk / "out").iterdir())) == 1


def test_weights_that_differ_are_in_the_results_name(run, desk):
    assert run("stylize", "photo.jpg", "--style", "painting.png:3", "--style", "photo.jpg", "-o", "out/").status == 0
    assert [path.name for path in (desk / "out").iterdir()] == ["photo_stylized_painting-3+photo-1.jpg"]
