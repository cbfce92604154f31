"""The term of contrast, on pictures of known strengths."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from adain_models.training.contrast import contrast, plain_strokes

FLOOR = 0.03  # relative: what the floor of a level takes from the logarithms of strengths as small as here


def noise(cell: int, colours: bool = True) -> Tensor:
    """Return cells of random colours around grey, or of random greys, (1, 3, 128, 128)."""
    generator = torch.Generator().manual_seed(0)
    cells = 0.1 * torch.randn(1, 3 if colours else 1, 128 // cell, 128 // cell, generator=generator)
    return 0.5 + cells.repeat_interleave(cell, 2).repeat_interleave(cell, 3).expand(-1, 3, -1, -1)


def test_a_picture_as_strong_as_its_style_costs_nothing_wherever_its_strokes_are():
    assert contrast(noise(8).flip(2), noise(8)).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("factor", [0.5, 0.8, 2])
def test_a_picture_of_less_or_more_contrast_costs_the_square_of_the_logarithm(factor):
    faded = 0.5 + factor * (noise(8) - 0.5)
    assert contrast(faded, noise(8)).item() == pytest.approx(math.log(factor) ** 2, rel=FLOOR)


def test_a_picture_without_colours_costs_though_its_tones_are_right():
    style = noise(8)
    luminance = (style * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(1, keepdim=True)
    assert contrast(luminance.expand(-1, 3, -1, -1), style).item() > 1


def test_strokes_of_another_size_cost_though_tones_are_as_strong():
    fine, coarse = noise(8, colours=False), noise(16, colours=False)
    fine = 0.5 + (fine - 0.5) * (coarse.std() / fine.std())
    assert contrast(fine, coarse).item() > 0.05


def test_bfloat16_does_not_spoil_it():
    picture, style = noise(8).requires_grad_(), 0.5 + 0.9 * (noise(8) - 0.5)
    with torch.autocast("cpu", torch.bfloat16):
        cost = contrast(picture, style)
    cost.backward()
    assert cost.item() == pytest.approx(math.log(0.9) ** 2, rel=FLOOR)
    assert picture.grad is not None
    assert picture.grad.isfinite().all()


def test_plain_pictures_have_a_gradient_that_is_finite():
    plain = torch.full((1, 3, 64, 64), 0.5, requires_grad=True)
    contrast(plain, noise(8)[..., :64, :64]).backward()
    assert plain.grad is not None
    assert plain.grad.isfinite().all()


FLAT = torch.ones(1, 1, 127, 127)


@pytest.mark.parametrize("share", [0.5, 1, 1.5])
def test_strokes_in_flat_parts_are_to_be_a_share_of_the_styles(share):
    style = 0.5 + 2 * (noise(8) - 0.5)
    painted = 0.5 + share * (style.flip(3) - 0.5)
    assert plain_strokes(painted, style, FLAT, torch.tensor([share])).item() == pytest.approx(0, abs=1e-3)
    half = plain_strokes(0.5 + (painted - 0.5) / 2, style, FLAT, torch.tensor([share])).item()
    assert half == pytest.approx(math.log(2) ** 2, rel=4 * FLOOR)


def test_strokes_where_a_photo_is_not_flat_do_not_count():
    busy, faint = noise(8), 0.5 + 0.1 * (noise(8) - 0.5)
    left = FLAT.clone()
    left[..., 64:] = 0
    mixed = torch.cat([faint[..., :64], busy[..., 64:]], 3)
    apart = plain_strokes(faint, noise(8), left, torch.ones(1)).item()
    assert plain_strokes(mixed, noise(8), left, torch.ones(1)).item() == pytest.approx(apart, rel=1e-3)
    assert plain_strokes(mixed, noise(8), torch.zeros_like(FLAT), torch.ones(1)).item() == 0


def test_an_edge_between_large_shapes_does_not_make_strokes_typical():
    """A style of two flat halves asks for a flat ground."""
    halves = torch.full((1, 3, 256, 256), 0.1)
    halves[..., 60:] = 0.9
    flat = torch.ones(1, 1, 255, 255)
    plain = torch.full_like(halves, 0.5)
    strong = 0.5 + 2 * (noise(8).repeat(1, 1, 2, 2) - 0.5)
    ones = torch.ones(1)
    assert plain_strokes(plain, halves, flat, ones) < 0.3 * plain_strokes(strong, halves, flat, ones)
