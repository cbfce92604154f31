"""How strong the tones, the colours and the strokes of pictures are, against those of the styles that they follow."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["contrast"]

_PLANES = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))  # Y, Cb, Cr of RGB: ITU-R BT.601
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


def _energies(pictures: Tensor) -> Tensor:
    """Return the squares of the strengths, (N, 5)."""
    red, green, blue = pictures.float().unbind(1)  # sums, since a convolution or a product would be in bfloat16
    planes = torch.stack([r * red + g * green + b * blue for r, g, b in _PLANES], 1)
    strokes = [_strokes(planes[:, :1], cell) for cell in _CELLS]
    return torch.cat([planes.var((2, 3)), *strokes], 1) + _FAINT


def _strokes(plane: Tensor, cell: int) -> Tensor:
    """Return the mean square of the differences between cells and the 2x2 cells around them, (N, 1)."""
    cells = nn.functional.avg_pool2d(plane, cell)
    around = nn.functional.avg_pool2d(cells, 2)
    rows, columns = (2 * side for side in around.shape[2:])
    enlarged = nn.functional.interpolate(around, scale_factor=2)
    return (cells[..., :rows, :columns] - enlarged).square().mean((2, 3))
