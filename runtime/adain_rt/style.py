"""A style: the mean and the deviation of each feature channel of a picture, bound to the model that measured them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from adain_models.errors import AdainError
from adain_models.files import explain, replacing

__all__ = ["SUFFIX", "Style"]

SUFFIX = ".safetensors"

_FORMAT = "adain-rt style 1"
_MAX_BYTES = 1 << 20
_LARGEST = 1e6  # far above any feature; squares of much larger numbers overflow


@dataclass(frozen=True)
class Style:
    """A style code.

    Attributes:
        mean: the mean of each feature channel, float32 (C,).
        std: the deviation of each feature channel, float32 (C,).
        model: the name of the model that measured them.
        weights_sha256: the SHA-256 of that model's weights; another model cannot use the code.
        about: the work that the style was measured from (title, artist, year), for people.

    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    model: str
    weights_sha256: str
    about: dict[str, str] = field(default_factory=dict)

    @classmethod
    def mix(cls, styles: Sequence[Style], weights: Sequence[float]) -> Style:
        """Return the weighted mixture of styles of one model (equation 15 of the paper); its ``about`` is empty.

        Args:
            styles: at least one style; all of one model.
            weights: one weight for each style; they are divided by their sum.

        Raises:
            AdainError: a weight is negative or not finite, all weights are 0, there are more or fewer weights than
                styles, or the styles are of different models.

        """
        shares = np.asarray(weights, np.float64)
        if shares.shape != (len(styles),) or not styles:
            raise AdainError(
                f"{len(styles)} styles cannot be mixed by {shares.size} weights", hint="give one weight for each style"
            )
        if not (np.isfinite(shares).all() and (shares >= 0).all() and shares.any()):
            raise AdainError(f"style weights must be 0 or more, and not all 0; these are {list(weights)}")
        first = styles[0]
        if any(style.weights_sha256 != first.weights_sha256 for style in styles):
            raise AdainError("styles of different models cannot be mixed", hint="save them again with one model")
        shares /= shares.max()  # the sum of the weights as given can overflow
        shares /= shares.sum()
        mean = shares @ np.stack([style.mean for style in styles]).astype(np.float64)
        std = shares @ np.stack([style.std for style in styles]).astype(np.float64)
        return cls(mean.astype(np.float32), std.astype(np.float32), first.model, first.weights_sha256)

    def save(self, path: Path) -> None:
        """Write the style as a safetensors file.

        Raises:
            AdainError: the file cannot be written.

        """
        metadata = {"format": _FORMAT, "model": self.model, "weights_sha256": self.weights_sha256}
        about = {f"about.{key}": value for key, value in self.about.items()}
        with replacing(path) as aside:
            save_file({"mean": self.mean, "std": self.std}, aside, metadata=metadata | about)

    @classmethod
    def load(cls, path: Path) -> Style:
        """Read a style that ``save`` wrote.

        Raises:
            AdainError: the file is missing, broken, or not a style.

        """
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise AdainError(f"{path}: the file is not a style (a style is smaller than {_MAX_BYTES} bytes)")
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                codes = [_vector(file, name) for name in ("mean", "std")]
        except OSError as error:
            raise AdainError(f"{path}: the style cannot be read ({explain(error)})", hint="check the path") from None
        except SafetensorError as error:
            raise AdainError(f"{path}: the file is not a safetensors file, or is damaged ({error})") from None
        if metadata.get("format") != _FORMAT or not {"model", "weights_sha256"} <= metadata.keys():
            raise AdainError(
                f"{path}: a safetensors file, but not a style", hint="make a style with `adain-rt style save`"
            )
        mean, std = codes
        if mean is None or std is None or mean.shape != std.shape or (std <= 0).any():
            raise AdainError(f"{path}: the style is damaged (it needs finite means and positive deviations)")
        if not all(text.isprintable() for text in metadata.values()):
            raise AdainError(f"{path}: the style is damaged (its texts hold control characters)")
        about = {key[6:]: value for key, value in sorted(metadata.items()) if key.startswith("about.")}
        return cls(mean, std, metadata["model"], metadata["weights_sha256"], about)


def _vector(file: Any, name: str) -> NDArray[np.float32] | None:
    """Return a tensor of an open safetensors file if it is a float32 vector of values that features can have."""
    if name not in file.keys() or file.get_slice(name).get_dtype() != "F32":  # noqa: SIM118 - the file is not a mapping
        return None
    values: NDArray[np.float32] = file.get_tensor(name)
    return values if values.ndim == 1 and values.size and (np.abs(values) < _LARGEST).all() else None
