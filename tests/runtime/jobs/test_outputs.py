"""What results are called, where they go, and what they never replace."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.jobs import outputs
from adain_rt.jobs.outputs import STDOUT, check_free, identify, plan_outputs, write_result
from adain_rt.jobs.styles import Mixture
from adain_rt.media.pictures import Picture

PICTURE = Picture(np.full((16, 20, 3), 90, np.uint8), None, "JPEG")


def mixture(*names: str) -> Mixture:
    return Mixture(names, (1.0,) * len(names))


def name_of(content: str, *styles: str, output: str | None = "out/") -> str:
    (path,) = plan_outputs([Path(content)], [mixture(*styles)], output, {}).values()
    return path.name


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("a.JPG", "a_stylized_wave.JPG"),
        ("a.jpe", "a_stylized_wave.jpg"),
        ("a.mpo", "a_stylized_wave.jpg"),
        ("a.jfif", "a_stylized_wave.jpg"),
        ("a.apng", "a_stylized_wave.png"),
        ("a.avifs", "a_stylized_wave.avif"),
        ("a.dib", "a_stylized_wave.bmp"),
        ("a.gif", "a_stylized_wave.png"),
        ("a.pnm", "a_stylized_wave.png"),
        ("a", "a_stylized_wave.png"),
        ("-", "stdin_stylized_wave.png"),
    ],
)
def test_a_result_keeps_its_contents_format_if_that_can_be_written(content, name):
    assert name_of(content, "wave.png") == name


def test_a_name_that_fits_is_not_cut_whatever_its_letters(tmp_path):
    """41 Japanese letters are 123 bytes; a file system takes 255."""
    contents = [Path("画像" * 20 + f"{number}.jpg") for number in (1, 2)]
    names = [path.name for path in plan_outputs(contents, [mixture("wave.png")], f"{tmp_path}/", {}).values()]
    assert names == ["画像" * 20 + f"{number}_stylized_wave.jpg" for number in (1, 2)]
    style = "波" * 45
    assert name_of("x" * 100 + ".png", f"{style}.png") == f"{'x' * 100}_stylized_{style}.png"


def test_names_that_are_cut_stay_apart_and_keep_something_of_both_parts(tmp_path):
    contents = [Path("画像" * 38 + f"{number}.jpg") for number in range(9)]
    styles = [mixture("波" * 80 + f"{number}.png") for number in range(9)]
    paths = set(plan_outputs(contents, styles, str(tmp_path), {}).values())
    assert len(paths) == 81
    for path in paths:
        assert len(os.fsencode(path.name)) <= 255
        assert path.name.startswith("画像" * 18)
        assert "_stylized_" + "波" * 36 in path.name
        path.touch()


def test_a_mixture_of_many_styles_has_a_name_that_fits():
    name = name_of("photo.jpg", *(f"{number}" * 30 + ".png" for number in range(12)))
    assert name.startswith("photo_stylized_" + "0" * 30 + "+" + "1" * 30)
    assert (len(name), name[-4:]) == (255, ".jpg")


@given(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1), st.text(min_size=1, max_size=300))
def test_every_name_fits_and_is_made_of_whole_characters(stem, label):
    name = outputs.make_name(Path(f"{stem}.png"), label, ".png", 255)
    assert len(os.fsencode(name)) <= 255


def test_a_name_that_is_no_utf8_is_cut_as_well():
    name = os.fsdecode(b"\xff\xfe" * 120 + b".jpg")
    cut = os.fsencode(name_of(name, "wave.png"))
    assert cut.startswith(b"\xff\xfe" * 100)
    assert len(cut) <= 255


def test_a_file_system_with_shorter_names_is_asked(tmp_path, monkeypatch):
    asked = []

    def pathconf(place, key):
        asked.append((Path(place), key))
        if not Path(place).exists():
            raise FileNotFoundError(2, "No such file or directory")
        return 143

    monkeypatch.setattr(os, "pathconf", pathconf)
    (path,) = plan_outputs([Path("x" * 200 + ".png")], [mixture("wave.png")], f"{tmp_path}/new/er/", {}).values()
    assert len(path.name) == 143
    assert asked[-1] == (tmp_path, "PC_NAME_MAX")
    monkeypatch.setattr(os, "pathconf", lambda *_: -1)
    assert len(name_of("x" * 300 + ".png", "wave.png")) == 255
    monkeypatch.delattr(os, "pathconf")
    assert len(name_of("x" * 300 + ".png", "wave.png")) == 255


@pytest.mark.parametrize("name", ["/dev/null", "/dev/fd/7", "/dev/stderr", "pipe", "pipe.jpg"])
def test_a_device_or_a_pipe_exists_already_and_is_no_directory_and_no_input(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.mkfifo("pipe.jpg")
    planned = plan_outputs([Path("a.jpg")], [mixture("wave.png")], name, {})
    assert list(planned.values()) == [Path(name)]
    check_free([Path(name)], [Path(name)], overwrite=False)
    with pytest.raises(AdainError, match="several pictures cannot be one file"):
        plan_outputs([Path("a.jpg"), Path("b.jpg")], [mixture("wave.png")], name, {})


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_stdout_has_several_names(name):
    assert list(plan_outputs([Path("a.jpg")], [mixture("wave.png")], name, {}).values()) == [STDOUT]


@pytest.mark.parametrize(("name", "written"), [("plain", "JPEG"), ("pipe.webp", "WEBP")])
def test_a_pipe_gets_the_format_of_its_suffix_or_the_contents(tmp_path, name, written):
    pipe = tmp_path / name
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_result(pipe, PICTURE)
    (tmp_path / "got").write_bytes(os.read(reader, 1 << 16))
    os.close(reader)
    with Image.open(tmp_path / "got") as image:
        assert (image.format, image.size) == (written, (20, 16))


def test_an_open_descriptor_is_written_where_it_stands(tmp_path):
    with (tmp_path / "file").open("w+b", buffering=0) as file:
        file.write(b"before")
        write_result(Path(f"/dev/fd/{file.fileno()}"), PICTURE)
        file.write(b"after")
        file.seek(0)
        data = file.read()
    assert data.startswith(b"before\xff\xd8")
    assert data.endswith(b"\xff\xd9after")


def test_a_device_that_takes_nothing_is_named():
    with pytest.raises(AdainError, match=r"^/dev/full: cannot be written \(No space left on device\)$"):
        write_result(Path("/dev/full"), PICTURE)
    with pytest.raises(AdainError, match=r"^/dev/fd/987: cannot be written \(Bad file descriptor\)$"):
        write_result(Path("/dev/fd/987"), PICTURE)


@pytest.mark.parametrize("name", ["photo.jpg", "here/../photo.jpg", "link.jpg", "folder/photo.jpg", "PHOTO.JPG"])
def test_an_input_is_known_by_all_of_its_names(tmp_path, monkeypatch, name):
    """The last name is what a file system without upper and lower case takes for the same."""
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").touch()
    Path("here").mkdir()
    Path("link.jpg").symlink_to("photo.jpg")
    Path("folder").symlink_to(".")
    stat = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **how: stat(Path(str(path).lower()), **how))
    with pytest.raises(AdainError, match="is an input, and would be overwritten"):
        check_free([Path(name)], [Path("photo.jpg")], overwrite=True)


def test_a_hard_link_to_an_input_is_another_file(tmp_path):
    (tmp_path / "photo.jpg").touch()
    (tmp_path / "copy.jpg").hardlink_to(tmp_path / "photo.jpg")
    check_free([tmp_path / "copy.jpg"], [tmp_path / "photo.jpg"], overwrite=True)
    assert identify(tmp_path / "copy.jpg") != identify(tmp_path / "photo.jpg")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_is_not_replaced_by_a_result(tmp_path, overwrite):
    with pytest.raises(AdainError, match="is a folder") as caught:
        check_free([tmp_path], [], overwrite)
    assert caught.value.hint == "choose another `output`"


def test_a_link_in_circles_is_no_traceback(tmp_path):
    (tmp_path / "loop.png").symlink_to("loop.png")
    with pytest.raises(AdainError, match="exists already"):
        check_free([tmp_path / "loop.png"], [tmp_path / "photo.jpg"], overwrite=False)


def test_two_results_that_links_lead_to_one_file_are_refused(tmp_path):
    (tmp_path / "b_stylized_wave.jpg").symlink_to("a_stylized_wave.jpg")
    with pytest.raises(AdainError, match=r"a.jpg in the style wave.png and b.jpg in the style wave.png would both"):
        plan_outputs([Path("a.jpg"), Path("b.jpg")], [mixture("wave.png")], str(tmp_path), {})
    folders = {Path("one/a.jpg"): Path("x"), Path("two/a.jpg"): Path("y/../x")}
    with pytest.raises(AdainError, match="would both become"):
        plan_outputs(list(folders), [mixture("wave.png")], str(tmp_path), folders)
