"""The reference against the paper's formulas, written apart from it in NumPy and float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adain_models import adain

DOUBLE = torch.float64


def random(*shape: int, seed: int = 0, scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(shape, generator=generator, dtype=DOUBLE)


def statistics_of(values: np.ndarray) -> tuple[float, float]:
    """Mean and deviation of one channel's values, by sums alone."""
    n = values.size
    mean = sum(values.flat) / n
    variance = sum((value - mean) ** 2 for value in values.flat) / (n - 1)
    return mean, (variance + 1e-5) ** 0.5


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(2, 5), st.floats(-1000, 1000))
def test_channel_statistics_have_the_unbiased_variance_and_epsilon_under_the_root(n, c, h, w, offset):
    features = random(n, c, h, w) + offset
    mean, std = adain.channel_statistics(features)
    for picture in range(n):
        for channel in range(c):
            expected = statistics_of(features[picture, channel].numpy())
            assert (mean[picture, channel], std[picture, channel]) == pytest.approx(expected, rel=1e-9)


def test_the_original_torch_codes_biased_variance_is_about_one_part_in_ten_thousand_away():
    features = random(1, 1, 64, 64)  # a picture of 512 pixels
    _, std = adain.channel_statistics(features)
    biased = (features.numpy().var() + 1e-5) ** 0.5
    assert std.item() / biased - 1 == pytest.approx(1.2e-4, rel=0.05)


def test_adain_is_the_papers_equation_8():
    features, style = random(2, 3, 6, 7, scale=5), random(2, 3, 4, 9, seed=1) + 2
    made = adain.adain(features, *adain.channel_statistics(style))
    for picture in range(2):
        for channel in range(3):
            f = features[picture, channel].numpy()
            mean, std = statistics_of(f)
            style_mean, style_std = statistics_of(style[picture, channel].numpy())
            expected = (f - mean) / std * style_std + style_mean
            np.testing.assert_allclose(made[picture, channel].numpy(), expected, rtol=1e-9)


def test_adain_gives_features_the_styles_statistics():
    style = (random(1, 3, seed=2), random(1, 3, seed=3).abs() + 0.5)
    mean, std = adain.channel_statistics(adain.adain(random(1, 3, 16, 16), *style))
    torch.testing.assert_close(mean, style[0])
    torch.testing.assert_close(std, style[1], rtol=1e-4, atol=0)  # 1e-5 under the root counts twice


def test_given_content_statistics_take_the_place_of_the_features_own():
    features, style = random(1, 2, 4, 4), (random(1, 2, seed=1), random(1, 2, seed=2).abs())
    own = adain.channel_statistics(features)
    torch.testing.assert_close(adain.adain(features, *style, own), adain.adain(features, *style))
    zero, one = torch.zeros(1, 2, dtype=DOUBLE), torch.ones(1, 2, dtype=DOUBLE)
    torch.testing.assert_close(adain.adain(features, zero, one, (zero, one)), features)


def test_strength_blends_each_picture_by_its_own():
    features, target = random(3, 2, 4, 4), random(3, 2, 4, 4, seed=1)
    blended = adain.blend(features, target, torch.tensor([0.0, 0.25, 1.0], dtype=DOUBLE))
    torch.testing.assert_close(blended[0], features[0])
    torch.testing.assert_close(blended[1], 0.75 * features[1] + 0.25 * target[1])
    torch.testing.assert_close(blended[2], target[2])


def test_adain_with_a_mixed_code_is_the_mixture_of_the_adain_outputs():
    features, weights = random(1, 4, 6, 6), torch.tensor([0.5, 0.3, 0.2], dtype=DOUBLE)
    means, stds = random(3, 4, seed=1), random(3, 4, seed=2).abs()
    mean, std = weights @ means, weights @ stds  # equation 15, as ``Style.mix`` computes it
    mixture = sum(w * adain.adain(features, m[None], s[None]) for w, m, s in zip(weights, means, stds, strict=True))
    torch.testing.assert_close(adain.adain(features, mean[None], std[None]), mixture)


