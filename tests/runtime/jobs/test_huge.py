"""Pictures that are too large to be read whole: the same result, from a file into a file, in parts."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from threading import Event, main_thread
from unittest.mock import Mock

import numpy as np
import pytest
import pyvips
from PIL import Image

from adain_models.errors import AdainError
from adain_rt import Stylizer
from adain_rt.jobs import huge as job
from adain_rt.jobs.huge import HugePainting
from adain_rt.jobs.stills import Done, Failed, Stills
from adain_rt.jobs.styles import parse
from adain_rt.jobs.work import WorkFolder, find_work
from adain_rt.media import huge
from adain_rt.media.huge import PixelFile
from adain_rt.media.pictures import read_picture


@pytest.fixture(scope="module")
def stylizer() -> Iterator[Stylizer]:
    with Stylizer(backend="onnxruntime", precision="fp32", tile=128) as stylizer:
        yield stylizer


@pytest.fixture
def place(tmp_path, monkeypatch, china) -> Path:
    """A folder with a photo that counts as huge, of 400x500 pixels."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("adain_rt.media.pictures.source.MAX_PIXELS", 100_000)
    Image.fromarray(china[:400, :500]).save("photo.png")
    return tmp_path


def paint(stylizer: Stylizer, output: str = "out.png", content: str = "photo.png", **options: object) -> Done | Failed:
    styles = options.pop("styles", ["@great-wave"])
    stills = Stills([Path(content)], [parse(style) for style in styles], output=output, **options)
    (outcome,) = stills.run(stylizer)
    return outcome


def whole(stylizer: Stylizer, monkeypatch, content: str = "photo.png", **options: object) -> np.ndarray:
    """What comes out where the picture does not count as huge."""
    with monkeypatch.context() as patch:
        patch.setattr("adain_rt.media.pictures.source.MAX_PIXELS", 10_000_000)
        assert isinstance(paint(stylizer, "whole.png", content, **options), Done)
        return np.asarray(Image.open("whole.png"))


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    "options", [{}, {"color": "luma", "strength": 0.5}, {"styles": ["@great-wave:2", "@udnie"]}, {"strokes": 128}]
)
def test_a_huge_picture_comes_out_as_if_it_were_small(place, stylizer, monkeypatch, suffix, options):
    expected = whole(stylizer, monkeypatch, **options)
    done = paint(stylizer, f"out.{suffix}", **options)
    assert isinstance(done, Done)
    assert (done.width, done.height) == (500, 400)
    np.testing.assert_array_equal(np.asarray(Image.open(f"out.{suffix}")), expected)
    assert {path.name for path in place.iterdir()} == {"photo.png", "whole.png", f"out.{suffix}"}


def test_coral_takes_the_colours_of_the_whole_picture(place, stylizer, monkeypatch, flower):
    Image.fromarray(flower[:300, :300]).save("style.jpg")
    expected = whole(stylizer, monkeypatch, styles=["style.jpg"], color="coral")
    assert isinstance(paint(stylizer, styles=["style.jpg"], color="coral"), Done)
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), expected)


def test_masks_and_transparency_work_as_in_a_small_picture(place, stylizer, monkeypatch, china):
    alpha = np.full((400, 500), 255, np.uint8)
    alpha[:100, :100], alpha[300:, 400:] = 0, 120
    Image.fromarray(np.dstack([china[:400, :500], alpha])).save("photo.png")
    for name, rows in (("top", slice(200)), ("bottom", slice(150, 380))):
        mask = np.zeros((400, 500), np.uint8)
        mask[rows] = 255
        Image.fromarray(mask).save(f"{name}.png")
    regions = {"masks": [Path("top.png"), Path("bottom.png")], "styles": ["@great-wave", "@udnie"]}
    for options in ({}, regions, {"strokes": 128}, {**regions, "strokes": 128}):
        expected = whole(stylizer, monkeypatch, overwrite=True, **options)
        assert isinstance(paint(stylizer, overwrite=True, **options), Done)
        made = np.asarray(Image.open("out.png"))
        np.testing.assert_array_equal(made[..., 3], alpha)
        assert np.abs(made.astype(int) - expected).max() <= 1


