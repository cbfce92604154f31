"""What networks leave in pictures where photos have nothing: grain, meshes, strips along the axes, bands beside edges.

Pictures and photos are float (N, 3, H, W), RGB around 0..1, and ``flat`` is what ``flatness`` gives of the photos. Each
term is a scalar, 0 where there is nothing of the kind.
"""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor, nn

from adain_models.networks.base import STRIDE

__all__ = ["angles", "flatness", "ghosts", "grid", "halos", "lattice", "mesh", "unevenness", "unrest"]

_FLAT = 0.02  # of a photo's variation: where it is this, a position counts by 1/e as flat
_FAINT = 1e-3  # of a picture's energy: what is next to nothing has no phase
_TILE = 64  # pixels of the side of a square that has a spectrum
_LONGEST, _SHORTEST = 16, 2  # pixels: the wavelengths of strokes, in a spectrum
_SECTORS = 5  # of 9 degrees each, from an axis to a diagonal
_VISIBLE = (_TILE * 3 / 8 / 255) ** 2  # the mean of the spectrum of noise of one level; 3/8 is a Hann window's power
_REPEAT = _TILE // STRIDE  # numbers of a spectrum after which a mesh of features repeats itself
_RINGS = 6, 12, 20, 33  # numbers of a spectrum from its middle; waves of 2 to 10.7 pixels
_OFF_AXIS = 3  # numbers of a spectrum: what a Hann window makes of a wave along an axis has fewer
_CELL = 32  # pixels of the side of a square that has a strength


def flatness(photos: Tensor) -> Tensor:
    """Return how flat photos are around each position, (N, 1, H - 1, W - 1): exp(-v / 0.02) of the mean variation v."""
    around = nn.functional.avg_pool2d(_variation(photos), 9, stride=1, padding=4, count_include_pad=False)
    return (-around / _FLAT).exp()


def _variation(pictures: Tensor) -> Tensor:
    """Return the absolute differences to the next pixel across and down, the mean of colours, (N, 1, H - 1, W - 1)."""
    across = pictures[:, :, :-1, 1:] - pictures[:, :, :-1, :-1]
    down = pictures[:, :, 1:, :-1] - pictures[:, :, :-1, :-1]
    return (across.abs() + down.abs()).mean(1, keepdim=True)


def unrest(pictures: Tensor, flat: Tensor) -> Tensor:
    """Return the mean variation of pictures where photos are flat."""
    return (_variation(pictures) * flat).mean()


def lattice(pictures: Tensor) -> Tensor:
    """Return how far pictures alternate from column to column and from row to row, in phase over 16 pixels.

    Doubling leaves such a mesh, always in the same phase. What is drawn alternates too, but not for long, and its
    phases cancel in the mean over a window. Third differences leave out tones, slopes and curves.
    """
    found = pictures.new_zeros(())
    for x in (pictures, pictures.mT):
        third = (x[..., 3:] - 3 * x[..., 2:-1] + 3 * x[..., 1:-2] - x[..., :-3]) / 8  # a where a and -a alternate
        sign = 1 - 2 * (torch.arange(third.shape[-1], device=x.device) % 2)
        cells = nn.functional.avg_pool2d(third * sign, 8)  # once: windows of 16 pixels overlap
        found = found + nn.functional.avg_pool2d(cells, 2, stride=1).abs().mean()
    return found


def grid(pictures: Tensor, flat: Tensor) -> Tensor:
    """Return how unevenly the energy of gradients is spread over the grid of features, the mean over both axes.

    Where photos are flat, squared differences to the next pixel are summed by column modulo 8; the term is the variance
    of the eight sums over the square of their mean. The sums are over all pictures of a batch, each of which has the
    same energy: what a picture draws has any phase, and what the doublings leave has one.
    """
    found = pictures.new_zeros(())
    for x, weight in ((pictures, flat), (pictures.mT, flat.mT)):
        energy = (x[:, :, :-1, 1:] - x[:, :, :-1, :-1]).square().mean(1, keepdim=True) * weight
        columns = energy.sum((1, 2)) / (energy.sum((1, 2, 3))[:, None] + _FAINT)
        whole = columns.shape[1] // STRIDE * STRIDE
        sums = columns[:, :whole].reshape(-1, STRIDE).sum(0)
        found = found + sums.var(correction=0) / sums.mean().square().clamp(min=_FAINT) / 2
    return found


