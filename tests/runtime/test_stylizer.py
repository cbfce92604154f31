"""The Stylizer on real photographs and on the oddest pictures, against the reference."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from adain_models.errors import AdainError
from adain_models.weights import store
from adain_rt import Stylizer, backends
from adain_rt.backends import open_backend
from adain_rt.backends.onnxruntime import cpu as onnxruntime_backend
from adain_rt.pixels import pad
from adain_rt.style import Style

ODD = (slice(3, 90), slice(101, 240))  # 87x139: multiples of nothing


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    """The bundled model as exactly as it is computed."""
    return exact("lite")


@pytest.fixture(scope="module")
def painting(stylizer, flower) -> Style:
    return stylizer.encode(flower)


def exact(model: str) -> Stylizer:
    return Stylizer(model, backend="onnxruntime", precision="fp32")


def distance(one: np.ndarray, other: np.ndarray) -> int:
    """The largest difference in levels."""
    return int(np.abs(one.astype(int) - other.astype(int)).max())


@pytest.fixture(scope="module", params=["lite", pytest.param("vgg19", marks=pytest.mark.slow)])
def each(request) -> Stylizer:
    """A Stylizer for each model."""
    return exact("lite" if request.param == "lite" else str(request.getfixturevalue("vgg19_dir")))


@pytest.mark.slow
@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_a_photograph_of_any_size_agrees_with_the_reference_within_one_level(each, china, flower, strength):
    import torch

    from adain_models import reference
    from adain_models.weights import checkpoint

    network = checkpoint.load(each.directory / store.WEIGHTS_NAME).double()
    content, style = china[ODD], flower[:128, :96]
    code = reference.encode(network, torch.from_numpy(style[None]))
    padded = torch.from_numpy(pad(content[None]))
    expected = reference.stylize(network, padded, code, torch.tensor([strength]).double())[0, :87, :139].numpy()
    made = each.stylize(content, each.encode(style), strength=strength)
    assert made.shape == content.shape
    assert distance(made, expected) <= 1


@pytest.mark.slow
def test_regions_agree_with_the_reference_within_one_level(each, china, flower):
    import torch

    from adain_models import reference
    from adain_models.weights import checkpoint

    network = checkpoint.load(each.directory / store.WEIGHTS_NAME).double()
    content, styles = china[:88, 100:252], [each.encode(flower[:96, :96]), each.encode(china[200:328, :96])]
    masks = np.zeros((2, *content.shape[:2]), np.uint8)
    masks[0, :, :80], masks[1, 20:, 60:] = 255, 130
    codes = tuple(
        torch.from_numpy(np.stack([getattr(style, name) for style in styles])[None]).double()
        for name in ("mean", "std")
    )
    expected = reference.stylize_regions(
        network, torch.from_numpy(content[None]), codes, torch.from_numpy(masks[None]), torch.ones(1).double()
    )[0].numpy()
    made = each.stylize(content, styles, masks=masks)
    covered = masks.sum(0, dtype=int) >= 255
    assert distance(made[covered], expected[covered]) <= 1
    assert distance(made[masks.sum(0) == 0], content[masks.sum(0) == 0]) == 0


def test_one_region_with_a_full_mask_is_the_plain_path(stylizer, painting, china):
    content = china[ODD]
    full = np.full((1, *content.shape[:2]), 255, np.uint8)
    assert distance(stylizer.stylize(content, [painting], masks=full), stylizer.stylize(content, painting)) <= 1


def test_given_its_own_code_a_content_is_stylised_as_without(stylizer, painting, china):
    content = china[:88, :152]
    made = stylizer.stylize(content, painting, content_code=stylizer.encode(content))
    assert distance(made, stylizer.stylize(content, painting)) <= 1


def test_given_another_content_code_the_result_is_another(stylizer, painting, china, flower):
    content = china[:88, :152]
    made = stylizer.stylize(content, painting, content_code=stylizer.encode(flower))
    assert distance(made, stylizer.stylize(content, painting)) > 20


@pytest.mark.slow
def test_mixed_codes_are_the_mixture_of_features(stylizer, painting, china):
    """Mixing is linear in the code: the decoder sees the weighted sum of the two AdaIN outputs."""
    import torch

    from adain_models import reference
    from adain_models.weights import checkpoint

    network, content = checkpoint.load(stylizer.directory / store.WEIGHTS_NAME).double(), china[:88, :152]
    other = stylizer.encode(china)
    image = torch.from_numpy(content[None]).permute(0, 3, 1, 2).double() / 255
    with torch.no_grad():
        features = network.encoder(image)
        mixture = sum(
            weight * reference.adain.adain(features, *(torch.tensor(v[None]).double() for v in (s.mean, s.std)))
            for weight, s in ((0.75, painting), (0.25, other))
        )
        mixed = Style.mix([painting, other], [3, 1])
        code = (torch.tensor(each[None, :, None, None]).double() for each in (mixed.mean, mixed.std))
        expected = (network.decoder(mixture, *code) * 255).round().clamp(0, 255)[0].permute(1, 2, 0).numpy()
    assert distance(stylizer.stylize(content, Style.mix([painting, other], [3, 1])), expected) <= 1


def test_a_batch_is_its_pictures_one_by_one(stylizer, painting, china, flower):
    batch = np.stack([china[ODD], flower[ODD], china[ODD][::-1]])
    made = stylizer.stylize(batch, painting, strength=0.8)
    for picture, result in zip(batch, made, strict=True):
        assert distance(result, stylizer.stylize(picture, painting, strength=0.8)) <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (2, 3), (16, 4000), (4000, 16), (17, 9)])
def test_the_smallest_and_the_longest_pictures_keep_their_size(stylizer, painting, shape):
    content = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert stylizer.stylize(content, painting).shape == content.shape
    assert np.isfinite(stylizer.encode(content).std).all()


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (10, 200, 90)])
def test_flat_pictures_are_styled_and_are_styles_without_a_nan(each, flower, color):
    flat = np.full((40, 56, 3), color, np.uint8)
    style = each.encode(flat)
    assert np.isfinite(style.mean).all()
    assert (style.std > 0).all()
    for content, code in ((flat, each.encode(flower)), (flower[:40, :56], style), (flat, style)):
        made = each.stylize(content, code)
        assert made.shape == (40, 56, 3)
    again = each.stylize(flat, style).astype(int)
    assert np.ptp(again[8:-8, 8:-8], axis=(0, 1)).max() <= 2  # a flat picture in its own style is flat again


@pytest.mark.parametrize("cover", ["empty", "one position", "one pixel"])
def test_masks_of_next_to_nothing_leave_the_rest_of_the_picture_alone(each, china, flower, cover):
    content, styles = china[:64, :96], [each.encode(flower), each.encode(china)]
    masks = np.zeros((2, 64, 96), np.uint8)
    if cover == "one position":
        masks[0, 8:16, 8:16] = 255
    if cover == "one pixel":
        masks[0, 10, 10] = 255
    masks[1] = 255 - masks[0]
    made = each.stylize(content, styles, masks=masks).astype(int)
    plain = each.stylize(content, styles[1]).astype(int)
    assert np.abs(made - plain)[:, :64].mean() < 40  # nor does the small region run wild
    far = np.abs(made - plain)[:, 64:].mean()
    assert far <= 3  # levels: the statistics of the large region miss one position of 96


def test_a_partial_mask_leaves_the_photograph_itself_outside(stylizer, painting, china):
    content, mask = china[:64, :96], np.zeros((1, 64, 96), np.uint8)
    mask[:, :, :40] = 255
    made = stylizer.stylize(content, [painting], masks=mask)
    np.testing.assert_array_equal(made[:, 40:], content[:, 40:])
    assert distance(made[:, :40], content[:, :40]) > 20


def test_many_threads_share_one_stylizer(china, flower):
    stylizer = exact("lite")
    contents = [china[:64, 16 * i : 16 * i + 64] for i in range(8)]

    def paint(content: np.ndarray) -> np.ndarray:
        return stylizer.stylize(content, stylizer.encode(flower[:64, :64]))

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(paint, contents))
    for content, result in zip(contents, made, strict=True):
        assert distance(result, paint(content)) <= 1


def test_threads_that_start_together_open_a_graph_and_a_backend_once(monkeypatch, china):
    opened = []

    def slowly(make):
        def made(*arguments):
            opened.append(make.__name__)
            time.sleep(0.1)
            return make(*arguments)

        return made

    monkeypatch.setattr(onnxruntime_backend, "open_session", slowly(onnxruntime_backend.open_session))
    monkeypatch.setattr(backends, "open_backend", slowly(backends.open_backend))
    stylizer = exact("lite")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: stylizer.encode(china[:32, :32]), range(8)))
    assert opened == ["open_backend", "open_session"]


def test_a_backends_own_threads_open_a_graph_once(monkeypatch, china):
    opened, backend = [], open_backend("onnxruntime", store.model_dir("lite"))
    make = onnxruntime_backend.open_session
    monkeypatch.setattr(
        onnxruntime_backend, "open_session", lambda *arguments: opened.append(1) or time.sleep(0.1) or make(*arguments)
    )
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: backend.run("encode", {"image": china[None, :32, :32]}), range(8)))
    assert opened == [1]


def test_what_onnx_runtime_says_of_memory_is_said_in_one_line(monkeypatch, china):
    backend = open_backend("onnxruntime", store.model_dir("lite"))

    class Full:
        def run(self, *_: object) -> None:
            raise RuntimeError("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer\nof size 9")

    monkeypatch.setattr(backend, "_session", lambda _: Full())
    with pytest.raises(AdainError, match=r"^32x16 pixels need more memory than there is; use a smaller size$"):
        backend.run("encode", {"image": china[None, :16, :32]})


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_a_strength_beyond_0_and_1_is_refused(stylizer, painting, china, strength):
    with pytest.raises(AdainError, match="from 0 to 1"):
        stylizer.stylize(china, painting, strength=strength)


@pytest.mark.parametrize(
    "picture",
    [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 4), np.uint8), np.zeros((0, 8, 3), np.uint8)],
)
def test_an_array_that_is_no_picture_is_refused(stylizer, painting, picture):
    with pytest.raises(AdainError, match="uint8 array"):
        stylizer.stylize(picture, painting)


def test_masks_that_do_not_fit_are_refused(stylizer, painting, china):
    for masks in (np.zeros((2, 427, 640), np.uint8), np.zeros((1, 427, 639), np.uint8), np.zeros((1, 427, 640))):
        with pytest.raises(AdainError, match="masks of that size"):
            stylizer.stylize(china, [painting], masks=masks)
    with pytest.raises(AdainError, match="need a mask each"):
        stylizer.stylize(china, [painting, painting])


def test_a_style_of_another_model_is_refused(stylizer, painting, china):
    with pytest.raises(AdainError, match=r"another model \(lite, weights 000000000000\)"):
        stylizer.stylize(china, replace(painting, weights_sha256="0" * 64))
    with pytest.raises(AdainError, match="5 channels and the model 128"):
        stylizer.stylize(china, replace(painting, mean=painting.mean[:5], std=painting.std[:5]))


def test_masks_and_a_content_code_exclude_each_other(stylizer, painting, china):
    with pytest.raises(AdainError, match="exclude each other"):
        stylizer.stylize(china, [painting], masks=np.zeros((1, 427, 640), np.uint8), content_code=painting)


def test_a_model_or_backend_that_is_not_there_is_refused_at_once():
    with pytest.raises(AdainError, match="neither a model"):
        Stylizer("nothing")
    with pytest.raises(AdainError, match=r"backend 'abacus' is unknown: there are auto, tensorrt, .*, onnxruntime"):
        Stylizer(backend="abacus")


def test_closed_it_refuses_every_picture_in_one_line(china, painting):
    stylizer = exact("lite")
    content = china[:32, :32]
    stylizer.stylize(content, painting)
    fine = stylizer.in_precision("fp32")
    stylizer.close()
    stylizer.close()
    uses = (stylizer.encode, fine.encode, lambda picture: stylizer.stylize(picture, painting))
    for use in uses:
        with pytest.raises(AdainError, match=r"\Athe Stylizer is closed; make a new one\Z"):
            use(content)
    assert stylizer.weights_sha256 == painting.weights_sha256


def test_a_with_block_closes_it_even_after_an_error(china):
    def encode_and_fail(stylizer: Stylizer) -> None:
        assert stylizer.encode(china[:32, :32]).model == "lite"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), exact("lite") as stylizer:
        encode_and_fail(stylizer)
    with pytest.raises(AdainError, match="closed"):
        stylizer.encode(china[:32, :32])


def test_a_picture_under_way_ends_though_another_thread_closes(china, painting, monkeypatch):
    stylizer = exact("lite")
    opened = stylizer._backend.open("stylize")
    run, begun, closed = opened.backend.run, Event(), Event()

    def run_late(*arguments):
        begun.set()
        assert closed.wait(10)
        return run(*arguments)

    monkeypatch.setattr(opened.backend, "run", run_late)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(stylizer.stylize, china[:32, :32], painting)
        assert begun.wait(10)
        stylizer.close()
        closed.set()
        assert made.result().shape == (32, 32, 3)


def test_memory_is_checked_before_any_is_taken(monkeypatch, painting):
    monkeypatch.setattr("adain_rt.machine.memory.available_bytes", lambda: 1 << 20)
    monkeypatch.setattr("adain_rt.stylizer.pad", None)
    monkeypatch.setattr("adain_rt.auto.pad", None)
    large, stylizer = np.zeros((101, 99, 3), np.uint8), exact("lite")
    masks = np.full((1, 101, 99), 255, np.uint8)
    for use in (
        lambda: stylizer.encode(large),
        lambda: stylizer.stylize(large, painting),
        lambda: stylizer.stylize(large, [painting], masks=masks),
    ):
        with pytest.raises(
            AdainError, match=r"\A99x101 pixels may take .* GB of memory, .*shorter side of \d+ pixels fits"
        ):
            use()
