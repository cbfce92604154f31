"""Frames are upright, progressive RGB of the right colours, and come back so."""

from __future__ import annotations

import socket
from fractions import Fraction
from importlib.metadata import version

import numpy as np
import pytest
from tests.runtime.media.clips.made import look_into, make_clip, moving, read_frames

from adain_models.errors import AdainError
from adain_rt.media.clips import CODECS, CONTAINERS, ClipReader, Reading

LOSSLESS = {"codec": "ffv1", "options": {}}
BT709, BT601, BT2020 = 1, 5, 9


def difference(ours, theirs) -> float:
    return float(np.abs(np.asarray(ours, float) - np.asarray(theirs, float)).mean())


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv444p10le"])
@pytest.mark.parametrize("matrix", [BT709, BT601, BT2020])
def test_the_colours_are_right_before_and_after(tmp_path, copy, matrix, pixel_format, full_range):
    if matrix == BT2020 and int(version("av").split(".")[0]) < 18:
        pytest.skip("this PyAV cannot make such a clip")
    frame = np.full((48, 64, 3), (200, 40, 90), np.uint8)
    options = {"matrix": matrix, "pixel_format": pixel_format, "full_range": full_range}
    clip = make_clip(tmp_path / "clip.mkv", frames=[frame] * 3, **LOSSLESS, **options)
    copied = copy(clip, tmp_path / "copy.mp4", crf=1)
    assert difference(copied.pixels[1], frame) < 3
    assert difference(read_frames(tmp_path / "copy.mp4")[1], frame) < 4


def test_a_large_clip_that_does_not_say_so_has_the_colours_of_hd(tmp_path):
    frame = np.full((720, 720, 3), (200, 40, 90), np.uint8)
    from tests.runtime.media.clips.made import make_clip_unsaid

    clip = make_clip_unsaid(tmp_path / "clip.mkv", frame, BT709)
    with ClipReader(clip) as reader:
        assert difference(next(reader.frames()).pixels, frame) < 3


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_frames_are_turned_upright(tmp_path, copy, rotation):
    frames = moving(3)
    clip = make_clip(tmp_path / "clip.mp4", frames=frames, rotation=rotation, aspect=Fraction(4, 3))
    copied = copy(clip, tmp_path / "copy.mp4")
    upright = np.rot90(frames[0], rotation // 90)
    assert difference(copied.pixels[0], upright) < 12
    assert difference(read_frames(tmp_path / "copy.mp4")[0], upright) < 14
    assert copied.facts.sample_aspect == (Fraction(4, 3) if rotation == 180 else Fraction(3, 4))
    assert look_into(tmp_path / "copy.mp4").sample_aspect == copied.facts.sample_aspect


def test_interlaced_frames_are_made_progressive(tmp_path, copy):
    options = {"preset": "ultrafast", "x264-params": "interlaced=1"}
    clip = make_clip(tmp_path / "clip.mkv", frames=[_comb(index) for index in range(8)], options=options)
    copied = copy(clip, tmp_path / "copy.mkv")
    assert "is interlaced; its frames are made progressive" in copied.remarks
    assert look_into(tmp_path / "copy.mkv").times == look_into(clip).times
    middle = copied.pixels[4].astype(int)
    assert np.abs(np.diff(middle[:, 8:56], axis=0)).mean() < 10  # the lines no longer alternate


@pytest.mark.slow
def test_hdr_is_brought_into_range(tmp_path, copy):
    frames = [np.full((48, 64, 3), 120, np.uint8)] * 3
    clip = make_clip(
        tmp_path / "clip.mkv", frames=frames, matrix=BT2020, pixel_format="yuv420p10le", transfer=16, **LOSSLESS
    )
    copied = copy(clip, tmp_path / "copy.mp4")
    assert "is HDR; it is brought into the range of ordinary screens" in copied.remarks
    assert (copied.facts.color.matrix, copied.facts.color.transfer) == (1, 1)


@pytest.mark.parametrize("suffix", CONTAINERS)
def test_every_container_is_written_in_its_first_codec(tmp_path, copy, suffix):
    clip = make_clip(tmp_path / "clip.mkv", frames=moving(4), **LOSSLESS)
    copied = copy(clip, tmp_path / f"copy{suffix}")
    if suffix == ".webp":  # FFmpeg writes animated WebP and does not read it
        from PIL import Image

        with Image.open(tmp_path / "copy.webp") as picture:
            assert picture.n_frames == 4
        return
    frames = read_frames(tmp_path / f"copy{suffix}")
    assert len(frames) == 4
    assert difference(frames[2], copied.pixels[2]) < 16


@pytest.mark.parametrize("codec", [codec for codec in CONTAINERS[".mkv"].codecs if "nvenc" not in codec])
def test_every_codec_writes_odd_sides(tmp_path, copy, codec):
    clip = make_clip(tmp_path / "clip.mkv", frames=moving(3, 75, 69), **LOSSLESS)
    copied = copy(clip, tmp_path / "copy.mkv", codec)
    after = look_into(tmp_path / "copy.mkv")
    assert len(after.times) == 3
    if CODECS[codec].even:
        assert (after.width, after.height) == (76, 70)
        assert "is 76x70 pixels, since this codec takes even sides only" in copied.remarks
    else:
        assert (after.width, after.height) == (75, 69)


def test_frames_are_resized(tmp_path, copy):
    clip = make_clip(tmp_path / "clip.mp4", frames=moving(2, 160, 96))
    copied = copy(clip, tmp_path / "copy.mp4", size=48)
    assert copied.pixels[0].shape == (48, 80, 3)
    assert copy(clip, tmp_path / "copy.mp4", max_size=80).pixels[0].shape == (48, 80, 3)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_transparency_and_times_of_an_animation_are_kept(tmp_path, copy, suffix):
    from PIL import Image

    frames = [Image.fromarray(np.dstack([frame, _hole(index)])) for index, frame in enumerate(moving(5))]
    lengths = [100, 50, 200, 70, 300]
    options = {"disposal": 2} if suffix == ".gif" else {"lossless": True}
    clip, target = tmp_path / f"clip{suffix}", tmp_path / f"copy{suffix}"
    frames[0].save(clip, save_all=True, append_images=frames[1:], duration=lengths, loop=0, **options)
    copied = copy(clip, target)
    with Image.open(target) as picture:
        assert picture.n_frames == 5
        shown = []
        for index in range(5):
            picture.seek(index)
            picture.load()
            shown.append(picture.info["duration"])
            alpha = np.asarray(picture.convert("RGBA"))[..., 3]
            assert (alpha == _hole(index)).all()
        known = len(lengths) - (suffix == ".webp")  # its encoder guesses the length of the last frame
        assert shown[:known] == lengths[:known]
    assert [frame.pts * copied.facts.time_base for frame in copied.frames] == [
        Fraction(each, 100) for each in (0, 10, 15, 35, 42)
    ]


@pytest.mark.parametrize("start", [0.0, 0.2])
def test_a_sequence_of_pictures_is_a_clip(tmp_path, start):
    from PIL import Image

    frames = moving(10)
    for index, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / f"f{index + 7:03d}.png")
    with ClipReader(tmp_path / "f%03d.png", Reading(start, rate=Fraction(10))) as reader:
        read = list(reader.frames())
    skipped = round(start * 10)
    assert [frame.pts * reader.facts.time_base for frame in read] == [Fraction(i, 10) for i in range(10 - skipped)]
    assert difference(read[0].pixels, frames[skipped]) == 0


