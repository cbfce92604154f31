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
def test_json_says_what_was_done(run, desk):
    result = run("stylize", "photo.jpg", *STYLE, "-o", "out.png", "--json")
    said = json.loads(result.out)
    assert (said["model"], said["backend"], said["failures"]) == ("lite", "openvino", [])
    assert said["skipped"] == []
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
    result = run("stylize", "large.png", "photo.jpg", *STYLE, "--tile", "off", "-o", "out")
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


def test_in_a_directory_hidden_files_are_passed_over_and_folders_and_pipes_are_counted(run, desk):
    (desk / "photos").mkdir()
    Image.fromarray(pixels("photo.jpg")).save(desk / "photos" / "a.png")
    (desk / "photos" / "._a.png").write_bytes(b"what some systems keep beside a picture")
    (desk / "photos" / "folder.jpg").mkdir()
    os.mkfifo(desk / "photos" / "pipe.png")
    result = run("stylize", "photos", *STYLE, "-o", "out")
    said = "passed over 2 of its 3 entries (pipes, sockets and broken links: 1, subfolders: 1)"
    assert (result.status, result.err) == (0, f"adain-rt: photos: {said}\n")
    assert [path.name for path in (desk / "out").iterdir()] == ["a_stylized_painting.png"]


def test_a_long_name_is_cut_to_what_a_result_can_be_called(run, desk):
    name = "画" * 80 + ".png"
    Image.fromarray(pixels("photo.jpg")).save(name)
    assert run("stylize", name, *STYLE, "-o", "out/").status == 0
    assert len(list((desk / "out").iterdir())) == 1


def test_weights_that_differ_are_in_the_results_name(run, desk):
    assert run("stylize", "photo.jpg", "--style", "painting.png:3", "--style", "photo.jpg", "-o", "out/").status == 0
    assert [path.name for path in (desk / "out").iterdir()] == ["photo_stylized_painting-3+photo-1.jpg"]


def test_a_directory_of_styles_counts_what_is_passed_over_as_well(run, desk):
    (desk / "styles").mkdir()
    Image.fromarray(pixels("painting.png")).save(desk / "styles" / "good.png")
    (desk / "styles" / "list.txt").touch()
    result = run("stylize", "photo.jpg", "--style", "styles", "-o", "out/")
    assert (result.status, result.err) == (0, "adain-rt: styles: passed over 1 of its 2 entries (.txt: 1)\n")


def test_subfolders_are_painted_into_subfolders(run, desk):
    for folder in ("2023", "2024/may"):
        (desk / "photos" / folder).mkdir(parents=True)
        Image.fromarray(pixels("photo.jpg")).save(desk / "photos" / folder / "a.png")
    for _ in range(2):  # the results inside are no contents of the second run
        options = ("--recursive", "-o", "photos/out", "--overwrite")
        result = run("stylize", "photos", "--style", "@great-wave", *options)
        assert (result.status, result.err) == (0, "")
        assert sorted(path.relative_to(desk).as_posix() for path in desk.rglob("*_stylized_*")) == [
            "photos/out/2023/a_stylized_great-wave.png",
            "photos/out/2024/may/a_stylized_great-wave.png",
        ]


def test_a_grid_shows_subfolders_if_asked(run, desk):
    for name in ("a.png", "2023/b.png", "2024/may/c.png"):
        (desk / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels("photo.jpg")).save(desk / "photos" / name)
    grid = ("grid", "photos", "--style", "@great-wave", "--size", 32, "-o")
    assert run(*grid, "one.png").err == "adain-rt: photos: passed over 2 of its 3 entries (subfolders: 2)\n"
    assert run(*grid, "all.png", "--recursive").err == ""
    assert pixels("all.png").shape[0] > 2 * pixels("one.png").shape[0]


def test_a_batch_is_resumed(run, desk):
    (desk / "photos").mkdir()
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(pixels("photo.jpg")).save(desk / "photos" / name)
    (desk / "photos" / "bad.png").write_bytes(b"broken")
    batch = ("stylize", "photos", *STYLE, "-o", "out")
    assert run(*batch).status == 1
    (desk / "out" / "b_stylized_painting.png").unlink()
    (desk / "out" / "c_stylized_painting.png").write_text("mine")
    run(*batch).refused("a_stylized_painting.png: exists already", "--overwrite")
    result = run(*batch, "--resume", "--json")
    assert result.status == 1
    broken, skipped = result.err.splitlines()
    assert broken.startswith("adain-rt: photos/bad.png: ")
    assert skipped == "adain-rt: skipped what exists already; results: 2"
    said = json.loads(result.out)
    assert [each["output"] for each in said["outputs"]] == ["out/b_stylized_painting.png"]
    assert said["skipped"] == [
        {"content": f"photos/{name}.png", "style": "painting", "output": f"out/{name}_stylized_painting.png"}
        for name in ("a", "c")
    ]
    assert (desk / "out" / "c_stylized_painting.png").read_text() == "mine"
    (desk / "photos" / "bad.png").unlink()
    assert run(*batch, "--resume").status == 0
    run(*batch, "--resume", "--overwrite").refused("leave out --resume or --overwrite")


def test_where_everything_else_was_done_before_a_broken_picture_is_a_part(run, desk):
    (desk / "bad.png").write_bytes(b"broken")
    batch = ("stylize", "photo.jpg", "bad.png", *STYLE, "-o", "out")
    assert (run(*batch).status, run(*batch, "--resume").status) == (1, 1)


def test_photos_are_shrunk_to_a_longer_side_and_never_enlarged(run, desk):
    for size, shape in ((48, (32, 48, 3)), (500, (64, 96, 3))):
        assert run("stylize", "photo.jpg", *STYLE, "--max-size", size, "-o", f"{size}.png").status == 0
        assert pixels(f"{size}.png").shape == shape
    assert run("stylize", "photo.jpg", *STYLE, "--size", 100, "--max-size", 120, "-o", "both.png").status == 0
    assert pixels("both.png").shape == (80, 120, 3)


def test_a_narrow_picture_says_how_it_can_be_resized(run, desk):
    Image.new("RGB", (1, 65_537)).save("strip.png")
    narrow = ("strip.png", "--style", "@great-wave")
    refused = ("strip.png", "1 x 65537 pixels would have 64 x 4194368", "bound the longer side with --max-size")
    run("stylize", *narrow, "--size", 64, "-o", "out.png").refused(*refused)
    run("grid", *narrow, "--size", 64, "-o", "out.png").refused(*refused)
    Image.new("RGB", (300, 300)).save("square.png")
    large = ("--style", "square.png", "--style-size", 20_000)
    run("stylize", "photo.jpg", *large, "-o", "out.png").refused("style square.png: ", "20000 x 20000", "--style-size")
    assert not (desk / "out.png").exists()
