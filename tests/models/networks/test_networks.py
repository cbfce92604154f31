"""The networks: against the public PyTorch implementation's arithmetic, and in what they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from adain_models import adain, reference
from adain_models.errors import AdainError
from adain_models.networks import find
from adain_models.networks.base import Modulation, Network
from adain_models.networks.vgg19 import Vgg19, from_public
from adain_models.weights import checkpoint, spec


def public_encoder(width: int) -> nn.Sequential:
    """The first 31 modules of naoto0804/pytorch-AdaIN's encoder, as its file numbers them."""
    layers: list[nn.Module] = [nn.Conv2d(3, 3, 1)]
    channels = 3
    for wide, convolutions in ((width, 2), (2 * width, 2), (4 * width, 4), (8 * width, 1)):
        for _ in range(convolutions):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, wide, 3), nn.ReLU()]
            channels = wide
        layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
    return nn.Sequential(*layers[:31])


def public_decoder(width: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 8 * width
    plan = [4, "up", 4, 4, 4, 2, "up", 2, 1, "up", 1]
    for step in plan:
        if step == "up":
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
            continue
        layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, step * width, 3), nn.ReLU()]
        channels = step * width
    return nn.Sequential(*layers, nn.ReflectionPad2d(1), nn.Conv2d(channels, 3, 3))


def calc_mean_std(features: Tensor) -> tuple[Tensor, Tensor]:
    n, c = features.shape[:2]
    std = (features.view(n, c, -1).var(dim=2) + 1e-5).sqrt().view(n, c, 1, 1)
    return features.view(n, c, -1).mean(dim=2).view(n, c, 1, 1), std


def decode(network: Network, features: Tensor) -> Tensor:
    """What a decoder makes of features whose code is their own."""
    code = (each[..., None, None] for each in adain.channel_statistics(features))
    made: Tensor = network.decoder(features, *code)
    return made


@pytest.fixture(scope="module")
def public() -> tuple[nn.Sequential, nn.Sequential]:
    torch.manual_seed(0)
    return public_encoder(8).double(), public_decoder(8).double()


@pytest.fixture(scope="module")
def ours(public: tuple[nn.Sequential, nn.Sequential]) -> Network:
    tensors = from_public(*(part.state_dict() for part in public))
    return checkpoint.assemble("vgg19", tensors, "public").double()


def test_vgg19_is_the_public_implementation(public, ours):
    encoder, decoder = public
    content, style = torch.rand(2, 3, 48, 64).double(), torch.rand(2, 3, 32, 40).double()
    with torch.no_grad():
        f, s = encoder(content), encoder(style)
        (content_mean, content_std), (style_mean, style_std) = calc_mean_std(f), calc_mean_std(s)
        target = (f - content_mean) / content_std * style_std + style_mean
        expected = decoder(0.7 * target + 0.3 * f)
        features = ours.encoder(content)
        code = adain.channel_statistics(ours.encoder(style))
        made = decode(ours, adain.blend(features, adain.adain(features, *code), torch.full((2,), 0.7).double()))
    torch.testing.assert_close(features, f, rtol=1e-6, atol=1e-6)  # from_public keeps float32
    torch.testing.assert_close(made, expected, rtol=1e-6, atol=1e-6)


def test_public_weights_of_another_network_are_told_by_the_tensor_that_is_missing(public):
    encoder, decoder = (dict(part.state_dict()) for part in public)
    del decoder["28.bias"]
    with pytest.raises(AdainError, match=r"another network.*decoder has no 28\.bias"):
        from_public(encoder, decoder)


def test_the_first_layer_of_vgg19_is_what_it_was_trained_on():
    affine = Vgg19().encoder.get_submodule("affine")
    with torch.no_grad():
        bgr = affine(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(bgr, torch.tensor([0 - 103.939, 127.5 - 116.779, 255 - 123.68]))


@pytest.mark.parametrize("name", ["lite", "vgg19"])
def test_folding_the_ends_changes_nothing(name, request):
    network = request.getfixturevalue(name)
    picture = torch.rand(1, 3, 32, 40)
    with torch.no_grad():
        features, folded = network.encoder(picture), network.for_bytes().encoder(picture * 255)
        torch.testing.assert_close(folded, features, rtol=1e-4, atol=1e-4 * features.abs().max().item())
        torch.testing.assert_close(
            decode(network.for_bytes(), features), decode(network, features) * 255, rtol=1e-4, atol=0.01
        )


@pytest.mark.parametrize("training", [False, True])  # which blurs by sums in place of poolings
def test_lites_doublings_are_bilinear(lite, training):
    """The convolutions read what is doubled by interpolation, and beyond its edge the last pixel again."""

    def doubled(features: Tensor, layer: nn.Conv2d, beyond: int) -> Tensor:
        large = nn.functional.interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
        padded = nn.functional.pad(large, (beyond,) * 4, mode="replicate")
        return nn.functional.conv2d(padded, layer.weight, layer.bias).relu()

    decoder = deepcopy(lite).double().train(training).decoder
    features, code = torch.rand(2, 128, 3, 4).double(), torch.rand(2, 256, 1, 1).double()
    with torch.no_grad():
        x = features
        for block, style in (
            (decoder.res1, decoder.style1),
            (decoder.res2, decoder.style2),
            (decoder.res3, decoder.style3),
        ):
            x = style(block(x), code)
        half = decoder.style4(decoder.res4(doubled(x, decoder.up1, 1)), code)
        whole = doubled(doubled(half, decoder.up2, 1), decoder.up3, 1 + 2)
        expected = nn.functional.conv2d(whole, decoder.out.weight, decoder.out.bias) + 0.5
        torch.testing.assert_close(decoder(features, *code.chunk(2, 1)), expected, rtol=1e-9, atol=1e-9)


def test_modulations_change_nothing_at_first():
    x, code = torch.randn(2, 8, 6, 4), torch.randn(2, 10, 1, 1)
    assert torch.equal(Modulation(5, 8)(x, code), x)


@pytest.fixture
def modulation() -> Modulation:
    """One of features twice as large as those that AdaIN made."""
    made = Modulation(5, 8, scale=2).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, generator=torch.Generator().manual_seed(parameter.numel()))
    return made


