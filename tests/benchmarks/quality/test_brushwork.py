"""The figures of brushwork, on pictures whose figures are known."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from adain_bench.quality.brushwork import (
    all_tiles,
    angles,
    axes,
    flat_tiles,
    grid,
    mesh,
    noise_gain,
    strokes,
    unevenness,
)
from adain_models.errors import AdainError


def grey(plane):
    """A picture of these tones."""
    return np.round(np.clip(plane, 0, 255)).astype(np.uint8)[..., None].repeat(3, 2)


@pytest.fixture
def noise():
    """White noise, far from where it would be clipped."""
    return grey(128 + 16 * np.random.default_rng(0).normal(size=(256, 320)))


def test_what_fades_with_frequency_alike_in_all_directions_has_no_axes():
    """Amplitudes of 1 / f, as photographs have; the few frequencies of a tile that are near 1/16 bias it by 2 %."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512)))
    frequency[0, 0] = 1
    white = np.random.default_rng(0).normal(size=(512, 512))
    pink = np.fft.ifft2(np.fft.fft2(white) / frequency).real
    picture = grey(128 + 25 * pink / pink.std())
    assert axes(picture, all_tiles(picture)) == pytest.approx(1, abs=0.05)


def with_lines(picture, period):
    """The picture with a dark line in every so many columns and rows."""
    lined = picture.copy()
    lined[:, 3::period] -= 40
    lined[5::period] -= 40
    return lined


def test_white_noise_has_no_grid_and_no_axes(noise):
    tiles = all_tiles(noise)
    assert grid(noise, tiles, 8) == pytest.approx(1, abs=0.05)
    assert grid(noise, tiles, 4) == pytest.approx(1, abs=0.05)
    assert axes(noise, tiles) == pytest.approx(1, abs=0.05)
    assert angles(noise, tiles) == pytest.approx(1, abs=0.05)


def test_lines_eight_pixels_apart_are_a_grid_modulo_eight_and_four_apart_one_of_both(noise):
    eight, four, seven = (with_lines(noise, period) for period in (8, 4, 7))
    tiles = all_tiles(noise)
    assert grid(eight, tiles, 8) > 1.8
    assert grid(four, tiles, 4) > 1.4
    assert grid(four, tiles, 8) == pytest.approx(grid(four, tiles, 4), abs=0.1)
    assert grid(seven, tiles, 8) == pytest.approx(1, abs=0.1)  # locked to another place in every tile


def test_what_is_enlarged_from_features_is_a_mesh(noise, china):
    eight, seven = (np.kron(noise[:40, :40], np.ones((times, times, 1), np.uint8)) for times in (8, 7))
    assert mesh(eight) > 3
    assert mesh(eight[3:, 5:]) == pytest.approx(mesh(eight), rel=0.05)
    assert mesh(seven) < 1.7
    assert mesh(noise) < 1.1
    assert mesh(china) < 1.2
    assert mesh(np.full_like(noise, 128)) == pytest.approx(1)


def test_a_mesh_is_what_its_definition_says(china):
    plane = china[:96, :128].astype(np.float64) @ [0.299, 0.587, 0.114]
    bell = [math.sin(math.pi * n / 64) ** 2 for n in range(64)]
    powers = []
    for row, column in itertools.product((0, 32), (0, 32, 64)):
        tile = plane[row : row + 64, column : column + 64]
        found = np.abs(np.fft.fft2((tile - tile.mean()) * np.outer(bell, bell))) ** 2
        found /= 64 * 64 * (np.outer(bell, bell) ** 2).sum()
        powers.append(found / (found.sum() + 1))
    logarithm = np.log(np.mean(powers, 0))
    apart: dict[tuple[int, ...], list[float]] = {}
    along: dict[tuple[int, ...], list[float]] = {}

    def rest(down: int, across: int, axes: tuple[int, ...]) -> float:
        """What is left of a logarithm without the mean of its 64 or 8 neighbours; the two at the ends are one."""
        steps = [range(-4, 5) if axis in axes else (0,) for axis in (0, 1)]
        around = [
            logarithm[(down + y) % 64, (across + x) % 64] / (1 + (abs(y) == 4)) / (1 + (abs(x) == 4))
            for y, x in itertools.product(*steps)
        ]
        return logarithm[down, across] - sum(around) / 8 ** len(axes)

    for down, across in itertools.product(range(-32, 32), repeat=2):
        far = math.hypot(down, across)
        if not 6 <= far < 33:
            continue
        ring = 1 if far < 12 else 2 if far < 20 else 3
        places = [min(abs(k) % 8, -abs(k) % 8) for k in (down, across)]
        if min(abs(down), abs(across)) >= 3:
            apart.setdefault((ring, *places), []).append(rest(down, across, (0, 1)))
        else:
            axis = 0 if abs(across) < 3 else 1
            along.setdefault((axis, ring, places[axis]), []).append(rest(down, across, (axis,)))
    means = {place: np.mean(group) for place, group in along.items()}
    both = [(means[0, ring, place] + means[1, ring, place]) / 2 for axis, ring, place in means if axis == 0]
    squares = [np.mean(np.square(each)) for each in ([np.mean(group) for group in apart.values()], both)]
    assert mesh(china[:96, :128]) == pytest.approx(math.exp(math.sqrt(np.mean(squares))))


