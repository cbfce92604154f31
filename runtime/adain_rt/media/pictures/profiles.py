"""Colours and transparency: an image of any mode and ICC profile as sRGB and alpha."""

from __future__ import annotations

import io
from functools import cache, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from adain_rt.contract import Pixels
from adain_rt.media.pictures.samples import Scale, reduce_samples

if TYPE_CHECKING:
    from PIL.ImageCms import ImageCmsTransform

__all__ = ["fill_unseen_colors", "read_alpha", "srgb_profile", "to_srgb"]

_KEPT_BYTES = 1 << 16
"""A profile of at most so many bytes is kept with its conversion; those of printers are larger."""


def read_alpha(image: Image.Image) -> Pixels | None:
    """Return an image's transparency, uint8 (H, W), or ``None`` if it has none.

    A channel, a palette's entries and a colour key all count.
    """
    if not image.has_transparency_data:
        return None
    if image.mode == "1" or image.mode.startswith("I"):
        key = image.info["transparency"]
        return np.where(np.asarray(image) == (bool(key) if image.mode == "1" else key), 0, 255).astype(np.uint8)
    if image.mode == "La":  # Pillow does not convert it further
        image = image.convert("LA")
    return np.array(image.convert("RGBA").getchannel("A"))


def to_srgb(image: Image.Image) -> Image.Image:
    """Return a decoded image of any mode as sRGB, mode RGB, without its alpha."""
    profile = image.info.get("icc_profile")
    image = _convert_to_profile_mode(image)
    if profile:
        try:
            return _apply_profile(image, profile)
        except (OSError, TypeError, ValueError):  # a broken profile is no reason to refuse a picture
            pass
    return image if image.mode == "RGB" else image.convert("RGB")


def fill_unseen_colors(pixels: Pixels, alpha: Pixels) -> Pixels:
    """Give the wholly transparent pixels of uint8 (H, W, 3) the mean colour of the others, weighted by their alpha.

    Unseen colours are often black, and would pass into the features beside them.
    """
    weight = alpha.sum(dtype=np.int64)
    if weight:
        pixels[alpha == 0] = np.rint(np.einsum("hw,hwc->c", alpha, pixels, dtype=np.float64) / weight)
    return pixels


@cache
def srgb_profile() -> bytes:
    """Return the sRGB profile for written files; its date is fixed, so that the same picture is the same file."""
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # ICC.1:2022, 7.2: bytes 24 to 35 are the date, six big-endian uint16.
    date = b"".join(number.to_bytes(2, "big") for number in (2000, 1, 1, 0, 0, 0))
    return profile[:24] + date + profile[36:]


def _convert_to_profile_mode(image: Image.Image) -> Image.Image:
    """Return an image in one of the modes that a profile can be for."""
    if image.mode in {"RGB", "L", "CMYK", "LAB"}:
        return image
    if image.mode.startswith("I"):
        return _reduce_to_8_bits(image, Scale(0, np.iinfo(np.uint16).max))
    if image.mode == "F":
        return _reduce_to_8_bits(image, Scale(0, 1))
    if image.mode == "La":
        image = image.convert("LA")
    return image.convert("L" if image.mode in {"1", "LA"} else "RGB")


def _reduce_to_8_bits(image: Image.Image, scale: Scale) -> Image.Image:
    return Image.fromarray(reduce_samples(np.asarray(image)[..., None], scale)[..., 0])


def _apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    make = _make_transform if len(profile) <= _KEPT_BYTES else _make_transform.__wrapped__
    return make(profile, image.mode).apply(image)


@lru_cache(maxsize=16)  # making one takes longer than a small picture's pixels, and most pictures have one of few
def _make_transform(profile: bytes, mode: str) -> ImageCmsTransform:
    """Return the conversion to sRGB. Several threads may apply it: Little CMS changes nothing in it."""
    from PIL import ImageCms

    return ImageCms.ImageCmsTransform(
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION | ImageCms.Flags.HIGHRESPRECALC,
    )
