"""Style transfer as it is asked for: which styles make a picture together, at what strength, in whose colours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from adain_models.errors import AdainError
from adain_rt import color
from adain_rt.contract import Pixels
from adain_rt.media.pictures import Picture
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer

__all__ = ["COLORS", "StyleMix", "StyleSource", "Transfer"]

COLORS = ("none", "coral", "luma")


@dataclass(frozen=True)
class StyleSource:
    """A style as it was given: a saved code, or a picture that is encoded when its code is first needed."""

    label: str
    stylizer: Stylizer
    saved: Style | None = None
    pixels: Pixels | None = None

    @cached_property
    def code(self) -> Style:
        """The style code."""
        if self.saved is not None:
            return self.saved
        assert self.pixels is not None  # noqa: S101 - one of the two is there
        return self.stylizer.encode(self.pixels)


@dataclass(frozen=True)
class StyleMix:
    """Styles that make one picture together: mixed by weight, or each in the region of its mask."""

    sources: tuple[StyleSource, ...]
    weights: tuple[float, ...]

    @property
    def label(self) -> str:
        """A name for files: the styles' labels, with their weights if these differ."""
        if len(set(self.weights)) == 1:
            return "+".join(source.label for source in self.sources)
        pairs = zip(self.sources, self.weights, strict=True)
        return "+".join(f"{source.label}-{weight:g}" for source, weight in pairs)


@dataclass(frozen=True)
class Transfer:
    """Stylises contents at one strength and one way of colour.

    ``color`` is ``none``; ``coral``: the style picture takes the content's colours before it is encoded; or ``luma``:
    the content keeps its chroma and takes the stylised luminance.
    """

    stylizer: Stylizer
    strength: float = 1.0
    color: str = "none"

    def apply(self, content: Picture, mix: StyleMix, masks: Pixels | None = None) -> Picture:
        """Return the content stylised.

        What is wholly transparent is in no region, so that colours that nobody sees count in no statistics.

        Args:
            content: the picture.
            mix: the styles.
            masks: uint8 (R, H, W), one for each style, as for ``Stylizer.stylize``.

        Raises:
            AdainError: as ``Stylizer.stylize``; or the colours of a style without a picture were asked for.

        """
        codes = [self._code(source, content.pixels) for source in mix.sources]
        styles = codes if masks is not None else [Style.mix(codes, mix.weights)]
        if content.alpha is not None and not content.alpha.all():
            visible = np.where(content.alpha, np.uint8(255), np.uint8(0))
            masks = visible[None] if masks is None else np.minimum(masks, visible)
        pixels = self.stylizer.stylize(
            content.pixels, styles[0] if masks is None else styles, strength=self.strength, masks=masks
        )
        return content.with_pixels(color.keep_chroma(content.pixels, pixels) if self.color == "luma" else pixels)

    def _code(self, source: StyleSource, content: Pixels) -> Style:
        if self.color != "coral":
            return source.code
        if source.pixels is None:
            raise AdainError(f"--color coral recolours the style's picture, and {source.label} is a code: use luma")
        return self.stylizer.encode(color.coral(source.pixels, content))
