"""Batches on other file systems, named by URIs. Arrow's own ``file`` and fsspec's ``memory`` stand for all."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from PIL import Image

from adain_models.errors import AdainError
from adain_rt.jobs import remote
from adain_rt.jobs.batch import Batch
from adain_rt.jobs.styles import parse

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.slow  # it needs pyarrow


@pytest.fixture(params=["file", "memory", "object store"])
def place(request, tmp_path, monkeypatch) -> str:
    """The URI of an empty folder."""
    if request.param == "file":
        return f"file://{tmp_path.as_posix()}/away"
    if request.param == "object store":
        monkeypatch.setattr(remote, "_OBJECT_STORES", {"memory"})
    return f"memory://{uuid.uuid4().hex}/a%20b ü"


@pytest.mark.parametrize(
    ("name", "is_one"), [("s3://b/k", True), ("hf://a", True), ("C:/photos", False), ("a:b", False)]
)
def test_a_uri_is_told_from_a_path(name, is_one):
    assert remote.is_remote(name) == is_one


def test_a_file_is_written_as_a_whole_and_read_back(place):
    for data in (b"first", b"second"):
        remote.write_file(f"{place}/new/a.jpg", data)
        assert remote.read_file(f"{place}/new/a.jpg") == data
        assert [str(each) for each in remote.list_files(place)] == ["new/a.jpg"]
    assert remote.exists(f"{place}/new/a.jpg")
    assert not remote.exists(f"{place}/new/b.jpg")


def test_a_write_that_fails_leaves_nothing(tmp_path, monkeypatch):
    place = f"file://{tmp_path.as_posix()}"
    remote.write_file(f"{place}/a.jpg", b"old")

    def fail(*_):
        raise OSError("the cable\n  was pulled")

    monkeypatch.setattr(remote, "_write", fail)
    with pytest.raises(AdainError, match=r"a\.jpg: cannot be written \(the cable was pulled\)"):
        remote.write_file(f"{place}/a.jpg", b"new")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_pictures_are_listed_and_the_rest_is_counted(place, caplog):
    for name in ("b.jpg", "sub/a b.PNG", "sub/.hidden.png", ".cache/c.png", "notes.txt"):
        remote.write_file(f"{place}/{name}", b"x")
    assert remote.list_pictures(place, recursive=True) == {f"{place}/b.jpg": "", f"{place}/sub/a b.PNG": "sub"}
    assert caplog.messages == [f"{place}: passed over 1 of its 3 files"]
    assert remote.list_pictures(f"{place}/", recursive=False) == {f"{place}/b.jpg": ""}
    assert remote.list_pictures(f"{place}/sub/a b.PNG", recursive=False) == {f"{place}/sub/a b.PNG": ""}


def test_what_is_not_there_is_named(place):
    with pytest.raises(AdainError, match="photos: there is no such file or folder"):
        remote.list_pictures(f"{place}/photos", recursive=False)
    remote.write_file(f"{place}/photos/a.txt", b"x")
    with pytest.raises(AdainError, match="photos: holds no pictures"):
        remote.list_pictures(f"{place}/photos", recursive=False)
    with pytest.raises(AdainError, match=r"a\.jpg: no such file"):
        remote.read_file(f"{place}/a.jpg")


def test_a_file_system_that_nobody_knows_is_one_line():
    with pytest.raises(AdainError, match=r"^nowhere://a/b: cannot be read \(Protocol not known: nowhere\)$"):
        remote.list_pictures("nowhere://a/b", recursive=False)


def plan(*contents: str, output: str, **options) -> Batch:
    return Batch(contents, [parse("painting.png")], output, style_size=0, **options)


def test_pictures_go_from_one_file_system_to_another(desk, stylizer, place):
    remote.write_file(f"{place}/in/sub/photo.jpg", Path("photo.jpg").read_bytes())
    remote.write_file(f"{place}/in/broken.jpg", b"broken")
    work = plan(f"{place}/in", output=f"{place}/in/out", recursive=True)
    broken, photo = work.make_painter(stylizer).paint(work.tasks)
    assert broken.error.startswith(f"{place}/in/broken.jpg: is broken")
    assert photo.output == f"{place}/in/out/sub/photo_stylized_painting.jpg"
    plain = plan("photo.jpg", output="out")
    list(plain.make_painter(stylizer).paint(plain.tasks))
    assert remote.read_file(photo.output) == (desk / "out" / "photo_stylized_painting.jpg").read_bytes()
    again = plan(f"{place}/in", output=f"{place}/in/out", recursive=True, resume=True)
    assert [task.content for task in again.tasks] == [f"{place}/in/broken.jpg"]
    assert [result.content for result in again.finished] == [f"{place}/in/sub/photo.jpg"]
    with pytest.raises(AdainError, match=r"photo_stylized_painting\.jpg: exists already"):
        plan(f"{place}/in", output=f"{place}/in/out", recursive=True)


def test_a_folder_of_this_machine_and_one_of_another_go_together(desk, stylizer, place):
    Image.new("RGB", (24, 16)).save("small.png")
    remote.write_file(f"{place}/photo.jpg", Path("photo.jpg").read_bytes())
    work = plan("small.png", f"{place}/photo.jpg", output="out/")
    results = list(work.make_painter(stylizer).paint(work.tasks))
    assert [(each.status, Path(each.output).parent) for each in results] == [("painted", desk / "out")] * 2
    assert sorted(path.name for path in (desk / "out").iterdir()) == [
        "photo_stylized_painting.jpg",
        "small_stylized_painting.png",
    ]


def test_a_folder_that_was_painted_into_itself_is_resumed(desk, stylizer, place):
    remote.write_file(f"{place}/photo.jpg", Path("photo.jpg").read_bytes())
    work = plan(place, output=place)
    list(work.make_painter(stylizer).paint(work.tasks))
    again = plan(place, output=place, resume=True)
    assert (len(again.tasks), len(again.finished)) == (0, 1)


def test_results_that_would_be_one_file_are_refused(desk, place):
    for name in ("a/photo.jpg", "b/photo.jpg"):
        remote.write_file(f"{place}/{name}", b"x")
    with pytest.raises(AdainError, match=r"a/photo\.jpg in the style painting\.png and .*b/photo\.jpg .* would both"):
        plan(f"{place}/a", f"{place}/b", output=f"{place}/out")
    (desk / "styles").mkdir()
    for name in ("wave.png", "wave.jpg"):
        (desk / "styles" / name).write_bytes((desk / "painting.png").read_bytes())
    with pytest.raises(AdainError, match=r"wave\.jpg and .*wave\.png would both become"):
        Batch([f"{place}/a"], [parse("styles")], f"{place}/out")
    with pytest.raises(AdainError, match=r"out\.jpg: is the name of a file; give a folder"):
        plan(f"{place}/a", output=f"{place}/out.jpg")


def test_a_content_is_never_overwritten(desk, place):
    for name in ("photo.jpg", "photo_stylized_painting.jpg"):
        remote.write_file(f"{place}/{name}", b"x")
    with pytest.raises(AdainError, match=r"photo_stylized_painting\.jpg: is an input"):
        plan(place, output=place, overwrite=True)
