"""Frames that come one by one are painted as a clip: as a photo at first, and then steadily."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.runtime.serve.conftest import pixels_of, png_of

from adain_rt.contract import Pixels
from adain_rt.media.pictures import Picture
from adain_rt.serve.clips import Clips
from adain_rt.serve.forms import Order, Upload
from adain_rt.serve.refusals import Refusal

URL = "/v1/stylize"
CLIP = "a" * 16


def ask(client, frame: Pixels, **fields: str) -> Pixels:
    """Return the picture of a frame."""
    answer = client.post(URL, files={"content": ("frame.png", png_of(frame))}, data={"style": "udnie", **fields})
    assert answer.status_code == 200, answer.text
    return pixels_of(answer.content)


@pytest.fixture
def frames(china: Pixels) -> list[Pixels]:
    """What a camera that stands sees: the same, under other grain."""
    still = china[180:276, 100:228].astype(int)
    return [
        (still + np.random.default_rng(seed).normal(0, 6, still.shape)).clip(0, 255).astype(np.uint8)
        for seed in range(4)
    ]


def test_the_first_frame_is_painted_as_a_photo_is(client, frames):
    for clip, frame in (("first-of-a-clip-0", frames[0]), ("first-of-a-clip-1", frames[1])):
        np.testing.assert_array_equal(ask(client, frame, clip=clip), ask(client, frame))


def test_the_next_frames_are_held_steady(client, frames):
    def flicker(**fields: str) -> float:
        pictures = [ask(client, frame, **fields).astype(int) for frame in frames]
        return float(np.mean([np.abs(a - b).mean() for a, b in pairwise(pictures)]))

    assert flicker(clip="held-steady-clip") < 0.7 * flicker()


def test_the_styles_and_the_strength_may_change_between_frames(client, frames):
    for fields in ({"style": "wheat-field"}, {"alpha": "0.3"}):
        for _ in range(8):
            ask(client, frames[0], clip="a-changing-style")
        for _ in range(30):
            shown = ask(client, frames[0], clip="a-changing-style", **fields)
        before, after = (ask(client, frames[0], **each).astype(int) for each in ({}, fields))
        assert np.abs(shown - after).mean() < 0.3 * np.abs(before - after).mean()


def test_frames_of_another_size_begin_anew(client, frames):
    ask(client, frames[0], clip=CLIP)
    turned = np.ascontiguousarray(frames[0].swapaxes(0, 1))
    np.testing.assert_array_equal(ask(client, turned, clip=CLIP), ask(client, turned))


def order(clip: str) -> Order:
    return Order(Upload(b"", "frame.png"), ("udnie",), (1.0,), clip=clip)


def test_the_oldest_clips_are_forgotten_when_there_are_too_many(direct, china, frames, monkeypatch):
    monkeypatch.setattr("adain_rt.serve.clips._MOST_PIXELS", 2 << 16)
    clips, style = Clips(direct), [direct.encode(china)]

    def paint(clip: str, number: int) -> Pixels:
        return clips.paint(order(clip), Picture(frames[number], None, "PNG"), style, None).pixels

    first = [paint(clip, 0) for clip in ("a", "b")]
    np.testing.assert_array_equal(*first)
    assert not np.array_equal(paint("a", 1), paint("c", 1))  # "a" goes on, and "c" takes the place of "b"
    np.testing.assert_array_equal(paint("b", 0), first[0])
    with pytest.raises(Refusal, match=r"frame.png: a frame of a clip has at most 131,072 pixels, not 182,272"):
        clips.paint(order("a"), Picture(china[:356, :512], None, "PNG"), style, None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"clip": "short"}, "the field clip must have 16 to 64 letters, digits and hyphens, not short"),
        ({"clip": "with a blank here"}, "the field clip must have"),
        ({"clip": CLIP, "color": "coral"}, "coral takes the colours of each picture, and a clip's would flicker"),
    ],
)
def test_what_a_clip_cannot_be_is_refused(client, frames, fields, said):
    answer = client.post(URL, files={"content": ("frame.png", png_of(frames[0]))}, data={"style": "udnie", **fields})
    assert answer.status_code == 400
    assert said in answer.json()["error"]
