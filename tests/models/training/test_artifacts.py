"""The terms that see what a network leaves in pictures, on pictures that have it and pictures that have not."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from adain_models.training import artifacts

GREY = torch.full((1, 3, 64, 64), 0.5)
EVERYWHERE = torch.ones(1, 1, 63, 63)


def noise(seed: int = 0, count: int = 1) -> Tensor:
    return torch.randn(count, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def strokes(degrees: float) -> Tensor:
    """Return waves of six pixels, (1, 3, 64, 64), which advance at an angle to the rows."""
    down, across = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    turned = across * math.cos(math.radians(degrees)) + down * math.sin(math.radians(degrees))
    return (0.5 + 0.1 * (turned * 2 * math.pi / 6).sin()).expand(1, 3, -1, -1)


def test_columns_and_rows_that_alternate_are_told_from_drawing_that_is_as_strong():
    mesh = GREY + 0.1 * (1 - 2 * (torch.arange(64) % 2))
    assert artifacts.lattice(mesh).item() == pytest.approx(0.1, rel=1e-3)
    assert artifacts.lattice(mesh.mT).item() == pytest.approx(0.1, rel=1e-3)
    assert artifacts.lattice(GREY + 0.1 * noise().sign()) < 0.02
    assert artifacts.lattice(torch.linspace(0, 1, 64).expand_as(GREY)) < 1e-6


def test_unrest_is_grain_where_the_photo_is_flat():
    grain = GREY + 0.1 * noise()
    assert artifacts.unrest(GREY, artifacts.flatness(GREY)) == 0
    assert artifacts.unrest(grain, artifacts.flatness(GREY)) > 0.1
    assert artifacts.unrest(grain, artifacts.flatness(grain)) < 0.05


@pytest.mark.parametrize("period", [2, 4, 8])
def test_what_lies_in_the_grid_of_features_is_told_from_drawing_that_is_as_strong(period):
    generator = torch.Generator().manual_seed(0)
    columns = (torch.arange(64) % period == 0).float() * torch.randn(3, 64, 1, generator=generator)
    off = (torch.arange(64) % 7 == 0).float() * torch.randn(3, 64, 1, generator=generator)
    expected = {2: 0, 4: 0.5, 8: 1.5}[period]  # all the energy in two differences of `period`, across; none down
    assert artifacts.grid(GREY + 0.1 * columns, EVERYWHERE).item() == pytest.approx(expected, abs=0.1)
    assert artifacts.grid((GREY + 0.1 * columns).mT, EVERYWHERE).item() == pytest.approx(expected, abs=0.1)
    assert artifacts.grid(GREY + 0.1 * noise(), EVERYWHERE) < 0.01
    assert artifacts.grid(GREY + 0.1 * off, EVERYWHERE) < 0.1
    assert artifacts.grid(GREY, EVERYWHERE) == 0


def test_what_is_enlarged_from_features_is_told_from_what_is_drawn():
    def enlarged(times: int) -> Tensor:
        small = torch.randn(2, 3, 33, 33, generator=torch.Generator().manual_seed(0))
        large = nn.functional.interpolate(small, scale_factor=times)[..., :256, :256]
        return 0.5 + 0.1 * large

    features = artifacts.mesh(enlarged(8))
    assert features > 0.3
    assert artifacts.mesh(enlarged(7)) < 0.2 * features
    assert artifacts.mesh(enlarged(8)[:, :, 3:, 5:]) == pytest.approx(features.item(), rel=0.2)  # in any phase
    drawn = torch.randn(2, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    assert artifacts.mesh(0.5 + 0.1 * drawn) < 0.01 * features
    assert artifacts.mesh(torch.full_like(drawn, 0.5)) < 1e-9


@pytest.mark.parametrize("degrees", [0, 45, 90, 135])
def test_strips_along_the_axes_or_the_diagonals_are_told_from_strokes_at_many_angles(degrees):
    strips = artifacts.angles(strokes(degrees), EVERYWHERE)
    assert strips > 2
    many = torch.cat([strokes(angle) for angle in range(0, 180, 6)])
    assert artifacts.angles(many, EVERYWHERE.expand(len(many), -1, -1, -1)) < 0.02 * strips
    assert artifacts.angles(GREY + 0.1 * noise(count=8), EVERYWHERE.expand(8, -1, -1, -1)) < 0.01
    assert artifacts.angles(GREY, EVERYWHERE) == 0
    assert artifacts.angles(strokes(degrees), 0 * EVERYWHERE) == 0


def test_strokes_that_are_stronger_beside_an_edge_are_uneven():
    flat = torch.ones(1, 1, 127, 127)
    even = 0.5 + 0.1 * torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    band = even.clone()
    band[..., 32:] = 0.5 + (band[..., 32:] - 0.5) / 4
    assert artifacts.unevenness(even, flat) < 0.02
    assert artifacts.unevenness(band, flat) > 0.2
    assert artifacts.unevenness(band.mT, flat) == pytest.approx(artifacts.unevenness(band, flat).item(), rel=1e-3)
    assert artifacts.unevenness(band, 0.4 * flat) == 0
    assert artifacts.unevenness(torch.full_like(even, 0.5), flat) == 0


def test_a_ghost_is_a_colour_that_spreads_from_an_edge():
    photo = torch.full((1, 3, 64, 64), 0.2)
    photo[..., 32:] = 0.8
    ghost = photo.clone()
    ghost[:, 0, :, 32:40] = 0.5  # a red band is missing beside the edge
    light = photo + 0.3 * (torch.arange(64) // 8 % 2)
    assert artifacts.ghosts(photo, photo) < 1e-9
    assert artifacts.ghosts(ghost, photo) > 0.005
    assert artifacts.ghosts(light, photo) < 1e-6
    assert artifacts.ghosts(ghost, ghost) < 1e-3


def test_a_halo_is_a_soft_band_of_another_colour_around_a_thing():
    """It is wide, so that neighbouring cells hardly differ."""
    photo = torch.full((1, 3, 256, 256), 0.2)
    photo[..., :64] = 0.9
    distance = (torch.arange(256) - 64).clamp(min=0) / 100
    halo = photo + 0.1 * (1 - distance).clamp(min=0) * (torch.arange(256) >= 64)
    recoloured = 1 - photo
    flat = artifacts.flatness(photo)
    assert artifacts.halos(photo, photo, flat) < 1e-4
    assert artifacts.halos(recoloured, photo, flat) < 1e-4
    assert artifacts.halos(halo, photo, flat) > 0.02
    assert artifacts.ghosts(halo, photo) < 0.4 * artifacts.halos(halo, photo, flat)
    assert artifacts.halos(halo, halo, artifacts.flatness(halo)) < 0.5 * artifacts.halos(halo, photo, flat)


def test_what_is_not_flat_has_no_halo():
    busy = (GREY + 0.3 * noise()).clamp(0, 1)
    assert artifacts.halos(noise(1), busy, artifacts.flatness(busy)) < 1e-3
