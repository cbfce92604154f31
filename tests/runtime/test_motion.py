"""What moves with the scene of a clip."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from adain_rt.motion import FlowBlend, Motion, MotionFinder, MovingTones
from adain_rt.underpainting import underpaint


class Blend:
    """Pictures blended along the motion of their frames."""

    def __init__(self) -> None:
        self.finder, self.blend = MotionFinder(), FlowBlend()

    def __call__(self, frame, painted, seconds: float = 0.04, cut: bool = False):
        return self.blend.blend(painted, self.finder.find(frame, cut), seconds)


def pan(photo, count: int, step: int = 4):
    """Frames of a camera that moves over a photograph."""
    return [np.ascontiguousarray(photo[40:200, step * index : step * index + 240]) for index in range(count)]


def flicker(photo_like, seed: int):
    """A picture with another error at each pixel."""
    noise = np.random.default_rng(seed).normal(0, 20, photo_like.shape)
    return np.clip(photo_like + noise, 0, 255).astype(np.uint8)


def unsteadiness(pictures, frames) -> float:
    return float(
        np.mean([np.abs(each.astype(int) - frame).mean() for each, frame in zip(pictures, frames, strict=True)])
    )


def test_the_blend_follows_motion(china):
    frames = pan(china, 12)
    painted = [flicker(frame, seed) for seed, frame in enumerate(frames)]
    blend = Blend()
    steady = [blend(*each) for each in zip(frames, painted, strict=True)]
    assert unsteadiness(steady[4:], frames[4:]) < 0.65 * unsteadiness(painted[4:], frames[4:])


def test_a_cut_shows_nothing_of_the_shot_before(china, flower):
    blend = Blend()
    blend(china, china)
    assert (blend(flower, flower, cut=True) == flower).all()


def test_what_appears_is_not_blended_with_what_was_there(china):
    """A thing that moves leaves no trail: where it was, and where it is, the picture is of this frame."""
    blend = Blend()
    before, after = china.copy(), china.copy()
    before[100:160, 100:160], after[100:160, 180:240] = 255, 255
    blend(before, before)
    steady = blend(after, after)
    assert np.abs(steady[104:156, 104:156].astype(int) - after[104:156, 104:156]).mean() < 6
    assert np.abs(steady[104:156, 184:236].astype(int) - after[104:156, 184:236]).mean() < 6


def test_the_share_of_the_picture_before_depends_on_time_alone(china):
    grey, white = np.full_like(china, 100), np.full_like(china, 200)

    def blend(seconds: float, steps: int) -> float:
        blender = Blend()
        blender(china, grey)
        for _ in range(steps):
            last = blender(china, white, seconds / steps)
        return float(last.mean())

    assert blend(0.08, 1) == pytest.approx(blend(0.08, 4), abs=2)


def test_pictures_of_any_size_are_blended():
    blend, tones, finder = Blend(), MovingTones(), MotionFinder()
    for size in [(1, 1), (5, 300), (300, 5), (700, 20)]:
        picture = np.full((*size, 3), 90, np.uint8)
        for _ in range(2):
            assert blend(picture, picture).shape == picture.shape
            assert tones.lay(picture, 3, None, finder.find(picture, cut=False), 0.04).shape == picture.shape


FRAME = np.full((270, 480, 3), 128, np.uint8)
LEVELS = 10.0


def moving(right: float = 0.0, growth: float = 1.0) -> Motion:
    """The motion of a scene that goes to the right by so many pixels a frame, and grows around the frame's middle."""
    rows, columns = np.indices((270, 480), np.float32)
    flow = np.stack([(columns - 240) * (1 / growth - 1) - right, (rows - 135) * (1 / growth - 1)], -1)
    return Motion(flow.astype(np.float32), np.ones((270, 480), np.float32))


def lay_all(motion: Motion, frames: int) -> np.ndarray:
    """The tones of the frames of a shot, in levels: the first, and those that move."""
    tones = MovingTones()
    laid = [tones.lay(FRAME, LEVELS, None, motion if frame else None, 0.04) for frame in range(frames)]
    return np.array(laid, float)[..., 0] - 128


def test_a_shot_begins_with_the_underpainting_of_a_photo():
    frame = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    tones, mask = MovingTones(), np.zeros((1, 90, 120), np.uint8)
    mask[:, :, :70] = 255
    assert np.array_equal(tones.lay(frame, 5, mask, None, 0.04), underpaint(frame, 5, mask))


def test_tones_stay_where_nothing_moves():
    laid = lay_all(moving(), 100)
    assert np.abs(laid[-1] - laid[1]).max() <= 1
    # Those that may move are drawn at half the size, which takes 4 % off the shortest waves, and more at the rim.
    assert np.abs(laid[1] - laid[0])[3:-3, 3:-3].max() <= 2


def test_tones_move_with_the_scene():
    laid = lay_all(moving(right=3), 40)
    for before, after in itertools.pairwise(laid[20:]):
        assert np.corrcoef(before[:, 50:400].ravel(), after[:, 53:403].ravel())[0, 1] > 0.95
        assert np.corrcoef(before[:, 50:400].ravel(), after[:, 50:400].ravel())[0, 1] < 0.9


@pytest.mark.parametrize("motion", [moving(right=5), moving(right=-0.3), moving(growth=1.01), moving(growth=0.99)])
def test_tones_keep_their_strength_and_their_size(motion):
    laid = lay_all(motion, 150)
    assert [each.std() for each in laid[::10]] == pytest.approx([laid[0].std()] * 15, rel=0.1)
    slopes = [np.diff(each, axis=1).std() for each in (laid[0], laid[-1])]
    assert slopes[1] == pytest.approx(slopes[0], rel=0.4)  # drawn out in 150 frames, they would be flat


def test_tones_lie_where_masks_are_and_without_levels_there_are_none():
    tones, mask = MovingTones(), np.zeros((1, 270, 480), np.uint8)
    mask[:, :100] = 255
    for motion in (None, moving(right=2)):
        laid = tones.lay(FRAME, LEVELS, mask, motion, 0.04)
        assert (laid[100:] == 128).all()
        assert laid[:100].std() > 5
    assert tones.lay(FRAME, 0, None, moving(), 0.04) is FRAME


def test_a_shot_begins_with_tones_that_have_not_moved():
    tones = MovingTones()
    first = tones.lay(FRAME, LEVELS, None, None, 0.04)
    for _ in range(60):
        tones.lay(FRAME, LEVELS, None, moving(right=7), 0.04)
    tones.lay(FRAME, LEVELS, None, None, 0.04)
    second = tones.lay(FRAME, LEVELS, None, moving(), 0.04)
    assert np.abs(second.astype(int) - first)[3:-3, 3:-3].max() <= 2
