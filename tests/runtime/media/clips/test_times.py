"""A copy of a clip has its frames, at their times, and what is beside them byte for byte."""

from __future__ import annotations

from fractions import Fraction

import pytest
from tests.runtime.media.clips.made import look_into, make_clip, moving

UNEVEN = [0, 10, 15, 35, 42, 72, 80, 81, 83, 90, 100, 110, 150]
LONG_LAST = [0, 2, 102, 202, 204, 234, 334, 364, 464]  # the frame that is shown last is decoded last
REORDERED = {"preset": "veryfast", "bf": "3"}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("sound", [None, "mono", "5.1"])
@pytest.mark.parametrize("rate", ["24000/1001", "25", "30"])
def test_frames_keep_their_times_and_sound_its_bytes(tmp_path, copy, rate, sound, suffix):
    clip = make_clip(tmp_path / f"clip{suffix}", rate=Fraction(rate), sound=sound)
    copy(clip, tmp_path / f"copy{suffix}")
    before, after = look_into(clip), look_into(tmp_path / f"copy{suffix}")
    assert after.times == before.times
    assert after.packets == before.packets
    assert len(after.packets) == (sound is not None)
    assert after.seconds == pytest.approx(before.seconds, abs=0.002)


@pytest.mark.parametrize("times", [UNEVEN, LONG_LAST])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_variable_rate_is_kept_with_reordered_frames(tmp_path, copy, suffix, times):
    options = {"frames": moving(len(times) - 1), "times": times, "time_base": Fraction(1, 100), "options": REORDERED}
    clip = make_clip(tmp_path / "clip.mkv", **options)
    copy(clip, tmp_path / f"copy{suffix}")
    after = look_into(tmp_path / f"copy{suffix}")
    assert after.times == [Fraction(time, 100) for time in times[:-1]]
    assert after.seconds == pytest.approx(times[-1] / 100, abs=0.002)


def test_a_clip_of_one_frame_is_copied(tmp_path, copy):
    clip = make_clip(tmp_path / "clip.mp4", frames=moving(1))
    copy(clip, tmp_path / "copy.mp4")
    assert look_into(tmp_path / "copy.mp4") == look_into(clip)


def test_chapters_titles_and_languages_are_kept(tmp_path, copy):
    import av

    chapters = [
        {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
        {"id": 2, "start": 200, "end": 480, "time_base": Fraction(1, 1000), "metadata": {"title": "Two"}},
    ]
    clip = make_clip(tmp_path / "clip.mp4", sound="mono", chapters=chapters, metadata={"title": "A clip"})
    assert copy(clip, tmp_path / "copy.mp4").remarks == []
    with av.open(str(tmp_path / "copy.mp4")) as copied:
        assert [(each["start"], each["end"], each["metadata"]["title"]) for each in copied.chapters()] == [
            (0, 200, "One"),
            (200, 480, "Two"),
        ]
        assert copied.metadata["title"] == "A clip"
        assert copied.streams.audio[0].metadata["language"] == "fra"


def test_a_title_in_any_encoding_is_read(tmp_path, copy):
    clip = make_clip(tmp_path / "clip.mkv", metadata={"title": "Caf~"})
    clip.write_bytes(clip.read_bytes().replace(b"Caf~", b"Caf\xe9"))
    copy(clip, tmp_path / "copy.mkv")
    assert look_into(tmp_path / "copy.mkv").times == look_into(clip).times


@pytest.mark.parametrize("kind", ["subtitles", "cover", "font"])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_other_streams_are_copied(tmp_path, copy, suffix, kind):
    if (kind, suffix) == ("font", ".mp4"):
        pytest.skip("MP4 has no attachments")
    from tests.runtime.media.clips.made import wrap

    clip = wrap(make_clip(tmp_path / f"plain{suffix}", sound="mono"), tmp_path / f"clip{suffix}", kind)
    assert copy(clip, tmp_path / f"copy{suffix}").remarks == []
    before, after = look_into(clip), look_into(tmp_path / f"copy{suffix}")
    assert after.times == before.times
    assert _texts(after.packets) == _texts(before.packets)
    assert after.kinds == before.kinds
    assert len(after.kinds) == 3


def test_what_a_container_does_not_hold_is_said(tmp_path, copy):
    from tests.runtime.media.clips.made import wrap

    clip = wrap(make_clip(tmp_path / "plain.mkv"), tmp_path / "clip.mkv", "subtitles")
    assert copy(clip, tmp_path / "copy.mp4").remarks == ["does not hold subtitle (subrip), which the clip has"]


def test_sound_that_a_container_does_not_hold_is_an_error(tmp_path, copy):
    from adain_models.errors import AdainError

    clip = make_clip(tmp_path / "clip.mp4", sound="mono")
    with pytest.raises(AdainError, match="webm does not hold sound in aac"):
        copy(clip, tmp_path / "copy.webm")


def test_a_part_begins_at_zero(tmp_path, copy):
    frames = moving(50)
    clip = make_clip(
        tmp_path / "clip.mp4", frames=frames, sound="mono", options={"preset": "ultrafast", "g": "10", "crf": "1"}
    )
    copied = copy(clip, tmp_path / "copy.mp4", start=0.7, duration=0.5)
    after = look_into(tmp_path / "copy.mp4")
    assert after.times == pytest.approx([0.02 + index / 25 for index in range(12)], abs=0.001)
    apart = [abs(copied.pixels[0].astype(int) - frame).mean() for frame in frames]
    assert apart.index(min(apart)) == 18
    sound = after.packets["audio aac"]
    assert (float(sound[0][0]), float(sound[-1][0])) == pytest.approx((0, 0.5), abs=0.03)


def test_a_broadcast_clock_is_set_to_zero(tmp_path, copy):
    base = Fraction(1, 90000)
    clip = make_clip(tmp_path / "clip.ts", times=[900000 + 3600 * index for index in range(13)], time_base=base)
    copied = copy(clip, tmp_path / "copy.mp4")
    assert [frame.pts for frame in copied.frames] == [3600 * index for index in range(12)]


def _texts(packets):
    """Leave out what MP4 has between subtitles."""
    return {kind: [each for each in found if each[1] != b"\0\0"] for kind, found in packets.items()}
