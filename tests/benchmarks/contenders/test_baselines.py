"""The methods of Table 1: on small networks with random weights, which move statistics and swap patches as well."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from adain_bench.contenders.baselines import StyleEncoder, feed_forward, gatys, style_swap
from adain_bench.contenders.baselines.common import Vgg
from adain_bench.contenders.baselines.feed_forward import ConditionalInstanceNorm, dumoulin, ulyanov
from adain_bench.contenders.baselines.gatys import CONTENT_LAYER, STYLE_LAYERS, Gatys
from adain_bench.contenders.baselines.style_swap import LAYER, StyleSwap, nearest, patches, swap
from adain_models.errors import AdainError
from adain_models.training.teacher import Teacher

CPU = torch.device("cpu")
FLOAT = torch.float32


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Tensors as small as these gain nothing by a second thread, and lose much where it must be waited for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _gatys(iterations=5):
    return Gatys(Vgg([CONTENT_LAYER, *STYLE_LAYERS], "average", width=8), iterations, CPU, FLOAT)


def _style_swap(iterations=None):
    return StyleSwap(Vgg([LAYER], "max", width=8), CPU, FLOAT, iterations)


MAKERS = {
    "gatys": _gatys,
    "style swap": _style_swap,
    "style swap, optimised": lambda: _style_swap(3),
    "ulyanov": lambda: ulyanov(CPU, FLOAT),
    "dumoulin": lambda: dumoulin(CPU, FLOAT),
}
SMALLEST = {
    "gatys": gatys.MIN_SIDE,
    "style swap": style_swap.MIN_SIDE,
    "style swap, optimised": style_swap.MIN_SIDE,
    "ulyanov": feed_forward.MIN_SIDE,
    "dumoulin": feed_forward.MIN_SIDE,
}


def _stylized(method, content, style):
    return method.stylize(content, method.encode_style(style) if isinstance(method, StyleEncoder) else 0)


@pytest.mark.parametrize("name", MAKERS)
def test_a_picture_has_the_size_of_the_photo_whatever_that_is(name, china, flower):
    for height, width in ((40, 56), (37, 51), (37, SMALLEST[name]), (SMALLEST[name], 40)):
        made = _stylized(MAKERS[name](), china[:height, :width], flower[:43, :61])
        assert (made.shape, made.dtype) == ((height, width, 3), np.uint8)
        assert made.std() > 1


@pytest.mark.parametrize("name", MAKERS)
def test_the_same_weights_make_the_same_picture_again(name, china, flower):
    first, second = (_stylized(MAKERS[name](), china[:32, :40], flower[:40, :32]) for _ in range(2))
    assert np.array_equal(first, second)


def test_the_two_that_take_any_style_are_told_from_those_that_have_a_fixed_set():
    found = {name: (make().styles, isinstance(make(), StyleEncoder)) for name, make in MAKERS.items()}
    assert found["gatys"] == found["style swap"] == ("unlimited", True)
    assert (found["ulyanov"], found["dumoulin"]) == ((1, False), (32, False))


def test_random_weights_keep_the_scale_of_activations(china):
    vgg = Vgg(["relu1_1", "relu5_1"], "max", width=16)
    features = vgg(torch.tensor(china[:128, :128]).permute(2, 0, 1)[None].float())
    first, last = (features[layer].square().mean().sqrt().item() for layer in ("relu1_1", "relu5_1"))
    assert 0.2 < last / first < 5
    assert features["relu5_1"].shape == (1, 128, 8, 8)


def test_trained_weights_give_the_teachers_features(narrow_teacher, china):
    picture = torch.tensor(china[:32, :32]).permute(2, 0, 1)[None].float()
    ours = Vgg(["relu2_1", "relu3_4"], "max", narrow_teacher)(picture)
    theirs = Teacher(narrow_teacher)(picture / 255)
    assert torch.allclose(ours["relu2_1"], theirs[1], atol=1e-3)
    assert torch.allclose(ours["relu3_4"], theirs[3], atol=1e-3)


def test_layers_that_weights_do_not_reach_are_named(narrow_teacher):
    with pytest.raises(AdainError, match=r"ends at relu3_4, before relu4_2"):
        Vgg(["relu1_1", "relu4_2"], "max", narrow_teacher)


def test_the_loss_falls_and_the_style_comes_near(china, flower):
    method = _gatys(iterations=20)
    photo, wanted = china[:48, :48], method.encode_style(flower[:48, :48])
    made = method.optimize(photo, wanted)
    assert len(made.losses) == 20
    assert made.losses[-1] < 0.2 * made.losses[0]

    def distance(pixels):
        grams = method.encode_style(pixels)
        return sum(((grams[layer] - wanted[layer]).norm() / wanted[layer].norm()).item() for layer in STYLE_LAYERS)

    assert distance(made.picture) < 0.5 * distance(photo)


def test_a_gram_matrix_is_the_mean_of_products_of_channels():
    features = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    expected = sum(np.outer(x, x) for x in features[0].flatten(1).T.numpy()) / 20
    assert np.allclose(gatys.gram(features)[0].numpy(), expected, atol=1e-6)


def test_pictures_are_not_optimised_in_float16():
    for make in (lambda vgg: Gatys(vgg, 1, CPU, torch.float16), lambda vgg: StyleSwap(vgg, CPU, torch.float16, 1)):
        with pytest.raises(AdainError, match=r"cannot optimise in torch\.float16"):
            make(Vgg([LAYER], "max", width=4))


def _features(height, width, seed):
    return torch.rand(1, 6, height, width, generator=torch.Generator().manual_seed(seed))


def test_a_picture_swapped_with_itself_keeps_its_features():
    features = _features(9, 11, 0)
    own = patches(features)
    assert torch.equal(nearest(features, own), torch.arange(7 * 9))
    assert torch.allclose(swap(features, own), features, atol=1e-6)


def test_each_chosen_patch_is_the_styles_best_and_overlaps_are_averaged_whatever_is_held_at_a_time():
    content, style = _features(7, 8, 1), _features(6, 9, 2)
    expected, best = _brute_force(content[0].double().numpy(), style[0].double().numpy())
    for correlations in (1, 100, 2**20):
        assert nearest(content, patches(style), correlations).tolist() == best
        assert np.allclose(swap(content, patches(style), correlations)[0], expected, atol=1e-6)


def _brute_force(content, style):
    """Return features with patches swapped one by one, and the numbers of those chosen."""
    theirs = [style[:, i : i + 3, j : j + 3] for i in range(style.shape[1] - 2) for j in range(style.shape[2] - 2)]
    total, count, best = np.zeros_like(content), np.zeros(content.shape[1:]), []
    for i in range(content.shape[1] - 2):
        for j in range(content.shape[2] - 2):
            ours = content[:, i : i + 3, j : j + 3]
            cosines = [(ours * patch).sum() / np.linalg.norm(ours) / np.linalg.norm(patch) for patch in theirs]
            best.append(int(np.argmax(cosines)))
            total[:, i : i + 3, j : j + 3] += theirs[best[-1]]
            count[i : i + 3, j : j + 3] += 1
    return total / count, best


def test_an_optimised_picture_has_features_nearer_to_those_swapped(china, flower):
    photo, painting = china[:48, :48], flower[:48, :48]
    method = _style_swap(iterations=20)
    vgg = Vgg([LAYER], "max", width=8)

    def features(pixels):
        return vgg(torch.tensor(pixels).permute(2, 0, 1)[None].float())[LAYER]

    target = swap(features(photo), patches(features(painting)))
    made = method.stylize(photo, method.encode_style(painting))
    assert (features(made) - target).norm() < 0.7 * (features(photo) - target).norm()


def test_one_style_is_instance_normalisation():
    features = torch.randn(2, 5, 6, 7, generator=torch.Generator().manual_seed(0))
    norm, plain = ConditionalInstanceNorm(5, 1), nn.InstanceNorm2d(5, affine=True)
    with torch.no_grad():
        norm.scale.copy_(plain.weight.uniform_(0.5, 2)[None])
        norm.shift.copy_(plain.bias.uniform_(-1, 1)[None])
        assert torch.allclose(norm(features, 0), plain(features), atol=1e-6)


def test_each_of_32_styles_makes_a_picture_of_its_own(china):
    method = dumoulin(CPU, FLOAT)
    assert len({method.stylize(china[:16, :16], style).tobytes() for style in range(method.styles)}) == 32
    with pytest.raises(AdainError, match="style 32 is not among 0 to 31"):
        method.stylize(china[:16, :16], 32)
