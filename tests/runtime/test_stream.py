"""Frames in, pictures out."""

from __future__ import annotations

import numpy as np
import pytest

from adain_rt import AdainError, Stream, Style, fit, paint
from adain_rt.strokes import AT_ONCE
from adain_rt.stylizer import Stylizer


@pytest.fixture(scope="module")
def style(stylizer: Stylizer, flower) -> Style:
    return stylizer.encode(flower[100:228, 200:328])


ONCE = {"fit": False, "underpainting": 0}


def pan(photo, count: int):
    return [np.ascontiguousarray(photo[120:216, 2 * index : 2 * index + 128]) for index in range(count)]


def test_without_steadiness_each_frame_is_painted_by_itself(stylizer, style, china):
    frames = pan(china, 3)
    pictures = list(Stream(stylizer, style, steady="off", strength=0.7, **ONCE).run(frames))
    for frame, picture in zip(frames, pictures, strict=True):
        assert (picture == stylizer.stylize(frame, style, strength=0.7)).all()


@pytest.mark.parametrize("strokes", [AT_ONCE, 64])
@pytest.mark.parametrize("steady", ["off", "statistics", "flow"])
def test_the_first_frame_of_a_shot_is_painted_as_a_photo_is(stylizer, style, china, flower, steady, strokes):
    frames = [*pan(china, 2), *pan(flower, 2)]
    pictures = list(Stream(stylizer, style, steady=steady, strokes=strokes).run(frames))
    for index in (0, 2):
        fitted = fit(stylizer, frames[index], style, size=strokes or 512)
        apart = np.abs(pictures[index].astype(int) - paint(stylizer, frames[index], fitted, strokes=strokes))
        assert apart.mean() < 1  # with statistics, the graph is another one


def test_a_large_frame_is_painted_as_a_large_photo_is(stylizer, style, china):
    frame, mask = china[:, :638], np.zeros((1, 427, 638), np.uint8)
    mask[:, 100:300, 50:400] = 255
    large = np.tile(frame, (2, 2, 1))
    masks = np.tile(mask, (1, 2, 2))
    stream = Stream(stylizer, style, steady="off", fit=False, strength=0.8)
    assert np.array_equal(stream.paint(large), paint(stylizer, large, style, strength=0.8))
    picture = Stream(stylizer, [style], steady="off", fit=False).paint(large, masks=masks)
    assert np.array_equal(picture, paint(stylizer, large, [style], masks=masks))


def test_statistics_are_smoothed_at_each_size(stylizer, style, china):
    frames = pan(china, 3)
    stream, steady = (Stream(stylizer, style, steady=mode, strokes=64) for mode in ("off", "statistics"))
    apart = [np.abs(stream.paint(frame).astype(int) - steady.paint(frame)).mean() for frame in frames]
    assert apart[0] < 1 < apart[2]
    assert {name for name in steady.save() if "." in name} >= {"0.content_code", "1.content_code"}


def test_all_sizes_and_clips_share_what_paints_smooth_frames(stylizer, style, china, monkeypatch):
    made, in_precision = [], Stylizer.in_precision
    monkeypatch.setattr(Stylizer, "precision_for", lambda *_: "fp32")
    monkeypatch.setattr(Stylizer, "precision", "int8")
    monkeypatch.setattr(Stylizer, "in_precision", lambda self, name: made.append(in_precision(self, name)) or made[-1])
    for _ in range(2):
        list(Stream(stylizer, style, steady="off", strokes=64).run(pan(china, 2)))
    assert len(made) == 8  # two sizes of two frames of two clips
    assert len(set(map(id, made))) == 1


def test_there_are_no_strokes_of_a_few_pixels(stylizer, style):
    with pytest.raises(AdainError, match="strokes are as on a photo of at least 64 pixels, not 20"):
        Stream(stylizer, style, strokes=20)


def test_there_is_no_underpainting_of_many_levels(stylizer, style):
    with pytest.raises(AdainError, match="an underpainting has from 0 to 32 levels, not 33"):
        Stream(stylizer, style, underpainting=33)


