"""Which pictures CONTENT arguments name, and what is said of the rest."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.jobs.inputs import expand, pictures_in
from adain_rt.media.pictures import READABLE, read_picture
from adain_rt.media.pictures.formats import FORMATS

NEW_SUFFIXES = {
    ".apng": "PNG",
    ".avifs": "AVIF",
    ".dib": "BMP",
    ".j2c": "JPEG2000",
    ".jpc": "JPEG2000",
    ".jpe": "JPEG",
    ".jpf": "JPEG2000",
    ".jpx": "JPEG2000",
    ".mpo": "JPEG",
    ".pnm": "PPM",
}


@pytest.fixture
def draw(tmp_path, monkeypatch) -> Callable[..., Path]:
    """Make small pictures in a directory of this test, which is the current one, and return it."""
    monkeypatch.chdir(tmp_path)

    def draw(*names: str) -> Path:
        for name in names:
            Path(name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (20, 16), "teal").save(name, NEW_SUFFIXES.get(Path(name).suffix))
        return tmp_path

    return draw


def names(found: dict[Path, Path]) -> list[str]:
    return [path.as_posix() for path in found]


@pytest.mark.parametrize("suffix", NEW_SUFFIXES)
def test_a_picture_of_a_rarer_suffix_is_found_in_a_directory_and_read(draw, suffix):
    draw(f"photos/a{suffix}", f"photos/b{suffix.upper()}.png")
    (path, other) = pictures_in(Path("photos"))
    assert (path.suffix, other.suffix) == (suffix, ".png")
    assert read_picture(path).pixels.shape == (16, 20, 3)


def test_no_suffix_of_a_format_that_is_read_is_forgotten():
    Image.init()
    known = {suffix for suffix, name in Image.registered_extensions().items() if name in FORMATS}
    assert known - {".pfm"} <= READABLE.keys()


def test_what_is_passed_over_in_a_directory_is_counted_in_one_line(draw, caplog):
    draw("photos/a.png", "photos/sub/b.png")
    for name in ("1.cr2", "2.CR2", "notes.txt", "README", ".hidden", ".hidden.jpg"):
        Path("photos", name).touch()
    Path("photos/x.jpg").mkdir()
    os.mkfifo("photos/pipe.jpg")
    Path("photos/gone.jpg").symlink_to("nowhere")
    Path("photos/loop.png").symlink_to("loop.png")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("photos/door.png")
        found = expand(["photos"])
    assert names(found) == ["photos/a.png"]
    (message,) = caplog.messages
    assert message == (
        "photos: passed over 10 of its 11 entries "
        "(pipes, sockets and broken links: 4, .cr2: 2, subfolders: 2, .txt: 1, no suffix: 1)"
    )
    assert caplog.records[0].levelno == logging.WARNING


def test_many_kinds_are_counted_and_the_most_frequent_named(draw, caplog):
    draw("photos/a.png")
    for number in range(20):
        Path("photos", f"x.t{number}").touch()
    Path("photos/y.t7").touch()
    pictures_in(Path("photos"))
    (message,) = caplog.messages
    assert message.startswith("photos: passed over 21 of its 22 entries (.t7: 2, ")
    assert message.endswith(", others)")
    assert message.count(":") == 7


def test_a_directory_of_pictures_alone_gives_no_remark(draw, caplog):
    draw("photos/a.png")
    Path("photos/.DS_Store").touch()
    expand(["photos"])
    assert caplog.messages == []


def test_a_directory_without_pictures_says_what_it_holds(draw):
    draw("photos/sub/a.png")
    Path("photos/IMG_1.cr2").touch()
    with pytest.raises(AdainError, match=r"^photos: holds no pictures, only others \((.cr2|subfolders): 1, "):
        expand(["photos"])
    Path("empty").mkdir()
    with pytest.raises(AdainError, match=r"^empty: holds no pictures$"):
        expand(["empty"], recursive=True)


def test_subfolders_are_searched_if_asked_and_give_each_picture_its_folder(draw, caplog):
    draw("photos/b.png", "photos/2024/may/a.png", "photos/2024/z.png", "photos/.trash/old.png")
    Path("photos/2024/notes.txt").touch()
    assert expand(["photos", "photos/b.png"], recursive=True) == {
        Path("photos/2024/may/a.png"): Path("2024/may"),
        Path("photos/2024/z.png"): Path("2024"),
        Path("photos/b.png"): Path(),
    }
    assert caplog.messages == ["photos: passed over 1 of its 4 entries (.txt: 1)"]


def test_no_link_is_followed_to_itself_or_upwards_and_no_picture_is_found_twice(draw):
    draw("other/x.png", "photos/a.png", "photos/sub/b.png", "elsewhere/c.png")
    for link, target in {
        "photos/self": ".", "photos/sub/up": "..", "photos/sub/top": "../..", "photos/again": "sub", "photos/0": "sub",
        "photos/far": "../elsewhere", "photos/farther": "../elsewhere",
    }.items():  # fmt: skip
        Path(link).symlink_to(target)
    found = expand(["photos"], recursive=True)
    assert len(found) == 3
    assert names(found)[0] == "photos/a.png"
    assert names(found)[1] in {"photos/far/c.png", "photos/farther/c.png"}
    assert names(found)[2] == "photos/sub/b.png"
    assert len(expand(["photos/**/*.png"])) == 3
    assert len(expand(["**/*.png"])) == 4
    assert len(expand(["**/**/sub/*.png"])) == 1


def test_a_picture_that_is_named_twice_is_taken_once_however_its_folder_is_called(draw):
    draw("photos/a.png", "photos/b.png")
    Path("link").symlink_to("photos")
    found = expand(
        ["photos/b.png", "photos", "photos/../photos/a.png", "link/a.png", str(Path("photos/a.png").resolve())]
    )
    assert names(found) == ["photos/b.png", "photos/a.png"]


def test_a_linked_file_is_a_picture_of_its_own_name(draw):
    draw("photos/a.png")
    Path("photos/b.png").symlink_to("a.png")
    assert names(expand(["photos"])) == ["photos/a.png", "photos/b.png"]


def test_a_directory_that_holds_the_results_is_not_searched(draw):
    draw("photos/a.png", "photos/out/a_stylized_x.png", "photos/more/out/b.png")
    output = Path("photos/more/../out")
    assert names(expand(["photos"], recursive=True, output=output)) == ["photos/a.png", "photos/more/out/b.png"]
    assert names(expand(["photos/**/*.png"], output=output)) == ["photos/a.png", "photos/more/out/b.png"]
    assert len(expand(["photos"], recursive=True, output=Path("photos"))) == 3
    assert names(expand(["photos/out"], recursive=True, output=output)) == ["photos/out/a_stylized_x.png"]


def test_what_is_there_by_its_own_name_is_no_pattern(draw):
    draw("photos [2024]/a.png", "photos [2024]/sub/b.png", "photos 2/c.png", "x[1].png", "x1.png")
    assert names(expand(["photos [2024]"])) == ["photos [2024]/a.png"]
    assert names(expand(["photos [2024]/*.png"])) == ["photos [2024]/a.png"]
    assert names(expand(["photos [2024]/**/*.png"])) == ["photos [2024]/a.png", "photos [2024]/sub/b.png"]
    assert names(expand(["x[1].png"])) == ["x[1].png"]
    assert names(expand(["photos [2]/*.png"])) == ["photos 2/c.png"]


def test_patterns_match_as_a_shell_matches_them(draw):
    top = draw("a.png", "b.jpg", ".c.png", "in/d.png", "in/deep/e.png", "in/.f/g.png")
    assert names(expand(["*.png"])) == ["a.png"]
    assert names(expand(["./*.*g"])) == ["a.png", "b.jpg"]
    assert names(expand(["**/*.png"])) == ["a.png", "in/d.png", "in/deep/e.png"]
    assert names(expand(["in/**"])) == ["in/d.png", "in/deep/e.png"]
    assert names(expand(["i*/**/deep/?.png"])) == ["in/deep/e.png"]
    assert names(expand([".*.png"])) == [".c.png"]
    assert names(expand([f"{top}/in/../*.png"])) == [f"{top.as_posix()}/in/../a.png"]
    for pattern in ("*.gif", "none/*.png", "**/none/*", "a.png/*", "a.png/**"):
        with pytest.raises(AdainError, match="matches no file"):
            expand([pattern])


def test_a_subfolder_that_cannot_be_read_is_named_and_costs_nothing_else(draw, caplog, monkeypatch):
    draw("photos/a.png", "photos/locked/b.png")
    listed = Path.iterdir

    def iterdir(path: Path):
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert names(expand(["photos"], recursive=True)) == ["photos/a.png"]
    assert caplog.messages == ["photos/locked: cannot be read (Permission denied); it is passed over"]
    with pytest.raises(AdainError, match=r"photos/locked: cannot be read \(Permission denied\)$"):
        expand(["photos/locked"], recursive=True)
