"""Pictures as arrays: padded to sizes that the graphs take, and put together with what they were made from."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adain_models.errors import AdainError
from adain_rt.contract import MIN_SIDE, MULTIPLE, Pixels

__all__ = ["as_masks", "as_pictures", "compose", "is_smooth", "mask_visible", "pad", "padded"]

_CHANNELS = 3
_OPAQUE = 255

_PICTURE = "a picture is a uint8 array (H, W, 3)"
_MASKS = "masks are a uint8 array (R, H, W)"

_BLOCK = 8
_BLOCKS_PER_SIDE = 16
_SMOOTH = 5.0
"""Levels of detail below which int8 draws stripes (docs/explanation/int8.md)."""


def as_pictures(given: Any, dimensions: tuple[int, ...]) -> Pixels:
    """Return what a caller gave as a picture, or as several, as an array. An array is not copied.

    Args:
        given: uint8 RGB: an array, or what ``numpy.asarray`` makes one of, such as a PIL picture.
        dimensions: how many dimensions it may have.

    Raises:
        AdainError: it is no such picture, or it is empty. The hint names the usual mistakes.

    """
    pixels = _as_array(given, _PICTURE, "RGB")
    fits = pixels.dtype == np.uint8 and pixels.ndim in dimensions and pixels.shape[-1] == _CHANNELS
    if not fits or 0 in pixels.shape:
        found = type(given).__name__ if pixels.dtype == object else f"{pixels.dtype} {pixels.shape}"
        raise AdainError(f"{_PICTURE}, not {found}", hint=_way_to_picture(pixels))
    return pixels


def as_masks(given: Any, count: int, height: int, width: int) -> Pixels:
    """Return what a caller gave as masks, as an array. An array is not copied.

    Args:
        given: uint8 (R, H, W): an array, or what ``numpy.asarray`` makes one of, such as a list of masks.
        count: how many styles there are.
        height: of the picture, in pixels.
        width: of the picture, in pixels.

    Raises:
        AdainError: it is no such array, or the masks are not as many as the styles and as large as the picture.

    """
    masks = _as_array(given, _MASKS, "L")
    if masks.dtype != np.uint8 or masks.shape != (count, height, width):
        raise AdainError(
            f"{count} styles on pictures of {width}x{height} pixels need as many masks of that size, "
            f"not an array {masks.dtype} {masks.shape}",
            hint=_way_to_masks(masks),
        )
    return masks


def _as_array(given: Any, wanted: str, mode: str) -> NDArray[Any]:
    """Return what a caller gave as an array, unless it cannot be pixels: a file, or a PIL picture of another mode."""
    if isinstance(given, (str, bytes, bytearray, os.PathLike, type(None))) or hasattr(given, "read"):
        raise AdainError(
            f"{wanted}, not {type(given).__name__}",
            hint=f"read a file by numpy.asarray(PIL.Image.open(path).convert('{mode}'))",
        )
    for each in given if isinstance(given, (list, tuple)) else (given,):
        is_pil = not isinstance(each, np.ndarray) and isinstance(getattr(each, "mode", None), str)
        if is_pil and each.mode != mode:  # YCbCr, for one, has three channels as well
            raise AdainError(f"{wanted}, not a picture of mode {each.mode}", hint=f"use picture.convert('{mode}')")
    try:
        return np.asarray(given)
    except Exception as error:  # whatever the conversion of another library's objects raises
        why = " ".join(str(error).split())
        raise AdainError(f"{wanted}, and this {type(given).__name__} cannot be made one ({why})") from None


def _way_to_picture(pixels: NDArray[Any]) -> str | None:
    """Return how to turn an array into a picture, for the usual mistakes."""
    ways = (
        (pixels.ndim < 2 or pixels.dtype == object, None),  # noqa: PLR2004
        (pixels.dtype.kind == "f", "if its values are from 0 to 1, use (picture * 255).round().astype('uint8')"),
        (pixels.dtype != np.uint8, "if its values are from 0 to 255, use numpy.asarray(picture, 'uint8')"),
        (pixels.ndim == 2, "repeat a grey picture by numpy.stack([picture] * 3, axis=-1)"),  # noqa: PLR2004
        (pixels.shape[-1:] == (_CHANNELS + 1,), "leave out its alpha by picture[..., :3]"),
        (pixels.shape[-3:-2] == (_CHANNELS,), "put its channels last by numpy.moveaxis(picture, -3, -1)"),
    )
    return next((way for applies, way in ways if applies), None)


def _way_to_masks(masks: NDArray[Any]) -> str | None:
    """Return how to turn an array into masks, for the usual mistakes."""
    if masks.dtype.kind in "bf":
        return "masks are 255 inside, as (masks * 255).astype('uint8') makes them from 0 and 1"
    if masks.dtype != np.uint8:
        return "if its values are from 0 to 255, use numpy.asarray(masks, 'uint8')"
    return "a single mask is masks[None]" if masks.ndim == 2 else None  # noqa: PLR2004


def mask_visible(masks: Pixels | None, alpha: Pixels | None) -> Pixels | None:
    """Return masks without what is wholly transparent, so that colours nobody sees enter no statistics.

    Args:
        masks: uint8 (R, H, W); ``None`` is one region, the whole picture.
        alpha: uint8 (H, W), 255 where opaque; ``None`` if nothing is transparent.

    """
    if alpha is None or alpha.all():
        return masks
    visible = np.where(alpha, np.uint8(_OPAQUE), np.uint8(0))
    return visible[None] if masks is None else np.minimum(masks, visible)


def is_smooth(pictures: Pixels) -> bool:
    """Whether one of the pictures is smooth, such as a clear sky, a studio backdrop or a gradient.

    AdaIN brings a picture's features to the style's deviation. What varies little is magnified, and in int8 so are the
    steps of quantisation: they show as coloured stripes.

    Args:
        pictures: uint8 (N, H, W, 3). Detail is the mean deviation inside blocks of 8x8 pixels, of which 16 to 31 on a
            side are looked at. Pictures without a whole block are not smooth.

    """
    rows, columns = (side // _BLOCK for side in pictures.shape[1:3])
    if not rows or not columns:
        return False
    blocks = pictures[:, : rows * _BLOCK, : columns * _BLOCK].reshape(-1, rows, _BLOCK, columns, _BLOCK, _CHANNELS)
    some = blocks[:, :: max(1, rows // _BLOCKS_PER_SIDE), :, :: max(1, columns // _BLOCKS_PER_SIDE)]
    # One after another: a batch of views of one picture takes no memory, and its copies may take more than there is.
    return any(_measure_detail(each) < _SMOOTH for each in some)


def _measure_detail(blocks: Pixels) -> float:
    """Return the mean deviation inside blocks (rows, 8, columns, 8, 3); fast, since a block's numbers lie together."""
    numbers = blocks.transpose(0, 2, 4, 1, 3).reshape(-1, _BLOCK * _BLOCK).astype(np.float32)
    mean_squares = np.einsum("ij,ij->i", numbers, numbers) / numbers.shape[1]  # exact enough: the numbers are bytes
    variances = mean_squares - numbers.mean(axis=1) ** 2
    return float(np.sqrt(np.maximum(variances, 0)).mean())


