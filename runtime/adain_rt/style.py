"""A style: the mean and the deviation of each feature channel of a picture, bound to the model that measured them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import deserialize
from safetensors.numpy import save

from adain_models.errors import AdainError
from adain_models.files import explain, replacing

__all__ = ["SUFFIX", "Style", "as_styles", "stack_codes"]

SUFFIX = ".safetensors"

_FORMAT = "adain-rt style 1"
_MAX_BYTES = 1 << 20
_LARGEST = 1e6  # far above any feature; squares of much larger numbers overflow

_UNREADABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What no text of a style holds: control characters (Unicode's category Cc), which a terminal obeys, and surrogates.

Python writes those bytes of a file's name as surrogates that are no text; no file can hold them as such.
"""


@dataclass(frozen=True, eq=False)
class Style:
    """A style code. It does not change; it is compared, hashed and pickled by its value.

    Attributes:
        mean: the mean of each feature channel, float32 (C,): a copy of what was given, which cannot be written to.
        std: the deviation of each feature channel, likewise.
        model: the name of the model that measured them.
        weights_sha256: the SHA-256 of that model's weights; another model cannot use the code.
        about: the work that the style was measured from (title, artist, year), for people. In all texts U+FFFD stands
            for each control character, and for each byte of a file's name that is not text.

    Raises:
        AdainError: ``mean`` and ``std`` are not two vectors of one length; a number is not finite, or a million or
            more; a deviation is 0 or less; or a text is not one.

    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    model: str
    weights_sha256: str
    about: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the values, and take copies that nobody changes."""
        mean, std = _as_vector(self.mean, "mean"), _as_vector(self.std, "std")
        if mean.shape != std.shape:
            raise AdainError(f"a style has as many means as deviations, not {mean.size} and {std.size}")
        if not (std > 0).all():
            raise AdainError("the deviations (std) of a style must be above 0")
        if not isinstance(self.about, Mapping):
            raise AdainError(f"about is a dictionary of texts, not {type(self.about).__name__}")
        values = {
            "mean": mean,
            "std": std,
            "model": _as_text(self.model),
            "weights_sha256": _as_text(self.weights_sha256),
            "about": {_as_text(key): _as_text(value) for key, value in self.about.items()},
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        """Whether the other is a style of the same numbers and texts."""
        if not isinstance(other, Style):
            return NotImplemented
        texts = [(style.model, style.weights_sha256, style.about) for style in (self, other)]
        same_numbers = np.array_equal(self.mean, other.mean) and np.array_equal(self.std, other.std)
        return same_numbers and texts[0] == texts[1]

    def __hash__(self) -> int:
        """Return a hash of the numbers, which tell styles apart."""
        return hash((*self.mean.tolist(), *self.std.tolist()))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the values, so that they are checked where they arrive."""
        return Style, (self.mean, self.std, self.model, self.weights_sha256, self.about)

    @classmethod
    def mix(cls, styles: Sequence[Style], weights: Sequence[float]) -> Style:
        """Return the weighted mixture of styles of one model (equation 15 of the paper); its ``about`` is empty.

        Args:
            styles: at least one style; all of one model.
            weights: one weight for each style; they are divided by their sum.

        Raises:
            AdainError: something to mix is not a style, or a weight not a number; a weight is negative or not finite,
                all weights are 0, there are more or fewer weights than styles, or the styles are of different models.

        """
        if not isinstance(styles, Sequence) or not all(isinstance(style, Style) for style in styles):
            raise AdainError("only a list of styles can be mixed", hint="see Stylizer.encode and Style.load")
        try:
            shares = np.array(weights, np.float64)
        except (TypeError, ValueError):
            raise AdainError("the weights are not numbers", hint="give one weight for each style") from None
        if shares.shape != (len(styles),) or not styles:
            raise AdainError(
                f"{len(styles)} styles cannot be mixed by {shares.size} weights", hint="give one weight for each style"
            )
        if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.any()):
            raise AdainError(f"style weights must be 0 or more, and not all 0; these are {shares.tolist()}")
        first = styles[0]
        if any(style.weights_sha256 != first.weights_sha256 for style in styles):
            raise AdainError("styles of different models cannot be mixed", hint="save them again with one model")
        if any(style.mean.shape != first.mean.shape for style in styles):
            raise AdainError("styles of different numbers of channels cannot be mixed")
        shares /= shares.max()  # the sum of the weights as given can overflow
        shares /= shares.sum()
        mean = shares @ np.stack([style.mean for style in styles]).astype(np.float64)
        std = shares @ np.stack([style.std for style in styles]).astype(np.float64)
        return cls(mean.astype(np.float32), std.astype(np.float32), first.model, first.weights_sha256)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the style as a safetensors file.

        Raises:
            AdainError: the file cannot be written, or the style is too large for one.

        """
        data = self.to_bytes(str(path))
        with replacing(Path(path)) as aside:
            aside.write_bytes(data)

    def to_bytes(self, name: str = "the style") -> bytes:
        """Return the style as the bytes of a safetensors file.

        Args:
            name: the file's name in errors.

        Raises:
            AdainError: the style is too large for a file.

        """
        metadata = {"format": _FORMAT, "model": self.model, "weights_sha256": self.weights_sha256}
        about = {f"about.{_as_text(key)}": _as_text(value) for key, value in self.about.items()}  # it may have changed
        data = save({"mean": self.mean, "std": self.std}, metadata=metadata | about)
        if len(data) > _MAX_BYTES:
            raise AdainError(f"{name}: the style takes more than {_MAX_BYTES} bytes", hint="shorten its texts")
        return data

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Style:
        """Read a style that ``save`` wrote.

        Raises:
            AdainError: the file is missing, broken, or not a style.

        """
        try:
            with Path(path).open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
        except OSError as error:
            raise AdainError(f"{path}: the style cannot be read ({explain(error)})", hint="check the path") from None
        return cls.from_bytes(data, str(path))

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "the style") -> Style:
        """Return the style in the bytes of a safetensors file.

        Args:
            data: the bytes.
            name: the file's name in errors.

        Raises:
            AdainError: the file is broken, or not a style.

        """
        if len(data) > _MAX_BYTES:
            raise AdainError(f"{name}: the file is not a style (a style is smaller than {_MAX_BYTES} bytes)")
        try:
            metadata, mean, std = _read(data)
        except Exception as error:  # safetensors' own, and whatever NumPy raises of a shape that cannot be
            raise AdainError(f"{name}: the file is not a safetensors file, or is damaged ({error})") from None
        if metadata.get("format") != _FORMAT or not {"model", "weights_sha256"} <= metadata.keys():
            raise AdainError(
                f"{name}: a safetensors file, but not a style", hint="make a style with `adain-rt style save`"
            )
        if any(_UNREADABLE.search(text) for text in (*metadata, *metadata.values())):
            raise AdainError(f"{name}: the style is damaged (its texts hold control characters)")
        about = {key[6:]: value for key, value in sorted(metadata.items()) if key.startswith("about.")}
        try:
            return cls(mean, std, metadata["model"], metadata["weights_sha256"], about)
        except AdainError as error:
            raise AdainError(f"{name}: the style is damaged ({error})") from None