def test_a_grid_is_what_its_definition_says(china):
    picture = china[:128, :192]
    tiles = flat_tiles(picture)
    plane = picture.astype(np.float64) @ [0.299, 0.587, 0.114]
    ratios = []
    for luminance, starts in ((plane, tiles), (plane.T, tiles[:, ::-1])):
        found: dict[int, list[float]] = {}
        for row, column in starts:
            squares = {
                x: np.mean([(luminance[y, x + 1] - luminance[y, x]) ** 2 for y in range(row, row + 64)])
                for x in range(column, column + 63)
            }
            for x, square in squares.items():
                found.setdefault(x % 8, []).append(square / (np.mean(list(squares.values())) + 1))
        means = [np.mean(found[place]) for place in range(8)]
        ratios.append(max(means) / np.mean(means))
    assert grid(picture, tiles, 8) == pytest.approx(np.mean(ratios))


def test_a_hard_edge_weighs_no_more_than_the_tiles_that_it_is_in(noise):
    edge = noise // 4
    edge[:64, 163:] += 150  # in 6 of 63 tiles, where it has all the energy; in all of them it has 97 % of it
    assert grid(edge, all_tiles(edge), 8) < 1 + 7 * 6 / 63


def test_what_nobody_sees_is_no_grid():
    """Blocks of a tenth of a level, where all else is flat, weigh a hundredth of what would be seen."""
    rows, columns = np.mgrid[:128, :128]
    sky = grey(128 + (columns % 8 == 0) * (rows % 64 == 0))
    strong = grey(128 + 20 * np.sin(columns / 3.1) * np.sin(rows / 2.3))
    tiles = all_tiles(sky)
    below = tiles + np.array([128, 0])
    assert grid(sky, tiles, 8) > 2
    assert grid(np.concatenate([sky, strong]), np.concatenate([tiles, below]), 8) < 1.3


@pytest.mark.parametrize(
    ("degrees", "low", "high"), [(0, 20, math.inf), (90, 20, math.inf), (45, 0, 0.05), (30, 0, 0.05)]
)
def test_stripes_along_an_axis_are_on_it_and_slanted_ones_off_it(degrees, low, high):
    rows, columns = np.mgrid[:128, :160]
    across = columns * math.cos(math.radians(degrees)) + rows * math.sin(math.radians(degrees))
    stripes = grey(128 + 40 * np.sin(2 * math.pi * across / 6))
    assert low < axes(stripes, all_tiles(stripes)) < high


@pytest.mark.parametrize("degrees", [0, 22.5, 45, 67.5, 90])
def test_stripes_at_any_angle_keep_to_one_of_five_sectors(degrees):
    rows, columns = np.mgrid[:128, :160]
    across = columns * math.cos(math.radians(degrees)) + rows * math.sin(math.radians(degrees))
    stripes = grey(128 + 40 * np.sin(2 * math.pi * across / 6))
    assert 3.5 < angles(stripes, all_tiles(stripes)) <= 5


