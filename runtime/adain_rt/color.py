"""Keeping the content's colours: recolour the style before the transfer, or take only its luma after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from adain_rt.contract import Pixels

__all__ = ["coral", "keep_chroma"]

_Float = TypeVar("_Float", np.float32, np.float64)

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, full range, as in JPEG
_CHUNK = 1 << 16  # pixels worked on at once: they stay in the processor's cache


def coral(style: Pixels, content: Pixels) -> Pixels:
    """Return the style picture with the content picture's distribution of colours.

    CORrelation ALignment (Sun, Feng and Saenko 2016, "Return of Frustratingly Easy Domain Adaptation") as the
    AdaIN authors' ``coral`` has it. With X the pixels of a picture, [3, N], brought to mean 0 and unbiased
    deviation 1, and C = (X X^T + I) / N: the result is ``sqrt(Cc) sqrt(Cs)^-1 Xs``, scaled and shifted to the
    content's deviation and mean. A channel that is flat in the style counts as zeros.

    The authors do not divide by N. For two pictures of one size that is the same; for others their result's
    contrast goes with the square root of the content's number of pixels over the style's.

    Args:
        style: uint8 [H, W, 3].
        content: uint8 [h, w, 3], of any size.

    Returns:
        uint8 [H, W, 3], rounded and clipped.

    """
    style_mean, style_std, style_root = _moments(style)
    content_mean, content_std, content_root = _moments(content)
    matrix = content_std[:, None] * (content_root @ np.linalg.inv(style_root)) / _or_one(style_std)
    offset = content_mean - matrix @ style_mean
    recolored = [_to_bytes(matrix @ pixels + offset[:, None]) for pixels in _chunks(style, np.float64)]
    return np.concatenate(recolored).reshape(style.shape)


def keep_chroma(content: Pixels, stylized: Pixels) -> Pixels:
    """Return the stylised picture's luma with the content's chroma.

    Luminance-only transfer (Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer"), in
    the YCbCr of JPEG. Where the content's chroma does not exist at the new luma, as vivid colours do not
    near white or black, it is drawn towards grey just so far that it does: luma and hue stay, where
    clipping each channel would change both.

    Args:
        content: uint8 [H, W, 3].
        stylized: uint8 [H, W, 3].

    Returns:
        uint8 [H, W, 3].

    """
    colored = []
    for ours, theirs in zip(_chunks(content, np.float32), _chunks(stylized, np.float32), strict=True):
        luma = _LUMA @ theirs
        # The same Cb and Cr are the same differences from the luma, in R, G and B.
        chroma = ours - _LUMA @ ours
        colored.append(_to_bytes(luma + _room(luma, chroma) * chroma))
    return np.concatenate(colored).reshape(content.shape)


def _chunks(pixels: Pixels, dtype: type[_Float]) -> Iterator[NDArray[_Float]]:
    """Yield uint8 [H, W, 3] as floats [3, n], a piece at a time."""
    flat = pixels.reshape(-1, 3)
    for start in range(0, len(flat), _CHUNK):
        yield flat[start : start + _CHUNK].T.astype(dtype, order="C")


def _to_bytes(values: NDArray[_Float]) -> Pixels:
    """Return floats [3, n] as uint8 [n, 3], rounded and clipped."""
    return np.rint(values).clip(0, 255).astype(np.uint8).T


def _moments(
    pixels: Pixels,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean [3], the unbiased deviation [3] and the square root of C [3, 3]; see ``coral``."""
    count = pixels.size // 3
    mean = np.sum([part.sum(axis=1) for part in _chunks(pixels, np.float64)], axis=0) / count
    centred = (part - mean[:, None] for part in _chunks(pixels, np.float64))
    scatter = np.sum([part @ part.T for part in centred], axis=0)
    std = np.sqrt(scatter.diagonal() / max(count - 1, 1))
    values, vectors = np.linalg.eigh((scatter / np.outer(_or_one(std), _or_one(std)) + np.eye(3)) / count)
    return mean, std, vectors * np.sqrt(values) @ vectors.T


def _or_one(std: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what to divide by: a flat channel is all zeros, whose scale does not matter."""
    return np.where(std > 0, std, 1.0)


def _room(luma: NDArray[np.float32], chroma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return how much, 0 to 1, of chroma [3, n] fits in 0 to 255 around luma [n]."""
    least = np.float32(1e-6)  # chroma this faint always fits
    above = (255 - luma) / np.maximum(chroma.max(axis=0), least)
    below = luma / np.maximum(-chroma.min(axis=0), least)
    room: NDArray[np.float32] = np.clip(np.minimum(above, below), 0, 1)
    return room
