"""The styles that arguments name: ``S[:W]``, S being a picture, a directory, a saved style, or ``@preset``."""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from pathlib import Path

from adain_models.errors import AdainError
from adain_rt import style
from adain_rt.jobs.inputs import pictures_in
from adain_rt.media.pictures import read_picture
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleSource

__all__ = ["StyleArgument", "load", "parse", "preset_path", "presets"]

_LONGEST = 4
"""An enlarged style picture's longer side, at most, over the size asked for: a narrow strip is not blown up."""


@dataclass(frozen=True)
class StyleArgument:
    """One argument, taken apart: the styles that it names, and the weight if it has one."""

    text: str
    names: tuple[str, ...]
    is_directory: bool
    weight: float | None

    @property
    def files(self) -> list[Path]:
        """The files among the styles."""
        return [Path(name) for name in self.names if not name.startswith("@")]


def parse(argument: str) -> StyleArgument:
    """Return what a style argument names; a file of the whole name wins over a weight.

    Raises:
        AdainError: the weight is negative or not finite, a directory has a weight or holds no styles.

    """
    name, weight = _split(argument)
    if not Path(name).is_dir():
        return StyleArgument(argument, (name,), is_directory=False, weight=weight)
    if weight is not None:
        raise AdainError(f"style {argument}: a directory's styles are not mixed, and take no weight")
    found = pictures_in(Path(name), others=frozenset({style.SUFFIX}))
    return StyleArgument(argument, tuple(map(str, found)), is_directory=True, weight=None)


def load(name: str, stylizer: Stylizer, size: int, crop: bool) -> StyleSource:
    """Return the style of a name: ``@preset``, a saved style, or a picture.

    Args:
        name: one of ``StyleArgument.names``.
        stylizer: encodes the picture, and has the presets.
        size: pixels of the picture's shorter side before it is encoded; 0 keeps it.
        crop: whether the picture is cropped to its central square first.

    Raises:
        AdainError: there is no such preset or file, it cannot be read, or nothing of it is visible.

    """
    if name.startswith("@"):
        return StyleSource(name[1:], stylizer, saved=_saved(preset_path(name[1:], stylizer), stylizer))
    path = Path(name)
    if path.suffix.lower() == style.SUFFIX:
        return StyleSource(path.stem, stylizer, saved=_saved(path, stylizer))
    if not path.exists():
        raise AdainError(f"style {name}: there is no such file (presets begin with @, see `adain-rt style list`)")
    picture = read_picture(path).visible_part()
    if picture is None:
        raise AdainError(f"style {name}: is transparent all over; a style is taken from what can be seen")
    shorter, longer = sorted(picture.pixels.shape[:2])
    bounded = min(size, max(shorter, _LONGEST * size * shorter // longer))
    try:
        return StyleSource(path.stem, stylizer, pixels=picture.framed(bounded, crop).pixels)
    except AdainError as error:
        raise AdainError(f"style {name}: {error}") from None


def presets(stylizer: Stylizer) -> dict[str, Path]:
    """Return the presets that lie in the model's directory, by name."""
    return {path.stem: path for path in sorted((stylizer.directory / "presets").glob(f"*{style.SUFFIX}"))}


def preset_path(name: str, stylizer: Stylizer) -> Path:
    """Return the file of a preset.

    Raises:
        AdainError: the model has no such preset.

    """
    known = presets(stylizer)
    if name in known:
        return known[name]
    if not known:
        raise AdainError(f"style @{name}: model {stylizer.model} has no presets; give a picture")
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean @{near[0]}?" if near else "see `adain-rt style list`"
    raise AdainError(f"style @{name}: there is no such preset; {meant}")


def _split(argument: str) -> tuple[str, float | None]:
    match = re.fullmatch(r"(.+):([-+.\w]+)", argument, re.DOTALL)
    if match is None or Path(argument).exists():
        return argument, None
    try:
        weight = float(match[2])
    except ValueError:
        return argument, None  # a colon in a name
    if not math.isfinite(weight) or weight < 0:
        raise AdainError(f"style {argument}: the weight must be 0 or more, not {match[2]}")
    return match[1], weight


def _saved(path: Path, stylizer: Stylizer) -> Style:
    saved = Style.load(path)
    try:
        stylizer.check(saved)
    except AdainError as error:
        raise AdainError(f"{path}: {error}") from None
    return saved