def interrupt(monkeypatch, after: int) -> None:
    """Let Ctrl-C come when so many tiles are written."""
    write, written = PixelFile.__setitem__, []

    def write_some(self, part, pixels):
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(part)
        write(self, part, pixels)

    monkeypatch.setattr(PixelFile, "__setitem__", write_some)


def test_an_interrupted_painting_goes_on_at_the_tile_where_it_stopped(place, stylizer, monkeypatch):
    expected = whole(stylizer, monkeypatch)
    with monkeypatch.context() as patch:
        interrupt(patch, after=3)
        with pytest.raises(KeyboardInterrupt):
            paint(stylizer)
    assert not Path("out.png").exists()
    assert find_work(Path("out.png")).is_dir()
    written, write = [], PixelFile.__setitem__
    monkeypatch.setattr(PixelFile, "__setitem__", lambda *arguments: written.append(1) or write(*arguments))
    monkeypatch.setattr(huge, "unpack", None)  # what is decoded and measured is not done again
    monkeypatch.setattr(Stylizer, "measure_tiles", None)
    assert isinstance(paint(stylizer, resume=True), Done)
    tiles = len(
        stylizer.split(np.zeros((400, 500, 3), np.uint8), [stylizer.encode(np.zeros((32, 32, 3), np.uint8))]).tiles
    )
    assert len(written) == tiles - 3 > 0
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), expected)
    assert not find_work(Path("out.png")).exists()


def test_a_smaller_painting_is_not_made_again(place, stylizer, monkeypatch):
    expected = whole(stylizer, monkeypatch, strokes=128)
    with monkeypatch.context() as patch:
        interrupt(patch, after=4 + 2)  # four bands of what is painted over, and tiles
        with pytest.raises(KeyboardInterrupt):
            paint(stylizer, strokes=128)
    with monkeypatch.context() as patch:
        patch.setattr(job, "paint", None)
        assert isinstance(paint(stylizer, strokes=128, resume=True), Done)
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), expected)


def test_two_runs_do_not_paint_one_result(place, stylizer, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, after=3)
        with pytest.raises(KeyboardInterrupt):
            paint(stylizer)
    before = {path.name: path.read_bytes() for path in find_work(Path("out.png")).iterdir()}
    other = WorkFolder(Path("out.png"))
    for resume in (False, True):
        refused(paint(stylizer, resume=resume), "out.png: another run is painting it", "wait for it")
    with pytest.raises(RuntimeError), other:
        raise RuntimeError  # it is interrupted too
    assert {path.name: path.read_bytes() for path in find_work(Path("out.png")).iterdir()} == before


def test_what_is_done_is_kept_where_the_photo_is_out_of_reach(place, stylizer, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, after=3)
        with pytest.raises(KeyboardInterrupt):
            paint(stylizer)
        patch.setattr(job, "identify_painting", Mock(side_effect=OSError(5, "Input/output error")))
        refused(paint(stylizer, resume=True), "Input/output error")
    assert {"state.json", "painted.raw"} < {path.name for path in find_work(Path("out.png")).iterdir()}


def test_other_strokes_are_another_painting(place, stylizer, monkeypatch):
    expected = whole(stylizer, monkeypatch)
    with monkeypatch.context() as patch:
        interrupt(patch, after=4 + 2)
        with pytest.raises(KeyboardInterrupt):
            paint(stylizer, strokes=128)
    assert isinstance(paint(stylizer, resume=True), Done)
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), expected)


def test_how_much_is_done_is_said_while_files_are_read_and_written_too(place, stylizer):
    shares: list[float] = []
    assert isinstance(paint(stylizer, strokes=128, progress=shares.append), Done)
    assert shares == sorted(shares)
    ends = (0, 0.03, 0.09, 0.15, 0.28, 0.7, 1)  # read, painted small, enlarged, measured, painted, written
    for begin, end in pairwise(ends):
        assert [share for share in shares if begin < share <= end], (begin, end)
    assert shares[-1] == 1