def test_masks_are_averaged_down_and_made_to_sum_to_one():
    masks = torch.zeros(1, 2, 16, 16, dtype=DOUBLE)
    masks[0, 0, :, :8] = 255  # the left half
    masks[0, 1, :8, :] = 255  # the upper half
    weights = adain.region_weights(masks, (2, 2))
    np.testing.assert_allclose(weights[0, 0], [[0.5, 0], [1, 0]])
    np.testing.assert_allclose(weights[0, 1], [[0.5, 1], [0, 0]])


def test_each_region_has_the_statistics_of_its_own_positions():
    features, inside = random(1, 3, 6, 6), torch.zeros(6, 6, dtype=torch.bool)
    inside[:, :2] = True
    weights = torch.stack([inside, ~inside])[None].to(DOUBLE)
    means, stds = random(1, 2, 3, seed=1), random(1, 2, 3, seed=2).abs()
    made = adain.regional_adain(features, means, stds, weights)
    for region, where in enumerate((inside, ~inside)):
        for channel in range(3):
            f = features[0, channel][where].numpy()
            mean, std = statistics_of(f)
            expected = (f - mean) / std * stds[0, region, channel].item() + means[0, region, channel].item()
            np.testing.assert_allclose(made[0, channel][where].numpy(), expected, rtol=1e-9)


def test_one_region_everywhere_is_plain_adain():
    features, mean, std = random(2, 3, 5, 4), random(2, 3, seed=1), random(2, 3, seed=2).abs()
    everywhere = torch.ones(2, 1, 5, 4, dtype=DOUBLE)
    made = adain.regional_adain(features, mean[:, None], std[:, None], everywhere)
    torch.testing.assert_close(made, adain.adain(features, mean, std))


def test_features_under_no_mask_are_kept():
    features, weights = random(1, 2, 4, 4), torch.zeros(1, 1, 4, 4, dtype=DOUBLE)
    weights[..., :2] = 1
    made = adain.regional_adain(features, random(1, 1, 2, seed=1), random(1, 1, 2, seed=2).abs(), weights)
    torch.testing.assert_close(made[..., 2:], features[..., 2:])
    assert (made[..., :2] != features[..., :2]).all()


@pytest.mark.parametrize("positions", [0, 1, 2])
def test_a_region_of_few_positions_stays_within_its_style(positions):
    features, weights = random(1, 2, 4, 4, scale=100), torch.zeros(1, 2, 4, 4, dtype=DOUBLE)
    weights[0, 0].view(-1)[:positions] = 1
    weights[0, 1] = 1 - weights[0, 0]
    made = adain.regional_adain(
        features, torch.zeros(1, 2, 2, dtype=DOUBLE), torch.ones(1, 2, 2, dtype=DOUBLE), weights
    )
    assert made.isfinite().all()
    assert made.abs().max() < 10


def test_the_code_of_regions_is_the_statistics_that_their_features_have():
    features, inside = random(1, 3, 6, 6), torch.zeros(6, 6, dtype=torch.bool)
    inside[:, :2] = True
    weights, strength = torch.stack([inside, ~inside])[None].to(DOUBLE), torch.tensor([0.6], dtype=DOUBLE)
    styles = random(1, 2, 3, seed=1), random(1, 2, 3, seed=2).abs()
    made = adain.blend(features, adain.regional_adain(features, *styles, weights), strength)
    mean, std = adain.regional_code(adain.region_statistics(features, weights), styles, weights, strength)
    for where in (inside, ~inside):
        for channel in range(3):
            found = statistics_of(made[0, channel][where].numpy())
            codes = (code[0, channel][where].numpy() for code in (mean, std))
            np.testing.assert_allclose(list(codes), [[each] * where.sum() for each in found], rtol=1e-3)


def test_under_no_mask_the_code_is_the_mean_of_the_regions():
    weights = torch.zeros(1, 2, 4, 4, dtype=DOUBLE)
    weights[:, 0, :, 0], weights[:, 1, :, 1] = 1, 1
    content, styles = (tuple(random(1, 2, 3, seed=seed + part).abs() for part in (0, 1)) for seed in (1, 3))
    mean, std = adain.regional_code(content, styles, weights, torch.ones(1, dtype=DOUBLE))
    for code, wanted in zip((mean, std), styles, strict=True):
        torch.testing.assert_close(code[0, :, 0, 3], wanted[0].mean(0))
        torch.testing.assert_close(code[0, :, 0, 0], wanted[0, 0], rtol=1e-4, atol=1e-4)
