"""How good pictures are, by the features of a teacher: VGG-19 with the weights that Keras publishes.

- *style gap left*: with code(x) the channel means and deviations at a layer, the mean over relu1_1, relu2_1, relu3_1
  and relu3_4 of |code(picture) - code(style)|² / |code(style)|², divided by the same for the photo itself. 1 is the
  untouched photo, 0 a picture whose statistics are the style's.
- *content distance*: the mean square difference of relu3_4 after instance normalisation, between picture and photo.

Both see tones more than strokes: they rank models, and do not replace looking.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from adain_export.psnr import psnr
from adain_models.adain import channel_statistics
from adain_models.errors import AdainError
from adain_rt.contract import Pixels
from adain_rt.pictures import frame, read_picture
from adain_rt.stylizer import Stylizer

__all__ = ["Pair", "Quality", "Teacher", "judge"]

_BLOCKS = ((1, 2), (2, 2), (3, 4))  # of each block's convolutions, those that come before relu3_4
_STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv3_4")
_CONTENT_LAYER = "conv3_4"
_MEAN_BGR = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class Quality:
    """One picture's figures; less is better."""

    style_gap: float
    content: float


@dataclass(frozen=True)
class Pair:
    """What was found of one photo in one style, as it is computed here and in fp32; psnr in decibels."""

    photo: str
    style: str
    here: Quality
    fp32: Quality
    psnr: float


class Teacher:
    """VGG-19 up to relu3_4, frozen.

    Args:
        weights: a safetensors file with ``convB_I.weight`` (out, in, 3, 3) and ``convB_I.bias``.

    Raises:
        AdainError: the file is missing, damaged, or holds other tensors.

    """

    def __init__(self, weights: Path) -> None:
        names = [f"conv{block}_{layer}" for block, layers in _BLOCKS for layer in range(1, layers + 1)]
        try:
            tensors = load_file(weights)
            self._layers = {name: (tensors[f"{name}.weight"], tensors[f"{name}.bias"]) for name in names}
        except (OSError, SafetensorError) as error:
            raise AdainError(f"{weights}: the teacher's weights cannot be read ({error})") from None
        except KeyError as error:
            raise AdainError(f"{weights}: holds no {error.args[0]}, which VGG-19 has") from None

    @torch.no_grad()
    def judge(self, picture: Pixels, photo: Pixels, style: Pixels) -> Quality:
        """Return a picture's figures.

        Args:
            picture: uint8 (H, W, 3), the photo in the style.
            photo: uint8 (H, W, 3).
            style: uint8 of any size (h, w, 3).

        """
        of_picture, of_photo, of_style = (self._features(pixels) for pixels in (picture, photo, style))
        gaps = [
            (_gap(of_picture[layer], of_style[layer]), _gap(of_photo[layer], of_style[layer]))
            for layer in _STYLE_LAYERS
        ]
        left, whole = (sum(each) for each in zip(*gaps, strict=True))
        content = nn.functional.mse_loss(_normalized(of_picture[_CONTENT_LAYER]), _normalized(of_photo[_CONTENT_LAYER]))
        return Quality(left / whole, content.item())

    def _features(self, pixels: Pixels) -> dict[str, Tensor]:
        """Return what follows each convolution's ReLU, (1, C, H, W)."""
        x = torch.from_numpy(pixels[..., ::-1].copy()).permute(2, 0, 1)[None].float()
        x = x - torch.tensor(_MEAN_BGR)[:, None, None]
        features: dict[str, Tensor] = {}
        for name, (weight, bias) in self._layers.items():
            if name.endswith("_1") and features:
                x = nn.functional.max_pool2d(x, 2)
            x = features[name] = torch.relu(nn.functional.conv2d(x, weight, bias, padding=1))
        return features


def judge(here: Stylizer, fp32: Stylizer, photo: Path, painting: Path, size: int, teacher: Teacher) -> Pair:
    """Return what is found of one photo in the style of one painting, both resized to ``size`` on the shorter side.

    Raises:
        AdainError: a picture cannot be read or stylised.

    """
    content, style = (frame(read_picture(path).pixels, size, crop=False) for path in (photo, painting))
    made, exact = (stylizer.stylize(content, stylizer.encode(style)) for stylizer in (here, fp32))
    judged = [teacher.judge(picture, content, style) for picture in (made, exact)]
    return Pair(str(photo), str(painting), judged[0], judged[1], psnr(made, exact))


def _gap(features: Tensor, style: Tensor) -> float:
    ours, theirs = (torch.cat(channel_statistics(each)) for each in (features, style))
    return ((ours - theirs).square().sum() / theirs.square().sum()).item()


def _normalized(features: Tensor) -> Tensor:
    return nn.functional.instance_norm(features)