@pytest.mark.skipif(sys.platform == "win32", reason="its signals are of another kind")
@pytest.mark.parametrize(("begin", "end"), [(0, 0.03), (0.7, 1)], ids=["reading", "writing"])
def test_ctrl_c_ends_libvips_at_work(place, stylizer, monkeypatch, begin, end):
    photo = np.random.default_rng(0).integers(0, 256, (1200, 1000, 3), np.uint8)  # it calls back more than once
    Image.fromarray(photo).save("photo.png")
    shares: list[float] = []
    stops: list[Event] = []
    monkeypatch.setattr(huge, "Event", lambda: stops.append(Event()) or stops[-1])

    def press(share: float) -> None:
        if share > begin:
            shares.append(share)
            if len(shares) == 1:
                signal.pthread_kill(main_thread().ident, signal.SIGINT)
                assert stops[-1].wait(60)

    with pytest.raises(KeyboardInterrupt):
        paint(stylizer, progress=press)
    assert shares[-1] < end
    assert not Path("out.png").exists()
    assert isinstance(paint(stylizer, resume=True), Done)


def test_what_is_noted_as_done_has_reached_the_disk(place, stylizer, monkeypatch):
    steps: list[str] = []
    sync, note = PixelFile.sync, HugePainting._note
    monkeypatch.setattr(PixelFile, "sync", lambda file: steps.append(file.path.name) or sync(file))
    monkeypatch.setattr(HugePainting, "_note", lambda self, **done: steps.append(min(done)) or note(self, **done))
    assert isinstance(paint(stylizer), Done)
    assert steps[:2] == ["content.raw", "alpha"]  # the facts that are noted of what was decoded
    last = steps[steps.index("painted.raw") :]
    assert last == ["painted.raw", "done"] * (len(last) // 2)


@pytest.mark.parametrize("change", [{"strength": 0.5}, {"styles": ["@udnie"]}])
def test_what_was_done_of_another_painting_is_not_gone_on_with(place, stylizer, monkeypatch, change):
    expected = whole(stylizer, monkeypatch, **change)
    with monkeypatch.context() as patch:
        interrupt(patch, after=3)
        with pytest.raises(KeyboardInterrupt):
            paint(stylizer)
    assert isinstance(paint(stylizer, resume=True, **change), Done)
    np.testing.assert_array_equal(np.asarray(Image.open("out.png")), expected)


def test_another_amount_of_memory_begins_with_the_first_tile_again(place, stylizer, monkeypatch):
    expected = whole(stylizer, monkeypatch)
    with monkeypatch.context() as patch:
        interrupt(patch, after=3)
        with pytest.raises(KeyboardInterrupt):
            paint(stylizer)
    with Stylizer(backend="onnxruntime", precision="fp32", tile=200) as other:
        assert isinstance(paint(other, resume=True), Done)
    assert np.abs(np.asarray(Image.open("out.png")).astype(int) - expected).max() <= 1


def refused(outcome: Done | Failed, *parts: str) -> None:
    assert isinstance(outcome, Failed)
    assert all(part in f"{outcome.error}" for part in parts), outcome.error
    assert "\n" not in str(outcome.error)
    assert not Path("out.png").exists()


def test_a_truncated_picture_is_refused_in_one_line(place, stylizer):
    data = Path("photo.png").read_bytes()[:-60_000]
    Path("photo.png").write_bytes(data)
    refused(paint(stylizer), "photo.png: cannot be read")
    assert Path("photo.png").read_bytes() == data


def test_a_full_disk_is_refused_before_and_named_after(place, stylizer, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(job.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 1000}))
        refused(paint(stylizer), "out.png: takes 0.0 GB of disk", "choose another `output`")
    assert not find_work(Path("out.png")).exists()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(PixelFile, "__setitem__", fail)
    refused(paint(stylizer), "cannot be written (No space left on device)")


@pytest.mark.skipif(sys.platform == "win32", reason="no limits")
def test_libvips_full_disk_is_named_and_how_to_go_on(place, stylizer, monkeypatch):
    """A limit to the size of files stands for the disk: where the photo is decoded, and where the result is encoded."""
    import resource

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    pack = huge.pack

    def pack_on_a_full_disk(*arguments):
        limit(10_000)
        pack(*arguments)

    said, hint = f"cannot be written ({os.strerror(errno.EFBIG)})", "when it can be, go on with `resume`"
    unlimited, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        limit(10_000)
        refused(paint(stylizer), f"{find_work(Path('out.png'))}: {said}", hint)
        limit(unlimited)
        monkeypatch.setattr(huge, "pack", pack_on_a_full_disk)
        refused(paint(stylizer), f"out.png: {said}", hint)
    finally:
        limit(unlimited)
    assert [path.name for path in place.iterdir() if path.is_file()] == ["photo.png"]


