"""Training, on problems of a few seconds."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from adain_models.adain import adain, channel_statistics
from adain_models.errors import AdainError
from adain_models.fitting import correct
from adain_models.networks.lite import Lite
from adain_models.networks.vgg19 import Vgg19
from adain_models.training import loop as training
from adain_models.training import losses
from adain_models.training.crops import LARGEST, crop, held_out, sides, spoil, whole
from adain_models.training.liveness import Watch
from adain_models.training.loop import STATE_NAME, Settings, Training
from adain_models.training.losses import FixedEncoder, Joint, Photos
from adain_models.training.optimizers import make_optimizers
from adain_models.training.rounding import rounded
from adain_models.training.teacher import Teacher, Vgg16, normalized
from adain_models.weights import checkpoint, store
from adain_rt.media.pictures import frame

SETTINGS = Settings(steps=6, batch=2, crop=64, rate=1e-3)


@pytest.fixture
def joint(narrow_teacher, china, flower):
    """Make a training of ``lite`` as a teacher has it."""

    def joint(settings: Settings = SETTINGS) -> Training:
        network = checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME)
        return Training(network, Joint(Teacher(narrow_teacher)), [china], [([flower], 1)], settings)

    return joint


def paint(network, features, code):
    """Return what the decoder makes of a photo's features with a style's code."""
    return network.decoder(adain(features, *code), *(each[..., None, None] for each in code))


def test_a_decoder_learns_behind_an_encoder_that_stays(china, flower):
    torch.manual_seed(0)
    network = Vgg19(width=4)
    encoder = {name: tensor.clone() for name, tensor in network.encoder.state_dict().items()}
    settings = replace(SETTINGS, steps=60, rate=5e-3)
    run = Training(network, FixedEncoder(network), [china], [([flower], 1)], settings)
    losses = [done.terms["content"] + 10 * done.terms["style"] for done in run.run()]
    assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
    for name, tensor in run.averaged().encoder.state_dict().items():
        assert tensor.equal(encoder[name])


def test_an_encoder_that_cannot_judge_is_refused_with_the_way_out(lite):
    with pytest.raises(AdainError, match="the encoder of lite cannot judge pictures") as refused:
        FixedEncoder(lite)
    assert refused.value.hint == "give the weights of VGG-19 as `teacher`"


def test_encoder_and_decoder_learn_from_a_teacher(joint):
    run = joint(replace(SETTINGS, steps=80))
    encoder = run.network.encoder.conv1.weight.detach().clone()
    losses = [done.terms["style"] + done.terms["texture"] for done in run.run()]
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])
    assert not run.network.encoder.conv1.weight.equal(encoder)


def test_the_rate_rises_at_first(joint):
    run = joint(replace(SETTINGS, steps=1000))
    before = run.network.encoder.conv1.weight.detach().clone()
    next(run.run())
    moved = (run.network.encoder.conv1.weight.detach() - before).abs().max().item()
    assert moved == pytest.approx(SETTINGS.rate / 20, rel=0.01)  # Adam's first step is the rate, the warm-up 20 steps


def test_the_first_step_of_a_convolution_is_even_in_all_directions(joint):
    run = joint(replace(SETTINGS, steps=1))
    before = run.network.decoder.res1.a.weight.detach().clone()
    next(run.run())
    values = torch.linalg.svdvals((run.network.decoder.res1.a.weight.detach() - before).flatten(1).double())
    assert values.median() > values.max() / 2


def test_where_weights_are_random_a_style_weighs_a_tenth_at_first(narrow_teacher, china, flower):
    def gradient(settings: Settings, **weights: float) -> torch.Tensor:
        network = checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME)
        recipe = Joint(Teacher(narrow_teacher))
        recipe.weights |= weights
        list(Training(network, recipe, [china], [([flower], 1)], settings).run())
        return network.decoder.out.weight.grad

    one = replace(SETTINGS, steps=1)
    whole = {"style": 30, "texture": 8, "patches": 5, "contrast": 10}
    tenth = {name: weight / 10 for name, weight in whole.items()}
    fresh = gradient(replace(one, fresh=True), **whole)
    assert torch.allclose(fresh, gradient(one, **tenth), rtol=1e-4, atol=1e-7)
    assert not torch.allclose(fresh, gradient(one, **whole), rtol=0.1)


def plainly(clean: torch.Tensor, seen: torch.Tensor, features: Sequence[torch.Tensor]) -> Photos:
    """Photos without an underpainting."""
    return Photos(clean, seen, clean, torch.zeros(len(clean)), features)


def test_pictures_are_judged_as_they_are_shown(narrow_teacher, china, flower):
    network, recipe = checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME), Joint(Teacher(narrow_teacher))
    contents, styles = (torch.tensor(picture[:64, :64]).permute(2, 0, 1) for picture in (china, flower))
    contents, styles = contents[None] / 255, recipe.target(styles[None])
    features = recipe.features(contents)
    network.decoder.out.bias.data += 1.5
    terms = recipe.terms(network, plainly(contents, contents, features), styles)
    with rounded(network):
        features_of_photo = network.encoder(contents)
        asked = channel_statistics(network.encoder(styles.pictures / 255))
        first = paint(network, features_of_photo, asked).clamp(0, 1)
        bright = paint(network, features_of_photo, correct(asked, channel_statistics(network.encoder(first))))
    shown, raw = (recipe.judge(picture, features, styles) for picture in (bright.clamp(0, 1), bright))
    excess = (bright - bright.clamp(0, 1)).abs().mean().item()
    assert terms["excess"].item() == pytest.approx(excess, rel=1e-3)  # rounded by the range of a larger batch
    assert terms["excess"] > 0.1
    assert abs(terms["style"] - shown["style"]) < 0.2 * abs(raw["style"] - shown["style"])
    assert torch.autograd.grad(terms["style"], network.decoder.out.bias)[0].any()


def test_what_spoils_a_photo_is_not_to_be_seen(narrow_teacher, china, flower):
    network, recipe = checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME), Joint(Teacher(narrow_teacher))
    clean = torch.tensor(china[:64, :64]).permute(2, 0, 1)[None] / 255
    style = recipe.target(torch.tensor(flower[None, :64, :64]).permute(0, 3, 1, 2))
    noise = 2 / 255 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))

    def term(seen):
        return recipe.terms(network, plainly(clean, seen, recipe.features(clean)), style)["noise"].item()

    assert term(clean) < 1e-5
    assert term(clean + noise) > 1.2 * term(clean + noise / 2) > 0  # it is kept down, and not in proportion


def test_plain_photos_are_to_be_given_back_too(narrow_teacher, china, flower, monkeypatch):
    monkeypatch.setattr(losses, "rounded", nullcontext)  # rounding depends on what else is in a batch
    network, recipe = checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME), Joint(Teacher(narrow_teacher))
    photo = torch.tensor(china[:64, :64]).permute(2, 0, 1)[None] / 255
    style = recipe.target(torch.tensor(flower[None, :64, :64]).permute(0, 3, 1, 2))
    plain = photo.mean((2, 3), keepdim=True) + 0.1 * (photo - photo.mean((2, 3), keepdim=True))
    asked = torch.cat([photo, plain])
    found = recipe.terms(network, plainly(photo, photo, recipe.features(photo)), style)["identity"].item()
    with torch.no_grad():
        features = network.encoder(asked)
        given_back = paint(network, features, channel_statistics(features))
    assert found == pytest.approx((given_back - asked).abs().mean().item(), rel=1e-4)


def test_half_of_the_content_is_judged_by_a_deep_teacher(narrow_teacher, tmp_path, china, flower):
    generator, tensors, inputs = torch.Generator().manual_seed(1), {}, 3
    for name in Vgg16.names:
        tensors[f"conv{name}.weight"] = 0.2 * torch.randn(8, inputs, 3, 3, generator=generator)
        tensors[f"conv{name}.bias"], inputs = torch.zeros(8), 8
    save_file(tensors, tmp_path / "vgg16.safetensors")
    teacher, deep = Teacher(narrow_teacher), Vgg16(tmp_path / "vgg16.safetensors")
    photo, picture = (torch.tensor(each[:64, :64]).permute(2, 0, 1)[None] / 255 for each in (china, flower))
    both, alone = Joint(teacher, deep), Joint(teacher)
    style = both.target((255 * picture).to(torch.uint8))
    shallow = alone.judge(picture, alone.features(photo), style)["content"]
    apart = [normalized(deep(each)[-1]) for each in (picture, photo)]
    found = both.judge(picture, both.features(photo), style)["content"]
    assert found.item() == pytest.approx((shallow + torch.nn.functional.mse_loss(*apart)).item() / 2, rel=1e-5)


def test_a_run_that_was_stopped_goes_on_bit_for_bit(joint, tmp_path):
    whole = joint()
    list(whole.run())
    stopped = joint()
    steps = stopped.run()
    for _ in range(3):
        next(steps)
    stopped.save(tmp_path)
    resumed = joint()
    resumed.resume(tmp_path)
    assert [done.step for done in resumed.run()] == [4, 5, 6]
    for name, tensor in whole.network.state_dict().items():
        assert tensor.equal(resumed.network.state_dict()[name])
        assert whole.mean[name].equal(resumed.mean[name])


def test_a_checkpoint_is_whole_or_the_one_before(joint, tmp_path, monkeypatch):
    run = joint()
    run.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    next(run.run())
    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(AdainError, match="No space left on device"):
        run.save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_only_a_whole_checkpoint_of_the_same_crops_is_resumed(joint, tmp_path):
    with pytest.raises(AdainError, match="nothing to resume"):
        joint().resume(tmp_path)
    joint().save(tmp_path)
    with pytest.raises(AdainError, match=r"run with seed 0, not 1"):
        joint(replace(SETTINGS, seed=1)).resume(tmp_path)
    with pytest.raises(AdainError, match=r"run with fresh False, not True"):
        joint(replace(SETTINGS, fresh=True)).resume(tmp_path)
    (tmp_path / STATE_NAME).write_bytes((tmp_path / STATE_NAME).read_bytes()[:-1000])
    with pytest.raises(AdainError, match="damaged"):
        joint().resume(tmp_path)


def test_dead_channels_are_counted(lite):
    network = checkpoint.load(store.model_dir("lite") / store.WEIGHTS_NAME)
    with torch.no_grad():
        network.encoder.conv1.bias[:4] = -1e4
    watch = Watch(network)
    network.encoder(torch.rand(2, 3, 64, 64))
    assert watch.shares()["encoder.conv1"] <= 0.75
    watch.restart()
    assert watch.shares()["encoder.conv1"] == 0


def test_a_channel_that_its_blur_leaves_below_0_everywhere_is_dead():
    """Single outputs of the convolution above 0 do not make it alive: the ReLU reads the blurred ones."""
    network = Lite()
    features = torch.zeros(1, 128, 4, 4)
    with torch.no_grad():
        for layer in (network.decoder.up1, network.decoder.res3.b):
            layer.weight.zero_()
            layer.bias.zero_()
        network.decoder.up1.weight[:, 0, 1, 1] = 1
        network.decoder.up1.bias[:] = torch.linspace(-0.9, 0.9, 64)
        watch = Watch(network)
        features[:, 0, 2, 2] = 1
        for residual in (network.decoder.res1, network.decoder.res2):
            residual.b.weight.zero_()
            residual.b.bias.zero_()
        network.decoder(features, features, features)
    peak = 9 / 16  # of the blurred square of 2x2 ones
    assert watch.shares()["decoder.up1"] == pytest.approx(np.mean(np.linspace(-0.9, 0.9, 64) > -peak))


@pytest.mark.parametrize("muon", [False, True])
def test_a_revived_channel_changes_nothing_at_first_and_learns_then(muon):
    torch.manual_seed(0)
    network, picture = Lite(), torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        network.encoder.res1.a.bias[:10] = -1e4
    optimizers = make_optimizers(list(network.parameters()), torch.tensor(1e-3), muon=muon, captured=False)
    watch = Watch(network)

    def step() -> None:
        for optimizer in optimizers:
            optimizer.zero_grad()
        network.encoder(picture).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()

    step()
    assert not network.encoder.res1.a.weight.grad[:10].any()
    after_step = network.encoder(picture)
    assert watch.revive(optimizers, torch.Generator().manual_seed(0)) >= 10
    assert torch.allclose(network.encoder(picture), after_step, atol=1e-6)
    for _ in range(2):
        step()
    assert network.encoder.res1.a.weight.grad[:10].any(3).any(2).any(1).sum() >= 5


def test_dead_channels_come_to_life_in_training(joint, monkeypatch):
    monkeypatch.setattr(training, "_REVIVING", 10)
    run = joint(replace(SETTINGS, steps=20))
    run.network.decoder.res1.a.bias.data[:64] = -1e4
    live = [done.live for done in run.run() if done.live]
    assert len(live) == 2
    assert live[1]["decoder.res1.a"] > live[0]["decoder.res1.a"] + 0.3


def test_a_tenth_of_the_pictures_is_held_out_by_name():
    names = [Path(f"{number:05}.jpg") for number in range(2000)]
    assert 160 < sum(map(held_out, names)) < 240
    assert all(held_out(name) == held_out(Path("elsewhere") / f"{name.stem}.png") for name in names)


@pytest.mark.parametrize("shape", [(64, 64), (90, 300), (700, 520)])
def test_a_crop_is_a_square_of_its_size_at_any_scale(shape):
    ramp = np.broadcast_to(np.linspace(0, 255, shape[1]).astype(np.uint8)[None, :, None], (*shape, 3))
    spans = set()
    for seed in range(20):
        square = crop(np.ascontiguousarray(ramp), 64, np.random.default_rng(seed), turned=0.5)
        assert square.shape == (64, 64, 3)
        spans.add(int(np.ptp(square)))
    assert len(spans) > 5 or shape == (64, 64)  # which is the crop itself, with no room to turn


def test_a_turned_crop_is_the_picture_at_an_angle():
    ramp = np.broadcast_to(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], (200, 200, 3))
    angles = set()
    for seed in range(20):
        square = crop(np.ascontiguousarray(ramp), 64, np.random.default_rng(seed), turned=1)[..., 0].astype(float)
        across, down = np.diff(square, axis=1).mean(), np.diff(square, axis=0).mean()
        angles.add(round(np.degrees(np.arctan2(down, across)) / 20))
    assert len(angles) > 8
    white = np.full((200, 200, 3), 255, np.uint8)
    for seed in range(40):
        assert crop(white, 64, np.random.default_rng(seed), turned=1).min() == 255  # no corner of it lies outside


def test_a_crop_is_enlarged_only_where_the_picture_is_smaller():
    fine = np.zeros((128, 128, 3), np.uint8)
    fine[:, ::2] = 255  # what any enlargement would blur
    for seed in range(5):
        assert np.ptp(crop(fine, 128, np.random.default_rng(seed))) == 255
    assert crop(fine, 256, np.random.default_rng(0)).shape == (256, 256, 3)


def test_every_other_photo_is_spoiled(china):
    picture = np.ascontiguousarray(china[:64, :64])
    made = [spoil(picture, np.random.default_rng(seed)) for seed in range(200)]
    assert 70 < sum(each is picture for each in made) < 130
    assert all(each.shape == picture.shape and np.abs(each.astype(int) - picture).mean() < 20 for each in made)


def test_a_crop_of_the_largest_scale_is_the_largest_square(china):
    square = crop(china, LARGEST, np.random.default_rng(0))
    assert square.shape == (LARGEST, LARGEST, 3)
    enlarged = frame(china, LARGEST, crop=False).astype(float)
    assert abs(square.std() - enlarged.std()) < 0.1 * enlarged.std()


@pytest.mark.parametrize(
    ("shape", "made"),
    [
        ((300, 450), (96, 144)),
        ((450, 300), (144, 96)),
        ((200, 200), (96, 96)),
        ((100, 900), (96, 192)),
        ((420, 300), (128, 96)),
    ],
)
def test_a_whole_picture_has_one_of_a_few_forms_at_most_two_to_one(shape, made):
    ramp = np.broadcast_to(np.linspace(0, 255, shape[1]).astype(np.uint8)[None, :, None], (*shape, 3))
    for seed in range(20):
        picture = whole(np.ascontiguousarray(ramp), 96, np.random.default_rng(seed))
        assert picture.shape == (*made, 3)
        assert np.ptp(picture) > (240 if shape != (100, 900) else 50)


def test_styles_have_three_sizes_beside_a_crop():
    assert sides(256) == (256, 384, 512)
    assert sides(512) == (512,)
    assert all(side % 16 == 0 for side in sides(80))
