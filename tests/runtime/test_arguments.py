"""What callers give a Stylizer: taken where NumPy makes a picture of it, refused in one line where not."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from adain_models.errors import AdainError
from adain_rt import Stylizer
from adain_rt.backends import BACKENDS, Settings
from adain_rt.contract import Pixels
from adain_rt.media.pictures import Picture
from adain_rt.style import Style
from adain_rt.transfer import StyleMix, StyleSource, Transfer

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
MASK = np.full((24, 40), 255, np.uint8)


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer(backend="onnxruntime", precision="fp32")


@pytest.fixture(scope="module")
def painting(stylizer) -> Style:
    return stylizer.encode(PICTURE[::-1])


@pytest.fixture(scope="module")
def made(stylizer, painting) -> Pixels:
    return stylizer.stylize(PICTURE, painting)


class Interface:
    """Speaks NumPy's array interface, and nothing else."""

    __array_interface__ = PICTURE.__array_interface__


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(PICTURE),
        Interface(),
        memoryview(PICTURE),
        list(PICTURE),
        np.asfortranarray(PICTURE),
        np.ma.masked_array(PICTURE),
        np.repeat(PICTURE, 2, axis=1)[:, ::2],
        PICTURE[::-1].copy()[::-1],
    ],
    ids=["pil", "interface", "buffer", "rows", "fortran", "masked", "strided", "reversed"],
)
def test_whatever_numpy_makes_a_picture_of_is_painted_alike(stylizer, painting, made, picture):
    np.testing.assert_array_equal(stylizer.stylize(picture, painting), made)
    assert stylizer.encode(picture) == stylizer.encode(PICTURE)


def test_a_list_of_pictures_is_a_batch(stylizer, painting, made):
    painted = stylizer.stylize([Image.fromarray(PICTURE), PICTURE], painting)
    np.testing.assert_array_equal(painted, np.stack([made, made]))