def test_each_region_of_a_large_frame_is_fitted_as_a_large_photo_is(stylizer, style, flower, china):
    masks = np.zeros((2, 854, 1280), np.uint8)
    masks[0, :500], masks[1, 500:] = 255, 255
    large, styles = np.tile(china, (2, 2, 1)), [style, stylizer.encode(flower)]
    fine = stylizer.in_precision("fp32")  # int8 makes a level of what the last bit of a code is off
    picture = Stream(fine, styles, steady="off").paint(large, masks=masks)
    expected = paint(fine, large, fit(fine, large, styles, masks=masks), masks=masks)
    assert np.abs(picture.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("steady", ["off", "flow"])
def test_nothing_is_laid_under_or_fitted_at_no_strength(stylizer, style, china, steady):
    for frame in pan(china, 2):
        once = Stream(stylizer, style, strength=0, steady="off", **ONCE).paint(frame)
        assert np.array_equal(Stream(stylizer, style, strength=0, steady=steady).paint(frame), once)


def test_plain_ground_of_a_clip_is_painted(stylizer, style, china):
    """A plain wall, before which a photo moves."""
    frames = []
    for index in range(12):
        frame = np.full((96, 192, 3), 150, np.uint8)
        frame[:, 3 * index : 3 * index + 40] = china[100:196, 200:240]
        frames.append(frame)
    plain = list(Stream(stylizer, style, fit=False, underpainting=0).run(frames))
    painted = list(Stream(stylizer, style, fit=False).run(frames))
    assert painted[-1][:, 110:].std((0, 1)).mean() > 1.5 * plain[-1][:, 110:].std((0, 1)).mean()


def test_the_style_may_change_while_it_runs(stylizer, style, china):
    frame = pan(china, 1)[0]
    stream = Stream(stylizer, style, steady="off", **ONCE)
    stream.paint(frame)
    stream.style = stylizer.encode(china)
    assert (stream.paint(frame) == stylizer.stylize(frame, stream.style)).all()


def test_a_style_may_be_found_for_each_shot(stylizer, style, china, flower):
    asked = []

    def find(frame):
        asked.append(frame)
        return style

    frames = [*pan(china, 3), *pan(flower, 2)]
    list(Stream(stylizer, find, steady="off").run(frames))
    assert [id(each) for each in asked] == [id(frames[0]), id(frames[3])]


def test_masks_and_transparency_bound_the_style(stylizer, style, china):
    *_, frame = frames = pan(china, 3)
    mask = np.zeros((1, 96, 128), np.uint8)
    mask[0, :, 64:] = 255
    alpha = np.full((96, 128), 255, np.uint8)
    alpha[48:] = 0
    stream = Stream(stylizer, [style], steady="flow")
    *_, picture = (stream.paint(each, masks=mask, alpha=alpha) for each in frames)
    assert (picture[:, :64] == frame[:, :64]).all()
    assert (picture[48:] == frame[48:]).all()
    assert (picture[:48, 64:] != frame[:48, 64:]).any()


def test_what_is_no_frame_is_refused(stylizer, style):
    with pytest.raises(AdainError, match=r"a picture is a uint8 array \(H, W, 3\), not float64"):
        Stream(stylizer, style).paint(np.zeros((32, 32, 3)))


def test_frames_keep_their_colours(stylizer, style, china):
    frame = pan(china, 1)[0]
    picture = Stream(stylizer, style, keep_chroma=True).paint(frame)
    chroma = (picture.astype(int) - picture.mean(-1, keepdims=True)) - (frame - frame.mean(-1, keepdims=True))
    assert np.abs(chroma).mean() < 8


def test_a_smooth_frame_is_painted_in_fp32(stylizer, style, china):
    if stylizer.precision != "int8":
        pytest.skip("this processor is not fast at int8, so that fp32 is the default")
    shade = np.linspace(60, 200, 128).astype(np.uint8)
    smooth = np.ascontiguousarray(np.broadcast_to(shade[None, :, None], (96, 128, 3)))
    assert (stylizer.precision_for(smooth), stylizer.precision_for(china)) == ("fp32", "int8")
    fine, stream = stylizer.in_precision("fp32"), Stream(stylizer, style, steady="off", **ONCE)
    assert (stream.paint(smooth) == fine.stylize(smooth, style)).all()
    frame = smooth + np.random.default_rng(0).integers(0, 40, smooth.shape, np.uint8)  # the same shot, and not smooth
    assert stylizer.precision_for(frame) == "int8"
    assert (stream.paint(frame) == fine.stylize(frame, style)).all()


@pytest.mark.parametrize("strokes", [AT_ONCE, 64])
@pytest.mark.parametrize("steady", ["off", "statistics", "flow"])
def test_a_stream_goes_on_from_what_another_saved(stylizer, style, china, tmp_path, steady, strokes):
    shade = np.linspace(60, 200, 128).astype(np.uint8)
    smooth = np.ascontiguousarray(np.broadcast_to(shade[None, :, None], (96, 128, 3)))
    noise = np.random.default_rng(0)
    frames = [*pan(china, 2), smooth, *(smooth + noise.integers(0, 40, smooth.shape, np.uint8) for _ in range(2))]
    whole = list(Stream(stylizer, style, steady=steady, strokes=strokes).run(frames))
    for done in (0, 2, 3):  # the last of them is in the middle of a shot that began in fp32
        stream = Stream(stylizer, style, steady=steady, strokes=strokes)
        list(stream.run(frames[:done]))
        np.savez(tmp_path / "state.npz", **stream.save())
        other = Stream(stylizer, lambda _: style, steady=steady, strokes=strokes)
        with np.load(tmp_path / "state.npz") as state:
            other.load(dict(state))
        assert np.array_equal(list(other.run(frames[done:])), whole[done:])


def test_many_styles_are_saved_in_their_order(stylizer, style, china):
    frame = pan(china, 1)[0]
    styles = [Style.mix([style, stylizer.encode(frame)], [place / 11, 1 - place / 11]) for place in range(12)]
    masks = np.zeros((12, 96, 128), np.uint8)
    for place, mask in enumerate(masks):
        mask[:, 10 * place : 10 * place + 10] = 255
    stream, other = (Stream(stylizer, lambda _: styles, steady="off") for _ in range(2))
    stream.paint(frame, masks=masks)
    other.load(stream.save())
    assert np.array_equal(other.paint(frame, masks=masks), stream.paint(frame, masks=masks))
