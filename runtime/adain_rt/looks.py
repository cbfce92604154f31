"""What a picture is painted with: the styles that ``--style`` arguments name, and how they are put together."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from adain_models.errors import AdainError
from adain_rt import color, style
from adain_rt.contents import pictures_in
from adain_rt.framing import frame
from adain_rt.pictures import read_picture
from adain_rt.style import Style
from adain_rt.stylizer import Pixels, Stylizer

__all__ = ["COLORS", "Look", "Painter", "StyleSource", "load_style", "named_styles", "presets", "split_weight"]

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
class Look:
    """Styles that make one picture together: mixed by weight, or each in the region of its mask."""

    sources: tuple[StyleSource, ...]
    weights: tuple[float, ...]

    @property
    def label(self) -> str:
        """A name for files: the styles' labels."""
        return "+".join(source.label for source in self.sources)


@dataclass(frozen=True)
class Painter:
    """Paints contents with looks, at one strength and one way of colour.

    ``color`` is ``none``; ``coral``: the style picture takes the content's colours before it is encoded; or ``luma``:
    the content keeps its chroma and takes the stylised luminance.
    """

    stylizer: Stylizer
    strength: float = 1.0
    color: str = "none"

    def paint(self, content: Pixels, look: Look, masks: Pixels | None = None) -> Pixels:
        """Return the content, uint8 (H, W, 3), painted; ``masks`` as for ``Stylizer.stylize``."""
        codes = [self._code(source, content) for source in look.sources]
        styles = Style.mix(codes, look.weights) if masks is None else codes
        painted = self.stylizer.stylize(content, styles, strength=self.strength, masks=masks)
        return color.keep_chroma(content, painted) if self.color == "luma" else painted

    def _code(self, source: StyleSource, content: Pixels) -> Style:
        if self.color != "coral":
            return source.code
        if source.pixels is None:
            raise AdainError(f"--color coral recolours the style's picture, and {source.label} is a code: use luma")
        return self.stylizer.encode(color.coral(source.pixels, content))


def split_weight(argument: str) -> tuple[str, float | None]:
    """Return the style and the weight of ``S[:W]``; a file of the whole name wins over a weight.

    Raises:
        AdainError: the weight is negative or not finite.

    """
    match = re.fullmatch(r"(.+):([-+.\w]+)", argument)
    if match is None or Path(argument).exists():
        return argument, None
    try:
        weight = float(match[2])
    except ValueError:
        return argument, None  # a colon in a name
    if not math.isfinite(weight) or weight < 0:
        raise AdainError(f"--style {argument}: the weight must be 0 or more, not {match[2]}")
    return match[1], weight


def named_styles(argument: str) -> list[str]:
    """Return the styles that one argument names: itself, or the pictures and saved styles of a directory."""
    if Path(argument).is_dir():
        return [str(path) for path in pictures_in(Path(argument), others=frozenset({style.SUFFIX}))]
    return [argument]


def load_style(argument: str, stylizer: Stylizer, size: int, crop: bool) -> StyleSource:
    """Return the style that an argument names: ``@preset``, a saved style, or a picture.

    Args:
        argument: without a weight.
        stylizer: encodes the picture, and has the presets.
        size: pixels of the picture's shorter side before it is encoded; 0 keeps it.
        crop: whether the picture is cropped to its central square first.

    Raises:
        AdainError: there is no such preset or file, or it cannot be read.

    """
    if argument.startswith("@"):
        return StyleSource(argument[1:], stylizer, _saved(_preset(argument[1:], stylizer), stylizer))
    path = Path(argument)
    if path.suffix.lower() == style.SUFFIX:
        return StyleSource(path.stem, stylizer, _saved(path, stylizer))
    if not path.exists():
        raise AdainError(f"style {argument}: there is no such file (presets begin with @, see `adain-rt style list`)")
    pixels = frame(read_picture(path).pixels, size, crop)
    return StyleSource(path.stem, stylizer, pixels=pixels)


def _saved(path: Path, stylizer: Stylizer) -> Style:
    saved = Style.load(path)
    try:
        stylizer.check(saved)
    except AdainError as error:
        raise AdainError(f"{path}: {error}") from None
    return saved


def presets(stylizer: Stylizer) -> dict[str, Path]:
    """Return the presets that lie in the model's directory, by name."""
    return {path.stem: path for path in sorted((stylizer.directory / "presets").glob(f"*{style.SUFFIX}"))}


def _preset(name: str, stylizer: Stylizer) -> Path:
    known = presets(stylizer)
    if name in known:
        return known[name]
    if not known:
        raise AdainError(f"style @{name}: model {stylizer.model} has no presets; give a picture")
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean @{near[0]}?" if near else "see `adain-rt style list`"
    raise AdainError(f"style @{name}: there is no such preset; {meant}")
