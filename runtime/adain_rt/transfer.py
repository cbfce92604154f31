"""Style transfer with everything that one result needs: which styles, how strong, and whose colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from adain_models.errors import AdainError
from adain_rt import color
from adain_rt.contract import Pixels
from adain_rt.fitting import fit
from adain_rt.media.pictures import Picture
from adain_rt.pixels import as_masks, mask_visible
from adain_rt.progress import Progress
from adain_rt.strokes import STROKES, paint
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.tiling import Canvas
from adain_rt.underpainting import UNDERPAINTING

__all__ = ["COLORS", "StyleMix", "StyleSource", "Transfer"]

COLORS = ("none", "coral", "luma")


@dataclass(frozen=True)
class StyleSource:
    """A style: its code, the picture that it is measured from, or both.

    Attributes:
        label: a name for people and for files.
        code: the style code; ``None`` until the picture is encoded.
        pixels: the picture, uint8 (H, W, 3), sRGB; ``None`` for a saved style.

    """

    label: str
    code: Style | None = None
    pixels: Pixels | None = None

    def encode(self, stylizer: Stylizer) -> Style:
        """Return the code; encode the picture if that has not been done.

        Raises:
            AdainError: the picture cannot be encoded; see ``Stylizer.encode``.

        """
        if self.code is not None:
            return self.code
        assert self.pixels is not None  # noqa: S101 - a source has a code or a picture
        return stylizer.encode(self.pixels)


@dataclass(frozen=True)
class StyleMix:
    """Styles that make one picture together: mixed by weight, or each in the region of its mask."""

    sources: tuple[StyleSource, ...]
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Transfer:
    """Stylises contents at one strength, with one choice of colours.

    Attributes:
        stylizer: runs the network.
        strength: the paper's α, from 0 to 1.
        color: ``none``: the style's colours. ``coral``: the style picture takes the content's colours before it is
            encoded. ``luma``: the content keeps its chroma and takes the stylised luminance.
        strokes: how large they are, as for ``paint``.
        fit: whether styles are fitted to each content (``adain_rt.fitting.fit``).
        underpainting: the deviation of the tones under it, as for ``paint``.

    """

    stylizer: Stylizer
    strength: float = 1.0
    color: str = "none"
    strokes: int = STROKES
    fit: bool = True
    underpainting: float = UNDERPAINTING

    def prepare(self, source: StyleSource) -> StyleSource:
        """Return a style with its code, so that it is encoded once for all contents.

        With ``coral`` the code depends on the content, and the style is returned as it is.

        Raises:
            AdainError: the style cannot be encoded, or it has no picture to recolour.

        """
        if self.color == "coral":
            _picture_to_recolor(source)
            return source
        return replace(source, code=source.encode(self.stylizer))

    def apply(
        self, content: Picture, mix: StyleMix, masks: Pixels | None = None, progress: Progress | None = None
    ) -> Picture:
        """Return the content stylised.

        Wholly transparent pixels belong to no region.

        Args:
            content: the picture.
            mix: the styles; ``prepare`` saves encoding them again for each content.
            masks: uint8 (R, H, W), one for each style, as for ``Stylizer.stylize``.
            progress: as for ``Stylizer.stylize``.

        Raises:
            AdainError: the picture cannot be stylised (see ``Stylizer.stylize``), or a style has no picture to
                recolour.

        """
        styles = self.find_styles(content.pixels, mix, masks is not None)
        if masks is not None:
            masks = as_masks(masks, len(styles), *content.pixels.shape[:2])
        masks = mask_visible(masks, content.alpha)
        styles = self.fit_styles(content.pixels, styles, () if masks is None else list(masks))
        pixels = paint(
            self.stylizer,
            content.pixels,
            styles[0] if masks is None else styles,
            strokes=self.strokes,
            underpainting=self.underpainting,
            strength=self.strength,
            masks=masks,
            progress=progress,
        )
        return content.with_pixels(color.keep_chroma(content.pixels, pixels) if self.color == "luma" else pixels)

    def fit_styles(self, content: Canvas, styles: list[Style], masks: Sequence[Canvas]) -> list[Style]:
        """Return styles fitted to a content, if that is asked for, with strokes of the size that they will have."""
        if not self.fit or not self.strength:
            return styles
        size = min(self.strokes or STROKES, STROKES)
        return fit(self.stylizer, content, styles, masks=masks, size=size, underpainting=self.underpainting)

    def find_styles(self, content: Pixels, mix: StyleMix, apart: bool) -> list[Style]:
        """Return the styles for a content: their mixture, or all of them.

        Args:
            content: uint8 (H, W, 3), whose colours ``coral`` gives to the styles.
            mix: the styles.
            apart: whether each has a mask, so that they are not mixed.

        Raises:
            AdainError: a style cannot be encoded, or has no picture to recolour.

        """
        codes = [self.encode(source, content) for source in mix.sources]
        return codes if apart else [Style.mix(codes, mix.weights)]

    def encode(self, source: StyleSource, content: Pixels) -> Style:
        """Return the code of a style for a content.

        Raises:
            AdainError: the style cannot be encoded, or it has no picture to recolour.

        """
        if self.color == "coral":
            return self.stylizer.encode(color.coral(_picture_to_recolor(source), content))
        return source.encode(self.stylizer)


def _picture_to_recolor(source: StyleSource) -> Pixels:
    if source.pixels is None:
        raise AdainError(
            f"coral recolours the picture of a style, and {source.label} is a saved style without one",
            hint="use `color` luma, or give the picture",
        )
    return source.pixels