def test_a_file_without_moving_pictures_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("no clip")
    with pytest.raises(AdainError, match="is not a clip, or is damaged"):
        ClipReader(tmp_path / "text.mp4")
    with pytest.raises(AdainError, match="there is no such file"):
        ClipReader(tmp_path / "none.mp4")


def test_a_stream_that_is_silent_is_given_up(monkeypatch):
    monkeypatch.setattr("adain_rt.media.clips.decoding._PATIENCE", 0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(AdainError, match="nothing came for"),
    ):
        ClipReader(f"tcp://127.0.0.1:{server.getsockname()[1]}")


def test_nothing_after_the_end_is_an_error(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4")
    with pytest.raises(AdainError, match="has no frame that can be decoded at 90 s"):
        ClipReader(clip, Reading(start=90))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_frames_before_damage_are_kept(tmp_path, copy, suffix):
    clip = make_clip(
        tmp_path / f"clip{suffix}", frames=moving(75), sound="mono", options={"preset": "ultrafast", "g": "10"}
    )
    if suffix == ".mp4":
        copy(clip, tmp_path / "indexed.mp4")  # its index is first
        clip = tmp_path / "indexed.mp4"
    data = clip.read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(data[: len(data) // 2])
    copied = copy(tmp_path / f"cut{suffix}", tmp_path / "copy.mkv")
    assert 10 < len(copied.frames) < 75
    assert copied.damage is not None


def test_packets_that_cannot_be_decoded_are_counted(tmp_path, copy):
    clip = make_clip(tmp_path / "clip.mkv", frames=moving(30), options={"preset": "ultrafast", "g": "5"})
    from tests.runtime.media.clips.made import spoil

    copied = copy(spoil(clip, tmp_path / "spoilt.mkv", packet=12), tmp_path / "copy.mkv")
    assert copied.damage is not None
    assert 12 <= len(copied.frames) < 30


def _comb(index: int):
    """Two fields of different times: a ground whose brightness steps from line to line."""
    frame = np.full((48, 64, 3), 60, np.uint8)
    frame[0::2], frame[1::2] = 60 + 10 * (index % 2), 160 - 10 * (index % 2)
    return frame


def _hole(index: int):
    alpha = np.full((48, 64), 255, np.uint8)
    alpha[30:40, index : index + 10] = 0
    return alpha