def angles(pictures: Tensor, flat: Tensor) -> Tensor:
    """Return how unevenly energy is spread over the angles to the pixel axes, where photos are flat.

    A network that finds nothing draws strips along the axes, or along the diagonals; strokes lie at any angle. Squares
    of 64 pixels at steps of 32, their mean removed and a Hann window on them, have a power spectrum each, from 1/16 to
    1/2 cycle a pixel. Those of all pictures of a batch are added up, each as far as it is flat and of the same energy.
    The term is the variance of the sums over five sectors, from along an axis to 45 degrees off both, over the square
    of their mean.
    """
    power = _spectra(pictures)
    energies = torch.einsum("nrcyx,syx->nrcs", power, _sectors(pictures.device))
    weights = nn.functional.avg_pool2d(nn.functional.pad(flat, (0, 1, 0, 1)), _TILE, _TILE // 2)[:, 0, ..., None]
    sums = (weights * energies / (energies.mean(-1, keepdim=True) + _VISIBLE)).sum((0, 1, 2))
    return sums.var(correction=0) / sums.mean().square().clamp(min=_FAINT**2)


def mesh(pictures: Tensor) -> Tensor:
    """Return how far spectra repeat themselves after an eighth of a cycle, as that of no photo or painting does.

    Features are 8 pixels apart. What changes from one to the next, and what goes with it at each doubling, is a mesh of
    waves whose frequencies differ by an eighth of a cycle a pixel. It shows on rough ground above all, in any phase.
    Of the mean spectrum of all squares of a batch, each of the same energy, the logarithm is taken, less its own mean
    over an eighth of a cycle both ways. It is averaged over the waves that have the same place in an eighth, mirrored
    or not, in three rings around the middle. The term is half of the mean square, and half of that of the waves along
    an axis, whose mean is taken along it alone: horizons and walls have more of them than there is beside the axis.
    """
    power = _spectra(pictures)
    mean = (power / (power.mean((-2, -1), keepdim=True) + _VISIBLE)).mean((0, 1, 2))
    logarithm = (mean + _FAINT**2).log().flatten()
    return (_places(pictures.device) * logarithm).sum(1).square().sum()  # a product of matrices would be in bfloat16


def _spectra(pictures: Tensor) -> Tensor:
    """Return the power spectra of squares of 64 pixels at steps of 32, (N, rows, columns, 64, 64).

    Their mean is removed, and a Hann window is on them.
    """
    squares = pictures.mean(1).unfold(1, _TILE, _TILE // 2).unfold(2, _TILE, _TILE // 2)
    hann = torch.hann_window(_TILE, device=pictures.device)
    power: Tensor = torch.fft.fft2((squares - squares.mean((-2, -1), keepdim=True)) * hann * hann[:, None])
    return power.abs().square()


@cache
def _places(device: torch.device) -> Tensor:
    """Return what turns the logarithm of a spectrum, flattened, into what ``mesh`` squares, (places, 4096)."""
    cycles = (torch.fft.fftfreq(_TILE).abs() * _TILE).round().long()
    waves = torch.meshgrid(cycles, cycles, indexing="ij")
    place = [torch.minimum(each % _REPEAT, -each % _REPEAT) for each in waves]
    ring = torch.bucketize(torch.hypot(*[each.float() for each in waves]), torch.tensor(_RINGS).float(), right=True)
    counted = (ring > 0) & (ring < len(_RINGS))
    off = _means((ring * _REPEAT + place[0]) * _REPEAT + place[1], counted & (torch.minimum(*waves) >= _OFF_AXIS))
    down, across = (_means(ring * _REPEAT + place[axis], counted & (waves[1 - axis] < _OFF_AXIS)) for axis in (0, 1))
    off = off - _smooth(_smooth(off, 1), 2)
    along = (down - _smooth(down, 1) + across - _smooth(across, 2)) / 2
    return torch.cat([each.flatten(1) / (2 * len(each)) ** 0.5 for each in (off, along)]).to(device)


def _means(key: Tensor, counted: Tensor) -> Tensor:
    """Return what turns a spectrum into the means over the numbers that count and have the same key, (keys, 64, 64)."""
    each = torch.stack([counted & (key == number) for number in sorted(set(key[counted].tolist()))]).float()
    return each / each.sum((1, 2), keepdim=True)


def _smooth(spectra: Tensor, axis: int) -> Tensor:
    """Return spectra averaged over an eighth of a cycle along an axis, around each number."""
    nine = torch.stack([spectra.roll(shift, axis) for shift in range(-_REPEAT // 2, _REPEAT // 2 + 1)])
    return (nine.sum(0) - (nine[0] + nine[-1]) / 2) / _REPEAT  # the two at the ends are one


@cache
def _sectors(device: torch.device) -> Tensor:
    """Return what turns a spectrum into the means of five sectors, (5, 64, 64)."""
    frequencies = torch.fft.fftfreq(_TILE).abs()
    down, across = torch.meshgrid(frequencies, frequencies, indexing="ij")
    frequency = torch.hypot(down, across)
    seen = (frequency >= 1 / _LONGEST) & (frequency <= 1 / _SHORTEST)
    angle = torch.atan2(torch.minimum(down, across), torch.maximum(down, across))  # 0 to 45 degrees
    sector = (angle * (4 * _SECTORS / math.pi)).long().clamp(max=_SECTORS - 1)
    each = torch.stack([seen & (sector == number) for number in range(_SECTORS)]).float()
    return (each / each.sum((1, 2), keepdim=True)).to(device)


def unevenness(pictures: Tensor, flat: Tensor) -> Tensor:
    """Return how unevenly strokes are spread over the flat parts of photos: 0 where they are as strong everywhere.

    A network knows of an edge tens of pixels beside it, and draws more there. The strength of a square of 32 pixels is
    the mean variation of its flat part. It is compared to the next square's and the one's after that, across and down.
    The term is the sum of the differences over the sum of the sums; a pair counts as far as both are more than half
    flat.
    """
    area = nn.functional.avg_pool2d(flat, _CELL)
    strengths = nn.functional.avg_pool2d(flat * _variation(pictures), _CELL) / (area + _FAINT)
    weights = (2 * area - 1).clamp(min=0)
    differences, sums = pictures.new_zeros(()), pictures.new_full((), _FAINT)
    for strength, weight in ((strengths, weights), (strengths.mT, weights.mT)):
        for step in (1, 2):
            one, other, both = strength[..., step:], strength[..., :-step], weight[..., step:] * weight[..., :-step]
            differences = differences + (both * (one - other).abs()).sum()
            sums = sums + (both * (one + other)).sum()
    return differences / sums


def ghosts(pictures: Tensor, photos: Tensor) -> Tensor:
    """Return how far neighbouring cells of pictures differ where they are similar in the photo.

    Features are as coarse as 8 pixels, and each is made of some hundred pixels around: what they know of an edge shows
    as bands beside it. Cells of 8 pixels are compared in chroma alone, lest strokes be lost, and cells of 16 in all
    colours. A pair of cells counts by exp(-d / 0.02) of their difference d in the photo; the mean over pairs and axes.
    """
    found = pictures.new_zeros(())
    for cell in (STRIDE, 2 * STRIDE):
        ours, theirs = (nn.functional.avg_pool2d(each, cell) for each in (pictures, photos))
        if cell == STRIDE:
            ours = ours - ours.mean(1, keepdim=True)
        for axis in (2, 3):
            apart, apart_in_photo = (each.diff(dim=axis).abs().mean(1) for each in (ours, theirs))
            found = found + (apart * (-apart_in_photo / _FLAT).exp()).mean() / 2
    return found


def halos(pictures: Tensor, photos: Tensor, flat: Tensor) -> Tensor:
    """Return how far flat parts of pictures differ that are similar in the photo, however far apart they lie.

    A soft band a hundred pixels wide differs little from cell to cell, and ``ghosts`` hardly finds it. So the means of
    the flat parts of squares, 32 pixels at steps of 16, are compared to all others of their picture. A pair counts by
    exp(-d / 0.02) of its difference d in the photo, and as far as both squares are flat.
    """
    flat = nn.functional.pad(flat, (0, 1, 0, 1))
    area = nn.functional.avg_pool2d(flat, _CELL, _CELL // 2).flatten(1)

    def compare(colors: Tensor) -> Tensor:
        sums = nn.functional.avg_pool2d(flat * colors, _CELL, _CELL // 2).flatten(2)
        means = sums / (area[:, None] + _FAINT)
        return (means[..., :, None] - means[..., None, :]).abs().mean(1)  # (N, squares, squares)

    weights = (-compare(photos) / _FLAT).exp() * area[:, None]
    apart = (weights * compare(pictures)).sum(2) / (weights.sum(2) + _FAINT)
    return (area * apart).mean()