def _as_vector(values: Any, name: str) -> NDArray[np.float32]:
    """Return a frozen float32 copy of one vector of numbers that features can have."""
    try:
        given = np.asarray(values)
    except Exception as error:  # whatever the conversion of another library's objects raises
        raise AdainError(f"the {name} of a style is a vector of numbers, not {type(values).__name__}") from error
    if given.dtype.kind not in "fiu" or given.ndim != 1 or not given.size:
        raise AdainError(f"the {name} of a style is a vector of numbers, not {given.dtype} {given.shape}")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinite, and is refused
        vector = given.astype(np.float32, order="C")
    if not (np.abs(vector) < _LARGEST).all():  # NaN is not less either
        raise AdainError(f"the {name} of a style must be finite numbers below a million")
    vector.flags.writeable = False
    return vector


def _as_text(given: Any) -> str:
    """Return a text in which U+FFFD stands for what cannot be read back."""
    if not isinstance(given, str):
        raise AdainError(f"what a style says of itself must be texts, not {given!r}")
    return _UNREADABLE.sub("\ufffd", given)


def _read(data: bytes) -> tuple[dict[str, str], Any, Any]:
    """Return the metadata, the mean and the std of a safetensors file, as they stand there."""
    tensors = dict(deserialize(data))  # type: ignore[no-untyped-call]  # it checks the header too
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
    return metadata, _as_array(tensors.get("mean")), _as_array(tensors.get("std"))


def _as_array(tensor: Any) -> Any:
    """Return a tensor of a safetensors file; ``None`` if it is missing, or is not float32."""
    if tensor is None or tensor["dtype"] != "F32":
        return None
    return np.frombuffer(tensor["data"], "<f4").reshape(tensor["shape"])


def as_styles(given: Style | Sequence[Style]) -> list[Style]:
    """Return the styles that a caller gave, one or several.

    Raises:
        AdainError: something given is no style.

    """
    styles = list(given) if isinstance(given, Iterable) else [given]
    for each in styles:
        if not isinstance(each, Style):
            raise AdainError(
                f"a style is a Style, not {type(each).__name__}",
                hint="take one from a picture by Stylizer.encode, or from a file by Style.load",
            )
    return styles


def stack_codes(styles: Sequence[Style]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the means and the deviations of styles, (R, C) each."""
    return np.stack([style.mean for style in styles]), np.stack([style.std for style in styles])
