"""Keeping the content's colours: recolour the style before the transfer, or keep the content's chroma after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from adain_rt.contract import Pixels

__all__ = ["coral", "keep_chroma"]

_Float = TypeVar("_Float", np.float32, np.float64)

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, full range, as in JPEG
_CHUNK = 1 << 16  # pixels at a time: few enough to stay in the processor's cache


def coral(style: Pixels, content: Pixels) -> Pixels:
    """Return the style picture with the content picture's distribution of colours.

    CORrelation ALignment (Sun, Feng and Saenko 2016, "Return of Frustratingly Easy Domain Adaptation"), as the AdaIN
    authors implement ``coral``. X are the pixels of a picture, (3, N), normalised to mean 0 and unbiased deviation 1,
    and C = (X X^T + I) / N. The result is ``sqrt(Cc) sqrt(Cs)^-1 Xs``, scaled and shifted to the content's deviation
    and mean. A channel that is flat in the style counts as zeros.

    The authors do not divide by N. For two pictures of one size the result is the same. For other sizes the contrast of
    their result grows with the square root of the content's number of pixels over the style's.

    Args:
        style: uint8 (H, W, 3).
        content: uint8 (h, w, 3), of any size.

    Returns:
        uint8 (H, W, 3), rounded and clipped.

    """
    style_mean, style_std, style_root = _measure_moments(style)
    content_mean, content_std, content_root = _measure_moments(content)
    matrix = content_std[:, None] * (content_root @ np.linalg.inv(style_root)) / _replace_zeros(style_std)
    offset = content_mean - matrix @ style_mean
    recolored = [_to_bytes(matrix @ pixels + offset[:, None]) for pixels in _iterate_chunks(style, np.float64)]
    return np.concatenate(recolored).reshape(style.shape)


def keep_chroma(content: Pixels, stylized: Pixels) -> Pixels:
    """Return the stylised picture's luma with the content's chroma.

    Luminance-only transfer (Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer"), in the YCbCr of
    JPEG. Vivid chroma does not exist near white and black. There it is moved towards grey until it does, which keeps
    luma and hue; clipping each channel would change both.

    Args:
        content: uint8 (H, W, 3).
        stylized: uint8 (H, W, 3).

    Returns:
        uint8 (H, W, 3).

    """
    colored = []
    for ours, theirs in zip(_iterate_chunks(content, np.float32), _iterate_chunks(stylized, np.float32), strict=True):
        luma = _LUMA @ theirs
        # The same Cb and Cr are the same differences from the luma, in R, G and B.
        chroma = ours - _LUMA @ ours
        colored.append(_to_bytes(luma + _find_room(luma, chroma) * chroma))
    return np.concatenate(colored).reshape(content.shape)


def _iterate_chunks(pixels: Pixels, dtype: type[_Float]) -> Iterator[NDArray[_Float]]:
    """Yield uint8 (H, W, 3) as floats (3, n), n pixels at a time."""
    flat = pixels.reshape(-1, 3)
    for start in range(0, len(flat), _CHUNK):
        yield flat[start : start + _CHUNK].T.astype(dtype, order="C")


def _to_bytes(values: NDArray[_Float]) -> Pixels:
    """Return floats (3, n) as uint8 (n, 3), rounded and clipped."""
    return np.rint(values).clip(0, 255).astype(np.uint8).T


def _measure_moments(
    pixels: Pixels,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean (3), the unbiased deviation (3) and the square root of C (3, 3); see ``coral``."""
    count = pixels.size // 3
    mean = np.sum([part.sum(axis=1) for part in _iterate_chunks(pixels, np.float64)], axis=0) / count
    centred = (part - mean[:, None] for part in _iterate_chunks(pixels, np.float64))
    scatter = np.sum([part @ part.T for part in centred], axis=0)
    std = np.sqrt(scatter.diagonal() / max(count - 1, 1))
    values, vectors = np.linalg.eigh((scatter / np.outer(_replace_zeros(std), _replace_zeros(std)) + np.eye(3)) / count)
    return mean, std, vectors * np.sqrt(values) @ vectors.T


def _replace_zeros(std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return deviations to divide by: 1 for a flat channel, which is all zeros whatever it is divided by."""
    return np.where(std > 0, std, 1.0)


def _find_room(luma: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much, from 0 to 1, of chroma (3, n) fits into 0..255 around luma (n)."""
    least = np.float32(1e-6)  # chroma this faint always fits
    above = (255 - luma) / np.maximum(chroma.max(axis=0), least)
    below = luma / np.maximum(-chroma.min(axis=0), least)
    room: NDArray[np.float32] = np.clip(np.minimum(above, below), 0, 1)
    return room