def test_what_is_half_as_strong_in_half_of_the_tiles_is_uneven_by_a_third(noise):
    tiles = all_tiles(noise)
    assert unevenness(noise, tiles) < 0.02
    half = noise[..., 0].astype(float) - 128
    half[:, 160:] /= 2
    apart = tiles[np.isin(tiles[:, 1], (0, 96, 160, 256))]  # none on the border between the halves
    assert unevenness(grey(128 + half), apart) == pytest.approx(1 / 3, abs=0.03)
    assert unevenness(np.full_like(noise, 128), tiles) == 0


def test_rows_and_columns_count_the_same(china):
    picture, turned = china[:192], china[:192].swapaxes(0, 1)
    for figure in (
        axes,
        angles,
        unevenness,
        lambda seen, _: mesh(seen),
        lambda *seen: grid(*seen, 8),
        lambda seen, tiles: strokes(seen, 8, tiles),
    ):
        assert figure(turned, flat_tiles(turned)) == pytest.approx(figure(picture, flat_tiles(picture)))


def test_a_checkerboard_has_all_its_strokes_in_its_own_octave():
    rows, columns = np.mgrid[:128, :160]
    for cell, other in ((8, 16), (16, 8)):
        board = grey(128 + 30 * (-1.0) ** (rows // cell + columns // cell))
        assert strokes(board, cell) == pytest.approx(30)
        assert strokes(board, other) == pytest.approx(0, abs=1e-9)
        assert strokes(board, cell, all_tiles(board)) == pytest.approx(30)


def test_strokes_of_white_noise_fall_with_the_cells_size(noise):
    """A cell's mean has a deviation of 1 / cell; of its variance a quarter is that of the mean of four."""
    spread = noise[..., 0].std()
    assert strokes(noise, 8) == pytest.approx(spread / 8 * math.sqrt(3 / 4), rel=0.1)
    assert strokes(noise, 16) == pytest.approx(spread / 16 * math.sqrt(3 / 4), rel=0.2)


def test_strokes_in_tiles_are_those_there_alone(noise):
    half = noise.copy()
    half[:, :192] = 128
    tiles = all_tiles(half)
    assert strokes(half, 8, tiles[tiles[:, 1] <= 128]) == 0
    right = tiles[tiles[:, 1] >= 192]
    assert strokes(half, 8, right) == pytest.approx(strokes(noise[:, 192:], 8, all_tiles(noise[:, 192:])))


def test_flat_tiles_are_the_quarter_with_the_least_detail(noise):
    picture = noise.copy()
    picture[:128, :160] = 100
    tiles = flat_tiles(picture)
    assert len(tiles) == len(all_tiles(picture)) // 4
    flattest = tiles[: 3 * 4]
    assert (flattest[:, 0] <= 64).all()
    assert (flattest[:, 1] <= 96).all()


def test_what_is_flat_has_neither_grid_nor_axes():
    flat = np.full((64, 64, 3), 77, np.uint8)
    tiles = flat_tiles(flat)
    assert tiles.tolist() == [[0, 0]]
    assert (grid(flat, tiles, 8), axes(flat, tiles), strokes(flat, 8)) == (1, 1, 0)


def test_a_picture_smaller_than_a_tile_is_refused():
    with pytest.raises(AdainError, match="64x63 is too small"):
        flat_tiles(np.zeros((63, 64, 3), np.uint8))


def test_noise_gain_is_the_noise_itself_where_nothing_is_done_and_twice_it_where_it_is_doubled(china):
    def doubled(photo):
        return grey(2 * (photo[..., 0].astype(float) - 100))

    own = noise_gain(lambda photo: photo, china)
    assert own == pytest.approx(math.sqrt(1 + 2 / 12), rel=0.02)  # of one level, and both rounded to levels
    assert noise_gain(doubled, china) == pytest.approx(2 * own, rel=0.01)
    assert noise_gain(np.zeros_like, china) == 0


def test_noise_is_only_in_the_upper_half(china):
    seen = []
    noise_gain(lambda photo: seen.append(photo) or photo, china)
    smooth, noisy = seen
    assert (smooth[213:] == china[213:]).all()
    assert (noisy[213:] == china[213:]).all()
    assert (smooth[0, 0, 0], smooth[212, -1, 0]) == (120, 200)