def test_without_libvips_the_extra_is_named(place, stylizer, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvips", None)
    refused(paint(stylizer), "photo.png", "pip install 'adain-rt[huge]'")


@pytest.mark.parametrize(
    ("options", "hint"),
    [({"size": 100}, "leave out `size`"), ({"crop": True}, "`crop`"), ({"output": "out.webp"}, "TIFF, PNG or JPEG")],
)
def test_what_cannot_be_done_in_parts_is_refused(place, stylizer, options, hint):
    refused(
        paint(stylizer, **{"output": "out.png"} | options), "photo.png" if "output" not in options else "out.webp", hint
    )


def test_masks_of_another_size_are_refused(place, stylizer):
    Image.new("L", (100, 100)).save("mask.png")
    refused(paint(stylizer, masks=[Path("mask.png")]), "mask mask.png: is 100x100 pixels and photo.png is 500x400")


def test_a_pyramid_stays_one_and_metadata_is_kept(place, stylizer, china):
    image = pyvips.Image.new_from_array(china).copy(interpretation="srgb", xres=11.8, yres=11.8)
    image.tiffsave("photo.tif", tile=True, tile_width=128, tile_height=128, pyramid=True, compression="lzw")
    assert isinstance(paint(stylizer, "out.tif", "photo.tif"), Done)
    made = pyvips.Image.new_from_file("out.tif")
    assert made.xres == pytest.approx(11.8, rel=0.01)
    assert pyvips.Image.new_from_file("out.tif", page=1).width == 320


def test_a_photos_exif_is_kept_but_for_what_would_be_untrue(place, stylizer, china):
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "a pagoda", 6
    Image.fromarray(china[:400, :500]).save("photo.jpg", exif=exif)
    done = paint(stylizer, "out.jpg", "photo.jpg")
    assert isinstance(done, Done)
    assert (done.width, done.height) == (400, 500)
    with Image.open("out.jpg") as made:
        assert made.size == (400, 500)
        assert made.getexif()[0x010E] == "a pagoda"
        assert made.getexif().get(0x0112, 1) == 1
        assert made.info["icc_profile"]


@pytest.mark.parametrize("kind", ["16 bits", "grey", "sideways"])
def test_other_kinds_are_read_as_pillow_reads_them(tmp_path, china, kind):
    path = tmp_path / "photo.tif"
    image = pyvips.Image.new_from_array(china[:100, :120]).copy(interpretation="srgb")
    if kind == "16 bits":
        image = (image * 257.0).cast("ushort").copy(interpretation="rgb16")
    elif kind == "grey":
        image = image[1].copy(interpretation="b-w")
    else:
        path = tmp_path / "photo.jpg"
        image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    image.write_to_file(str(path))
    (tmp_path / "work").mkdir()
    unpacked = huge.unpack(path, tmp_path / "work")
    picture = read_picture(path)
    assert unpacked.alpha is None
    np.testing.assert_array_equal(np.asarray(unpacked.pixels), picture.pixels)
    assert huge.read_size(path) == (picture.width, picture.height)


def test_floating_point_numbers_are_refused(tmp_path):
    pyvips.Image.black(10, 10).cast("float").tiffsave(str(tmp_path / "float.tif"))
    with pytest.raises(AdainError, match=r"float\.tif: a picture this large is read with 8 or 16 bits, not as float"):
        huge.unpack(tmp_path / "float.tif", tmp_path)


def test_a_pixel_file_reads_and_writes_parts(tmp_path):
    pixels = PixelFile(tmp_path / "pixels.raw", (30, 20, 3))
    pixels.make()
    pixels[slice(5, 9), slice(2, 7)] = np.full((4, 5, 3), 9, np.uint8)
    expected = np.zeros((30, 20, 3), np.uint8)
    expected[5:9, 2:7] = 9
    np.testing.assert_array_equal(np.asarray(pixels), expected)
    np.testing.assert_array_equal(pixels[4:40, 1:8], expected[4:40, 1:8])
