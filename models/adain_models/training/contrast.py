"""How strong the tones, the colours and the strokes of pictures are, against those of the styles that they follow."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["contrast", "plain_strokes"]

_PLANES = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))  # Y, Cb, Cr of RGB: ITU-R BT.601
_SQUARE = 64  # pixels of the side of what has a strength by itself
_CELLS = (8, 16)  # pixels: strokes are so wide, to twice as wide
_FAINT = (1 / 255) ** 2  # of energy, a level: what nobody sees has no ratio


def contrast(pictures: Tensor, styles: Tensor) -> Tensor:
    """Return the mean square of the logarithms of pictures' strengths over styles' strengths.

    Strengths are the deviations of luminance and of two colour differences, and luminance's root mean square in two
    octaves of Haar's wavelets, strokes of 8 to 16 and of 16 to 32 pixels.

    Args:
        pictures: float (N, 3, H, W), RGB around 0..1, sides at least 32.
        styles: float (N, 3, h, w), RGB in 0..1, one for each picture.

    """
    return ((_energies(pictures).log() - _energies(styles).log()) / 2).square().mean()


def plain_strokes(pictures: Tensor, styles: Tensor, flat: Tensor, shares: Tensor) -> Tensor:
    """Return how far strokes in the flat parts of photos are from a style's typical ones, in strength.

    Strokes are those of ``contrast``, in squares of 64 pixels. A style's typical strength is the geometric mean of its
    squares, which edges of a few large shapes do not raise. The term is the mean square of the logarithm of the ratio;
    a photo counts by its flat area.

    Args:
        pictures: float (N, 3, H, W), RGB around 0..1, sides at least 64.
        styles: float (N, 3, h, w), RGB in 0..1, one for each picture.
        flat: what ``artifacts.flatness`` gives of the photos.
        shares: (N,), of the style's strength, that is asked for.

    """
    area = nn.functional.avg_pool2d(nn.functional.pad(flat, (0, 1, 0, 1)), _SQUARE)
    luminances = [_planes(each)[:, :1] for each in (pictures, styles)]
    found = pictures.new_zeros(())
    for cell in _CELLS:
        ours, theirs = (
            (nn.functional.avg_pool2d(_differences(each, cell), _SQUARE // cell) + _FAINT).log() for each in luminances
        )
        weights = area[..., : ours.shape[2], : ours.shape[3]]
        typical = (weights * ours).sum((1, 2, 3)) / (weights.sum((1, 2, 3)) + _FAINT)
        wanted = (theirs.mean((1, 2, 3)).exp() * shares.square() + _FAINT).log()
        found = found + (((typical - wanted) / 2).square() * area.mean((1, 2, 3))).mean()
    return found / len(_CELLS)


def _energies(pictures: Tensor) -> Tensor:
    """Return the squares of the strengths, (N, 5)."""
    planes = _planes(pictures)
    strokes = [_differences(planes[:, :1], cell).mean((2, 3)) for cell in _CELLS]
    return torch.cat([planes.var((2, 3)), *strokes], 1) + _FAINT


def _planes(pictures: Tensor) -> Tensor:
    """Return luminance, Cb and Cr, (N, 3, H, W)."""
    red, green, blue = pictures.float().unbind(1)  # sums, since a convolution or a product would be in bfloat16
    return torch.stack([r * red + g * green + b * blue for r, g, b in _PLANES], 1)


def _differences(plane: Tensor, cell: int) -> Tensor:
    """Return the squares of the differences between cells and the 2x2 cells around them, (N, 1, h, w)."""
    cells = nn.functional.avg_pool2d(plane, cell)
    around = nn.functional.avg_pool2d(cells, 2)
    rows, columns = (2 * side for side in around.shape[2:])
    enlarged = nn.functional.interpolate(around, scale_factor=2)
    return (cells[..., :rows, :columns] - enlarged).square()
