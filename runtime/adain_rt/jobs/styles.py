"""The styles that arguments name: ``S[:W]``, where S is a picture, a directory, a saved style, or ``@preset``."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from adain_models.errors import AdainError
from adain_rt import style
from adain_rt.jobs.inputs import pictures_in
from adain_rt.media.pictures import Picture, read_picture
from adain_rt.style import Style
from adain_rt.stylizer import Stylizer
from adain_rt.transfer import StyleSource

__all__ = [
    "Mixture", "StyleArgument", "frame_style", "join_styles", "load", "parse", "preset_path", "presets", "save",
]  # fmt: skip

_LONGEST = 4
"""The most that an enlarged style picture's longer side may be, in sizes asked for: a narrow strip is not blown up."""


@dataclass(frozen=True)
class StyleArgument:
    """One argument, taken apart: the styles that it names, and its weight if it has one."""

    text: str
    names: tuple[str, ...]
    is_directory: bool
    weight: float | None

    @property
    def files(self) -> list[Path]:
        """The files among the styles."""
        return [Path(name) for name in self.names if not name.startswith("@")]


@dataclass(frozen=True)
class Mixture:
    """The names of the styles that make one picture together, and their weights."""

    names: tuple[str, ...]
    weights: tuple[float, ...]

    @property
    def label(self) -> str:
        """A name for files: the styles' labels, with their weights if these differ."""
        labels = [_label(name) for name in self.names]
        if len(set(self.weights)) == 1:
            return "+".join(labels)
        return "+".join(f"{label}-{weight:g}" for label, weight in zip(labels, self.weights, strict=True))

    def __str__(self) -> str:
        return " + ".join(self.names)


def parse(argument: str) -> StyleArgument:
    """Return what a style argument names; a file of the whole name wins over a weight.

    Raises:
        AdainError: the weight is negative or not finite, or a directory has a weight or holds no styles.

    """
    name, weight = _split(argument)
    if not Path(name).is_dir():
        return StyleArgument(argument, (name,), is_directory=False, weight=weight)
    if weight is not None:
        raise AdainError(f"style {argument}: the styles of a directory are not mixed, and take no weight")
    found = pictures_in(Path(name), others=frozenset({style.SUFFIX}))
    return StyleArgument(argument, tuple(map(str, found)), is_directory=True, weight=None)


def join_styles(arguments: Sequence[StyleArgument], masks: int = 0) -> list[Mixture]:
    """Return the styles of each result of a content: one mixture, or each style of a directory by itself.

    Args:
        arguments: at least one.
        masks: the number of masks, which give each style a region.

    Raises:
        AdainError: the styles, weights and masks do not go together.

    """
    given = "style " + ", ".join(argument.text for argument in arguments)
    if masks and masks != len(arguments):
        raise AdainError(f"{given}: the number of styles is {len(arguments)} and of masks {masks}; give each one mask")
    if masks and any(argument.weight is not None for argument in arguments):
        raise AdainError(f"{given}: weights mix styles, but masks give each a region; leave out the weights")
    if len(arguments) > 1 and any(argument.is_directory for argument in arguments):
        raise AdainError(f"{given}: a directory of styles cannot be mixed with others; give it alone")
    weights = tuple(1.0 if argument.weight is None else argument.weight for argument in arguments)
    if not any(weights):
        raise AdainError(f"{given}: the weights are all 0; make one larger")
    if arguments[0].is_directory:
        return [Mixture((name,), (1.0,)) for name in arguments[0].names]
    return [Mixture(tuple(argument.names[0] for argument in arguments), weights)]


def load(name: str, stylizer: Stylizer, size: int, crop: bool) -> StyleSource:
    """Return the style of a name: ``@preset``, a saved style, or a picture, which is read but not encoded.

    Args:
        name: one of ``StyleArgument.names``.
        stylizer: has the presets, and the model that a saved style must be of.
        size: pixels of the picture's shorter side; 0 keeps the size.
        crop: whether the picture is cropped to its central square first.

    Raises:
        AdainError: there is no such preset or file, it cannot be read, or nothing of it is visible.

    """
    label, path = _label(name), Path(name)
    if name.startswith("@"):
        return StyleSource(label, code=_load_code(preset_path(label, stylizer), stylizer))
    if path.suffix.lower() == style.SUFFIX:
        return StyleSource(label, code=_load_code(path, stylizer))
    if not path.exists():
        raise AdainError(f"style {name}: there is no such file; {_meant(name, presets(stylizer))}")
    return frame_style(read_picture(path), name, size, crop)


def frame_style(picture: Picture, name: str, size: int, crop: bool) -> StyleSource:
    """Return the style of a picture, which is not encoded yet.

    Args:
        picture: the picture.
        name: its file's name.
        size: pixels of the picture's shorter side; 0 keeps the size.
        crop: whether the picture is cropped to its central square first.

    Raises:
        AdainError: nothing of it is visible, or it would have more than MAX_PIXELS.

    """
    visible = picture.visible_part()
    if visible is None:
        raise AdainError(f"style {name}: is transparent all over; a style is taken from visible pixels")
    shorter, longer = sorted(visible.pixels.shape[:2])
    bounded = min(size, max(shorter, _LONGEST * size * shorter // longer))
    try:
        return StyleSource(_label(name), pixels=visible.fit(bounded, crop).pixels)
    except AdainError as error:
        raise AdainError(f"style {name}: {error.message}", hint="crop it or use a smaller `style_size`") from None


def save(
    arguments: Sequence[StyleArgument],
    stylizer: Stylizer,
    output: Path,
    *,
    title: str | None = None,
    size: int = 512,
    crop: bool = False,
) -> None:
    """Save the style of a picture, or the mixture of several, as one style.

    Args:
        arguments: the styles and their weights; no directories.
        stylizer: encodes pictures.
        output: the file.
        title: the style's title; ``None`` is the styles' labels.
        size: pixels of a picture's shorter side; 0 keeps the size.
        crop: whether a picture is cropped to its central square first.

    Raises:
        AdainError: a style cannot be read or encoded, the weights do not fit, or the file cannot be written.

    """
    names = [name for argument in arguments for name in argument.names]
    sources = [load(name, stylizer, size, crop) for name in names]
    weights = [1.0 if argument.weight is None else argument.weight for argument in arguments]
    mixed = Style.mix([source.encode(stylizer) for source in sources], weights)
    label = title or " + ".join(source.label for source in sources)
    replace(mixed, about={"title": label}).save(output)


def presets(stylizer: Stylizer) -> dict[str, Path]:
    """Return the files of a model's presets, by name."""
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
    raise AdainError(f"style @{name}: there is no such preset; {_meant(name, known)}")


def _meant(name: str, known: Iterable[str]) -> str:
    """Return the preset that a wrong name probably means, or where to find the names of all."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean @{near[0]}?" if near else "`adain-rt style list` shows the presets, which begin with @"


def _label(name: str) -> str:
    """Return a style's name without its folder and suffix, or its @."""
    return name[1:] if name.startswith("@") else Path(name).stem


def _split(argument: str) -> tuple[str, float | None]:
    """Return an argument's name and weight."""
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


def _load_code(path: Path, stylizer: Stylizer) -> Style:
    code = Style.load(path)
    try:
        stylizer.check(code)
    except AdainError as error:
        raise AdainError(f"{path}: {error.message}", hint=error.hint) from None
    return code