def pad(pictures: Pixels) -> Pixels:
    """Return pictures (N, H, W, ...) padded at the bottom and on the right by reflection, to sizes that graphs take.

    A side that is too short to reflect once is reflected again and again; a single row or column is repeated.
    """
    rows, columns = (padded(size) - size for size in pictures.shape[1:3])
    if not rows and not columns:
        return np.ascontiguousarray(pictures)
    rest = [(0, 0)] * (pictures.ndim - 3)
    larger = np.pad(pictures, [(0, 0), (0, rows), (0, columns), *rest], mode="reflect")
    return np.ascontiguousarray(larger)  # it has the order of the pictures, and backends read memory as it lies


def padded(side: int) -> int:
    """Return the length of a side once it is padded: a multiple of ``MULTIPLE``, and at least ``MIN_SIDE``."""
    return max(MIN_SIDE, side + -side % MULTIPLE)


def compose(stylized: Pixels, pictures: Pixels, masks: Pixels) -> Pixels:
    """Return stylised pictures inside the masks, and the pictures themselves outside.

    Args:
        stylized: uint8 (N, H, W, 3).
        pictures: uint8 (N, H, W, 3).
        masks: uint8 (R, H, W). Their sum, up to 255, is the share of the stylised picture.

    """
    share = np.minimum(masks.sum(0, dtype=np.uint16), _OPAQUE)  # (H, W)
    composed = stylized.copy()
    composed[:, share == 0] = pictures[:, share == 0]
    mixed = (share > 0) & (share < _OPAQUE)  # the edges of soft masks, a small part of most pictures
    weight = share[mixed].astype(np.uint32)[:, None]
    rounding = _OPAQUE // 2
    blend = stylized[:, mixed] * weight + pictures[:, mixed] * (_OPAQUE - weight) + rounding
    composed[:, mixed] = blend // _OPAQUE
    return composed