def test_a_mixed_code_modulates_as_the_mixture_of_what_its_codes_do(modulation):
    x, one, two = torch.randn(1, 8, 6, 4).double(), *torch.randn(2, 1, 10, 1, 1).double()
    mixed = modulation(x, 0.3 * one + 0.7 * two)
    torch.testing.assert_close(mixed, 0.3 * modulation(x, one) + 0.7 * modulation(x, two))


def test_each_place_is_modulated_by_its_own_code(modulation):
    x, codes = torch.randn(1, 8, 6, 4).double(), torch.randn(1, 10, 3, 2).double()
    made = modulation(x, codes)
    for row in range(3):
        for column in range(2):
            own = codes[:, :, row : row + 1, column : column + 1]
            place = (..., slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2))
            torch.testing.assert_close(made[place], modulation(x, own)[place])


@pytest.mark.parametrize("name", ["lite", "vgg19"])
def test_features_are_an_eighth_of_the_picture_and_pictures_come_back_whole(name):
    network = find(name)()
    features = network.encoder(torch.zeros(2, 3, 16, 40))
    assert features.shape == (2, network.channels, 2, 5)
    assert decode(network, features).shape == (2, 3, 16, 40)


@pytest.mark.parametrize("name", ["lite", "vgg19"])
def test_the_model_list_says_how_many_parameters_there_are(name):
    assert sum(parameter.numel() for parameter in find(name)().parameters()) == spec.MODELS[name].parameters


def test_strength_0_is_the_plain_auto_encoding(lite, china):
    picture = torch.from_numpy(china[None, :64, :64])
    style = (torch.randn(1, 128), torch.rand(1, 128))
    with torch.no_grad():
        decoded = decode(lite, lite.encoder(picture.permute(0, 3, 1, 2) / 255))
    expected = (decoded * 255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)
    assert torch.equal(reference.stylize(lite, picture, style, torch.zeros(1)), expected)


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("lite", r"encoder\.res.\.b|decoder\.res.\.b|decoder\.style.\.(gain|shift)|decoder\.out"),
        ("vgg19", r"encoder\.affine|decoder\.conv1_1"),
    ],
)
def test_rectified_is_every_convolution_that_a_relu_follows(name, others):
    network = find(name)()
    convolutions = {key for key, layer in network.named_modules() if isinstance(layer, nn.Conv2d)}
    listed = [each.name for each in network.rectified()]
    assert len(listed) == len(set(listed))
    assert convolutions - set(listed) == {key for key in convolutions if re.fullmatch(others, key)}
    assert all(network.get_submodule(each.name) is each.convolution for each in network.rectified())


@pytest.mark.parametrize("name", ["lite", "vgg19"])
def test_nothing_but_its_reader_reads_a_rectified_channel(name, request):
    network = deepcopy(request.getfixturevalue(name))
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for each in network.rectified():
            if each.reader is not None:
                each.reader.weight[:, 0] = 0
        expected = decode(network, network.encoder(picture))
        for each in network.rectified():
            if each.reader is not None:
                each.convolution.bias[0] += 100
        assert torch.equal(decode(network, network.encoder(picture)), expected)


@pytest.mark.parametrize("name", ["lite", "vgg19"])
def test_style_layers_are_layers_of_the_encoder_up_to_the_features_that_adain_changes(name):
    network = find(name)()
    names = [layer for layer, _ in network.encoder.named_children()]
    assert [layer for layer in names if layer in network.style_layers] == list(network.style_layers)
    assert not network.style_layers or network.style_layers[-1] == names[-1]


def test_an_unknown_architecture_or_model_is_refused_with_those_there_are():
    with pytest.raises(AdainError, match="lite, vgg19"):
        find("resnet")
    with pytest.raises(AdainError, match="lite, vgg19"):
        spec.find("resnet")


def test_the_model_list_and_the_store_load_no_torch():
    code = "import sys; from adain_models.weights import fetch, spec, store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0  # noqa: S603 - our own code
