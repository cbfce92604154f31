"""Optimisation profiles: how they are written, and which shapes they give."""

from __future__ import annotations

import pytest
from tests.runtime.backends.tensorrt.engines_on_disk import LARGE, SMALL

from adain_models.errors import AdainError
from adain_rt import contract
from adain_rt.backends.tensorrt.profiles import DEFAULTS, Profile, parse_profile, static_profile


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        ("256:512:1024", ((1, 1, 1), (256, 512, 1024), (256, 512, 1024))),
        ("64x96:720x1280:1080x1920", ((1, 1, 1), (64, 720, 1080), (96, 1280, 1920))),
        ("1x16x16:2x512x512:4X1024x1024", ((1, 2, 4), (16, 512, 1024), (16, 512, 1024))),
    ],
)
def test_a_profile_is_read_as_sides_heights_and_widths_and_batches(text, ranges):
    assert parse_profile(text) == Profile(*ranges)


@pytest.mark.parametrize("profile", [*DEFAULTS, SMALL, LARGE, static_profile("4x512x768")])
def test_a_profile_is_written_as_it_is_read(profile):
    assert parse_profile(str(profile)) == profile


def test_a_static_profile_is_one_size():
    assert static_profile("512x768") == Profile((1, 1, 1), (512, 512, 512), (768, 768, 768))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("512", "MIN:OPT:MAX"),
        ("256:512:1024:2048", "MIN:OPT:MAX"),
        ("512:256:1024", "must rise"),
        ("256:512:500", "multiples of 8"),
        ("8:512:1024", "from 16 to 16384"),
        ("0x64x64:1x64x64:1x64x64", "N at least 1"),
        ("a:b:c", "invalid size 'a'; use 512, 720x1280 or 4x512x512"),
        ("1x2x3x4:512:1024", "invalid size"),
        (":512:1024", "invalid size"),
        ("16:512:1000000", "from 16 to 16384"),
        ("-16:512:1024", "from 16 to 16384"),
    ],
)
def test_a_profile_that_no_graph_can_take_is_refused(text, said):
    with pytest.raises(AdainError, match=said):
        parse_profile(text)


def test_the_shapes_of_a_profile_are_those_of_the_contract():
    profile = parse_profile("1x16x24:2x512x768:4x1024x1024")
    image, mean, _, masks, strength = contract.GRAPHS["stylize_regions"].inputs
    assert profile.shapes(image, 128) == [(1, 16, 24, 3), (2, 512, 768, 3), (4, 1024, 1024, 3)]
    assert profile.shapes(mean, 128) == [(1, 1, 128), (2, 2, 128), (4, 15, 128)]
    assert profile.shapes(masks, 128) == [(1, 1, 16, 24), (2, 2, 512, 768), (4, 15, 1024, 1024)]
    assert profile.shapes(strength, 128) == [(1,), (2,), (4,)]


def test_no_default_profile_lets_a_tensor_of_vgg19_have_two_to_the_31_numbers():
    for profile in DEFAULTS:
        assert 64 * profile.N.most * profile.H.most * profile.W.most < 2**31  # the first block: 64 channels, full size
        assert (
            512 * profile.R.most * profile.N.most * profile.H.most * profile.W.most // 64 < 2**31
        )  # regions, at an eighth