@pytest.mark.parametrize(
    ("picture", "parts"),
    [
        (None, "not NoneType; read a file by numpy.asarray"),
        (b"\x89PNG", "not bytes; read a file by numpy.asarray"),
        ("photo.jpg", r"not str; .*Image.open\(path\).convert\('RGB'\)"),
        (Path("photo.jpg"), "not PosixPath; read a file"),
        (io.BytesIO(b"\x89PNG"), "not BytesIO; read a file"),
        (PICTURE / 255, r"not float64 \(24, 40, 3\); if its values are from 0 to 1, use"),
        (PICTURE.tolist(), "not int64 .*; if its values are from 0 to 255"),
        (PICTURE[..., 0], r"not uint8 \(24, 40\); repeat a grey picture"),
        (np.dstack([PICTURE, MASK]), "leave out its alpha"),
        (np.moveaxis(PICTURE, -1, 0), "put its channels last"),
        (Image.fromarray(MASK), r"not a picture of mode L; use picture.convert\('RGB'\)"),
        (Image.fromarray(PICTURE).convert("YCbCr"), "not a picture of mode YCbCr"),
        ([PICTURE, PICTURE[:5]], "this list cannot be made one"),
        ([], r"not float64 \(0,\)$"),
        (object(), "not object$"),
        (7, r"not int64 \(\)$"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_picture_is_refused_with_the_way_to_one(stylizer, painting, picture, parts):
    for use in (lambda: stylizer.encode(picture), lambda: stylizer.stylize(picture, painting)):
        with pytest.raises(AdainError, match=rf"\Aa picture is a uint8 array \(H, W, 3\), .*{parts}") as refused:
            use()
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("side", [200_000, 200_001])  # of which the second is padded
def test_pictures_are_refused_for_their_memory_before_any_is_taken(stylizer, painting, side):
    large = np.broadcast_to(PICTURE[:1, :1], (side, side, 3))
    masks = np.broadcast_to(MASK[:1, :1], (1, side, side))
    for use in (
        lambda: stylizer.stylize(large, painting),
        lambda: stylizer.stylize(large, [painting], masks=masks),
    ):
        with pytest.raises(AdainError, match=rf"{side}x{side} pixels may take .* GB of memory"):
            use()


def test_copies_for_a_gpu_are_refused_for_their_memory_too(monkeypatch, painting):
    on_gpu = replace(BACKENDS["onnxruntime"], host_memory_factor={})  # of the host's memory it takes no more than them
    monkeypatch.setitem(BACKENDS, "onnxruntime", on_gpu)
    stylizer = Stylizer(backend="onnxruntime", precision="fp32")
    with pytest.raises(AdainError, match=r"200000x200000 pixels may take 280.0 GB of memory"):
        stylizer.stylize(np.broadcast_to(PICTURE[:1, :1], (200_000, 200_000, 3)), painting)


def test_so_is_a_batch_of_a_million_views(stylizer, painting):
    batch = np.broadcast_to(PICTURE[:16, :16], (1_000_000, 16, 16, 3))
    with pytest.raises(AdainError, match=r"16x16 pixels may take .*; use a smaller size or fewer pictures at once"):
        stylizer.stylize(batch, painting)


@pytest.mark.parametrize("masks", [[MASK], (Image.fromarray(MASK),), np.asfortranarray(MASK)[None]])
def test_masks_in_any_form_are_one_array(stylizer, painting, masks):
    np.testing.assert_array_equal(
        stylizer.stylize(PICTURE, [painting], masks=masks), stylizer.stylize(PICTURE, [painting], masks=MASK[None])
    )


@pytest.mark.parametrize(
    ("masks", "parts"),
    [
        (MASK, r"not an array uint8 \(24, 40\); a single mask is masks\[None\]"),
        (MASK[None] > 0, "not an array bool .*; masks are 255 inside"),
        (MASK[None] / 255, "not an array float64 .*; masks are 255 inside"),
        ([MASK.tolist()], "not an array int64 .*; if its values are from 0 to 255"),
        ([Image.fromarray(MASK).convert("1")], r"not a picture of mode 1; use picture.convert\('L'\)"),
        ("mask.png", r"masks are a uint8 array \(R, H, W\), not str; read a file"),
        ([MASK, MASK[:3]], "this list cannot be made one"),
        ([MASK, MASK], r"1 styles on pictures of 40x24 pixels .* not an array uint8 \(2, 24, 40\)$"),
    ],
)
def test_what_are_no_masks_is_refused(stylizer, painting, masks, parts):
    picture = Picture(PICTURE, None, "PNG")
    mix = StyleMix((StyleSource("one", code=painting),), (1.0,))
    for use in (
        lambda: stylizer.stylize(PICTURE, [painting], masks=masks),
        lambda: Transfer(stylizer).apply(picture, mix, masks),
    ):
        with pytest.raises(AdainError, match=parts):
            use()


@pytest.mark.parametrize("style", ["@starry-night", None, 3, PICTURE, [PICTURE, PICTURE], ["a"]])
def test_what_is_no_style_is_refused(stylizer, painting, style):
    for use in (
        lambda: stylizer.stylize(PICTURE, style),
        lambda: stylizer.stylize(PICTURE, style, masks=MASK[None]),
        lambda: stylizer.stylize(PICTURE, painting, content_code=3 if style is None else style),
        lambda: stylizer.check(style),
    ):
        with pytest.raises(AdainError, match=r"a style is a Style, not |need as many masks") as refused:
            use()
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize("strength", ["0.5", None, np.ones(2), 1j, b"1", [1]])
def test_a_strength_that_is_no_number_is_refused(stylizer, painting, strength):
    with pytest.raises(AdainError, match=r"the strength \(alpha\) is a number from 0 to 1, not "):
        stylizer.stylize(PICTURE, painting, strength=strength)


@pytest.mark.parametrize("strength", [1, np.float32(1), np.array(1.0), True, Decimal(1)])
def test_a_strength_may_be_any_kind_of_number(stylizer, painting, made, strength):
    np.testing.assert_array_equal(stylizer.stylize(PICTURE, painting, strength=strength), made)


@given(st.one_of(st.integers(max_value=0), st.integers(min_value=1025), st.booleans(), st.floats(), st.text()))
def test_threads_that_are_no_number_of_threads_are_refused(threads):
    with pytest.raises(AdainError, match=r"number of threads is a whole number from 1 to 1024, not .*set `threads`"):
        Settings(threads=threads)


def test_threads_may_be_any_kind_of_whole_number():
    for threads in (None, 1, np.int64(2), 1024):
        assert Settings(threads=threads).threads == threads


def test_what_is_no_array_on_a_gpu_is_refused(stylizer, painting):
    with pytest.raises(AdainError, match=r"pictures on a GPU are a uint8 array \(N, H, W, 3\), not NoneType"):
        stylizer.stylize_on_device(None, painting)


def test_a_pickled_stylizer_is_a_new_one_of_the_same_arguments(painting, made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    stylizer = Stylizer(backend="onnxruntime", precision="fp32", settings=Settings(threads=1))
    stylizer.stylize(PICTURE, painting)
    pickled = pickle.dumps([stylizer, Stylizer("mine", backend="onnxruntime", precision="fp32")])
    came, pathed = pickle.loads(pickled)  # noqa: S301 - our own
    assert (came.model, came.backend, came.precision, came.settings) == (
        "lite",
        "onnxruntime",
        "fp32",
        Settings(threads=1),
    )
    assert pathed.directory == tmp_path / "mine"  # wherever it is unpickled
    stylizer.close()
    np.testing.assert_array_equal(came.stylize(PICTURE, painting), made)
